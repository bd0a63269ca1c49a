internal import TenancyLoop

/// A field whose content cannot be accepted.
public struct FieldViolation: Error, Hashable, Sendable {
  /// Where, in proto names: `tenant.configuration.feature_flags["beta"]`, `items[3].subject`.
  public var field: String
  /// What is wrong with it.
  public var description: String

  /// - Parameter description: for people; sent to the peer.
  public init(field: String, description: String) {
    self.field = field
    self.description = description
  }
}

/// Paths grow while a violation is thrown through the messages around it, so that reading a good
/// message builds none.
extension FieldViolation {
  /// The same violation, seen from the message that holds `parent`.
  public func inside(_ parent: StaticString) -> FieldViolation {
    inside(path: String(describing: parent))
  }

  /// The same violation, seen from the message that holds the list `parent`.
  public func inside(_ parent: StaticString, index: Int) -> FieldViolation {
    inside(path: "\(parent)[\(index)]")
  }

  /// The same violation, seen from the message that holds the map `parent`.
  public func inside(_ parent: StaticString, key: String) -> FieldViolation {
    inside(path: "\(parent)[\(Self.quoted(key))]")
  }

  /// A key as JSON text, so that every key can be told from every other.
  private static func quoted(_ key: String) -> String {
    var text = "\""
    for scalar in key.unicodeScalars {
      switch scalar {
      case "\"", "\\": text += "\\\(scalar)"
      case "\u{0}"..<" ":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }

  private func inside(path: String) -> FieldViolation {
    // Subscripts follow the name of what they index without a dot.
    let separator = field.isEmpty || path.isEmpty || field.hasPrefix("[") ? "" : "."
    return FieldViolation(field: path + separator + field, description: description)
  }
}
