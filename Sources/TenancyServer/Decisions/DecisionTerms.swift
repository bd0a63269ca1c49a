import Tenancy

/// What is recorded of what policies answer, and how much of it.
public struct DecisionTerms: Sendable {
  /// Of so many allowed decisions one is recorded, on average; 0: none.
  public var allowedSample = 1_000
  /// Allowed decisions of one tenant that are recorded in a second, on each event loop.
  public var allowedPerSecond = 10
  /// Denials of one tenant that are recorded in a second, on each event loop; 0: none.
  public var denialsPerSecond = 100
  /// Decisions of one tenant that are kept on each event loop: newer ones take the place of older ones.
  public var decisionsPerTenant = 1_000
  /// And bytes of them, about.
  public var bytesPerTenant = 256 * 1024
  /// Bytes of all tenants' decisions, about.
  public var bytes = 64 * 1024 * 1024
  /// How long decisions are kept.
  public var retention = Duration.seconds(86400)
  /// Attributes that are not kept.
  public var redacted: [AttributePath] = []

  /// As it is unless it is configured.
  public init() {}

  /// Bytes of a decision's attributes that are kept. Where there are more, none are.
  static let maximumAttributeBytes = 4 * 1024
}

/// The name of an attribute, as conditions have it: `subject.attributes.email`, `context.address.city`. Whatever is
/// below it is part of it.
public struct AttributePath: Sendable, Hashable {
  /// What a caller tells attributes of.
  enum Part: Sendable { case subject, resource, context }

  /// Names between dots.
  private static let maximumDepth = 16

  /// The name.
  public let text: String
  let part: Part
  /// In objects from the outermost on; empty: all of them.
  let keys: [String]

  /// - Returns: nil where it is no such name.
  public init?(parsing text: String) {
    var names = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard names.count <= Self.maximumDepth, names.allSatisfy({ !$0.isEmpty }) else { return nil }
    switch names.removeFirst() {
    case "subject": part = .subject
    case "resource": part = .resource
    case "context": part = .context
    default: return nil
    }
    if part != .context {
      guard names.first == "attributes" else { return nil }
      names.removeFirst()
    }
    self.text = text
    keys = names
  }

  /// Leaves the attribute out.
  /// - Returns: whether it was there.
  func redact(_ object: inout [String: JSONValue]) -> Bool {
    Self.remove(keys[...], from: &object)
  }

  private static func remove(
    _ keys: ArraySlice<String>, from object: inout [String: JSONValue]
  ) -> Bool {
    guard let key = keys.first else {
      let wasThere = !object.isEmpty
      object = [:]
      return wasThere
    }
    guard let value = object[key] else { return false }
    guard keys.count > 1 else {
      object[key] = nil
      return true
    }
    guard case .object(var inner) = value else {
      // What is in a list or a text might be what is meant.
      object[key] = nil
      return true
    }
    guard remove(keys.dropFirst(), from: &inner) else { return false }
    object[key] = .object(inner)
    return true
  }
}
