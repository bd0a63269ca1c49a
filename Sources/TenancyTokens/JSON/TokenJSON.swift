internal import Tenancy

/// A value of a JSON document that says who somebody is.
package enum TokenJSON: Hashable, Sendable {
  /// `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// As it was written: what it is to be is the reader's to decide, so that no digit is lost.
  case number(String)
  /// Unescaped; without NUL.
  case text(ExactText)
  /// Values in order.
  case list([TokenJSON])
  /// Members, no two of one name; when read, in the order of their names' bytes.
  case object([Member])

  /// A member of an object.
  package struct Member: Hashable, Sendable {
    package let name: ExactText
    package let value: TokenJSON

    package init(_ name: ExactText, _ value: TokenJSON) {
      self.name = name
      self.value = value
    }
  }
}

extension [TokenJSON.Member] {
  /// The member's value; nil if there is none of the name.
  package subscript(_ name: ExactText) -> TokenJSON? { first { $0.name == name }?.value }

  /// The value of a claim, which may be within others: see `ClaimPath`.
  func claim(_ path: ExactText) -> TokenJSON? {
    guard path.text.utf8.first == UInt8(ascii: "/") else { return self[path] }
    guard let names = ClaimPath.names(of: path.text) else { return nil }
    var found = TokenJSON.object(self)
    for name in names {
      guard case .object(let members) = found, let next = members[ExactText(name)] else {
        return nil
      }
      found = next
    }
    return found
  }
}

extension TokenJSON {
  /// JSON text without white space, the members of objects in the order of their names' bytes: the same
  /// bytes for the same value in every run.
  package func bytes() -> [UInt8] {
    var out: [UInt8] = []
    write(to: &out)
    return out
  }

  private func write(to out: inout [UInt8]) {
    switch self {
    case .null: out += "null".utf8
    case .bool(let value): out += (value ? "true" : "false").utf8
    case .number(let digits): out += digits.utf8
    case .text(let text): Self.write(text, to: &out)
    case .list(let values):
      out.append(UInt8(ascii: "["))
      for (at, value) in values.enumerated() {
        if at > 0 { out.append(UInt8(ascii: ",")) }
        value.write(to: &out)
      }
      out.append(UInt8(ascii: "]"))
    case .object(let members):
      out.append(UInt8(ascii: "{"))
      for (at, member) in members.sorted(by: { $0.name < $1.name }).enumerated() {
        if at > 0 { out.append(UInt8(ascii: ",")) }
        Self.write(member.name, to: &out)
        out.append(UInt8(ascii: ":"))
        member.value.write(to: &out)
      }
      out.append(UInt8(ascii: "}"))
    }
  }

  private static func write(_ text: ExactText, to out: inout [UInt8]) {
    let digits = Array("0123456789abcdef".utf8)
    out.append(UInt8(ascii: "\""))
    for byte in text.text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
      case 0..<0x20:
        // In range: a byte below 32 has two such digits.
        out += "\\u00".utf8
        out += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      default: out.append(byte)
      }
    }
    out.append(UInt8(ascii: "\""))
  }
}
