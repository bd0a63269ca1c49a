import Tenancy
import TenancyTokens

/// An object of a request, and where it is in that, for errors.
struct AuthZENObject {
  let members: [TokenJSON.Member]
  let place: String

  init(_ members: [TokenJSON.Member], at place: String = "") {
    self.members = members
    self.place = place
  }

  /// - Throws: INVALID_ARGUMENT for anything but an object.
  init(_ value: TokenJSON, at place: String) throws(TenancyError) {
    guard case .object(let members) = value else { throw .invalid(place, "must be an object") }
    self.init(members, at: place)
  }

  subscript(_ name: String) -> TokenJSON? { members[ExactText(name)] }

  /// How errors name a member.
  func field(_ name: String) -> String { place.isEmpty ? name : "\(place).\(name)" }

  /// A text that has to be there, and to say something.
  func text(_ name: String) throws(TenancyError) -> String {
    switch self[name] {
    case nil: throw .invalid(field(name), "is required")
    case .text(let text) where !text.text.utf8.isEmpty: return text.text
    case .text: throw .invalid(field(name), "must not be empty")
    default: throw .invalid(field(name), "must be a text")
    }
  }

  /// The members of an object, for conditions; nil where there is no such object.
  func attributes(_ name: String) throws(TenancyError) -> AuthZENAttributes? {
    guard let value = self[name] else { return nil }
    guard case .object(let members) = value else {
      throw .invalid(field(name), "must be an object")
    }
    return try AuthZENAttributes(members, at: field(name))
  }

  /// - Parameter place: for errors; what is deeper is told by it as well.
  fileprivate static func attributes(
    _ members: [TokenJSON.Member], at place: String
  ) throws(TenancyError) -> [String: JSONValue] {
    var found: [String: JSONValue] = [:]
    for member in members {
      // To Swift, names can be equal that have other bytes: of two such, none is the one that counts.
      let former = found.updateValue(try value(member.value, at: place), forKey: member.name.text)
      guard former == nil else {
        throw .invalid(place, "has two members whose names are canonically equivalent")
      }
    }
    return found
  }

  private static func value(_ value: TokenJSON, at place: String) throws(TenancyError) -> JSONValue
  {
    switch value {
    case .null: return .null
    case .bool(let value): return .bool(value)
    case .text(let text): return .string(text.text)
    case .number(let digits):
      guard let number = Double(digits), number.isFinite else {
        throw .invalid(place, "has a number that is out of range")
      }
      return .number(number)
    case .list(let values):
      var found: [JSONValue] = []
      found.reserveCapacity(values.count)
      for value in values { found.append(try Self.value(value, at: place)) }
      return .array(found)
    case .object(let members): return .object(try attributes(members, at: place))
    }
  }

  /// Bytes of a value, about.
  fileprivate static func weight(of value: TokenJSON) -> Int {
    switch value {
    case .null, .bool: 8
    case .text(let text): 8 + text.text.utf8.count
    case .number(let digits): 8 + digits.utf8.count
    case .list(let values): values.reduce(8) { $0 + weight(of: $1) }
    case .object(let members): weight(of: members)
    }
  }

  fileprivate static func weight(of members: [TokenJSON.Member]) -> Int {
    members.reduce(8) { $0 + 8 + $1.name.text.utf8.count + weight(of: $1.value) }
  }
}

/// What conditions are told of one part of a request, read once for all questions that have it.
struct AuthZENAttributes: Sendable, Equatable {
  /// Bytes of one, about.
  static let maximumWeight = CheckService.maximumAttributeBytes

  let object: [String: JSONValue]
  let map: AttributeMap

  /// - Parameter place: for errors.
  init(_ members: [TokenJSON.Member], at place: String) throws(TenancyError) {
    let weight = AuthZENObject.weight(of: members)
    guard weight <= Self.maximumWeight else {
      throw .invalid(place, "must have at most about \(Self.maximumWeight) bytes")
    }
    self.init(try AuthZENObject.attributes(members, at: place), weight: weight)
  }

  init(_ object: [String: JSONValue], weight: Int) {
    self.object = object
    map = AttributeMap(object, weight: weight)
  }

  static func == (a: Self, b: Self) -> Bool { a.object == b.object }
}
