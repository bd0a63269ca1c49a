import FoundationEssentials
import Tenancy

/// What is wrong with a configuration file, and where.
struct ConfigurationError: Error, CustomStringConvertible {
  let description: String
}

/// Reads one object of a JSON5 document (JSON with comments, bare keys and trailing commas). Every
/// setting must be asked for: `finish` refuses the rest, so that a misspelt one is not silently ignored.
struct SettingsReader {
  private let file: String
  private let place: String
  private var rest: [String: JSONValue]

  init(json5: Data, file: String) throws {
    let decoder = JSONDecoder()
    decoder.allowsJSON5 = true
    do {
      rest = try decoder.decode([String: JSONValue].self, from: json5)
    } catch DecodingError.dataCorrupted(let context) {
      let cause = context.underlyingError.map { "\($0)" } ?? context.debugDescription
      throw ConfigurationError(description: "\(file): not JSON5: \(cause)")
    } catch {
      throw ConfigurationError(description: "\(file): an object with settings is expected")
    }
    if let key = DuplicateKeys.first(in: String(decoding: json5, as: UTF8.self)) {
      throw ConfigurationError(description: "\(file): \(key): is there twice")
    }
    self.file = file
    place = ""
  }

  private init(_ value: JSONValue, file: String, place: String) throws {
    guard case .object(let members) = value else {
      throw ConfigurationError(description: "\(file): \(place): an object is expected")
    }
    self.file = file
    self.place = place
    rest = members
  }

  /// Those that nobody has asked for yet.
  var unread: [String: JSONValue] { rest }

  func error(_ what: String) -> ConfigurationError {
    ConfigurationError(description: "\(file): \(place.isEmpty ? "" : place + ".")\(what)")
  }

  func finish() throws {
    if let unknown = rest.keys.min() { throw error("\(unknown): no such setting") }
  }

  mutating func optionalString(_ name: String) throws -> String? {
    switch rest.removeValue(forKey: name) {
    case nil: nil
    case .string(let text) where !text.isEmpty: text
    default: throw error("\(name): a text is expected")
    }
  }

  mutating func string(_ name: String) throws -> String {
    guard let text = try optionalString(name) else { throw error("\(name) is required") }
    return text
  }

  mutating func integer(_ name: String, in range: ClosedRange<Int>) throws -> Int? {
    switch rest.removeValue(forKey: name) {
    case nil: return nil
    case .number(let number):
      if let value = Int(exactly: number), range.contains(value) { return value }
      fallthrough
    default:
      throw error("\(name): a number from \(range.lowerBound) to \(range.upperBound) is expected")
    }
  }

  /// A number from 0 to 1.
  mutating func fraction(_ name: String) throws -> Double? {
    switch rest.removeValue(forKey: name) {
    case nil: return nil
    case .number(let number) where (0...1).contains(number): return number
    default: throw error("\(name): a number from 0 to 1 is expected")
    }
  }

  mutating func boolean(_ name: String) throws -> Bool? {
    switch rest.removeValue(forKey: name) {
    case nil: nil
    case .bool(let value): value
    default: throw error("\(name): true or false is expected")
    }
  }

  /// An object as it is; nil when it is not there.
  mutating func object(_ name: String) throws -> JSONValue? {
    switch rest.removeValue(forKey: name) {
    case nil: return nil
    case .object(let members): return .object(members)
    default: throw error("\(name): an object is expected")
    }
  }

  mutating func strings(_ name: String) throws -> [String]? {
    guard let value = rest.removeValue(forKey: name) else { return nil }
    return try strings(of: value, name)
  }

  /// An object whose members are lists of texts, in order of their names.
  mutating func stringLists(_ name: String) throws -> [(String, [String])]? {
    guard let value = rest.removeValue(forKey: name) else { return nil }
    guard case .object(let members) = value else { throw error("\(name): an object is expected") }
    return try members.sorted { $0.key < $1.key }.map { key, value in
      (key, try strings(of: value, "\(name).\(key)"))
    }
  }

  /// A nested object; nil when it is not there.
  mutating func section<Value>(
    _ name: String, _ body: (inout SettingsReader) throws -> Value
  ) throws -> Value? {
    guard let value = rest.removeValue(forKey: name) else { return nil }
    var reader = try SettingsReader(value, file: file, place: path(name))
    let result = try body(&reader)
    try reader.finish()
    return result
  }

  /// A list of objects; empty when it is not there.
  mutating func list<Value>(
    _ name: String, _ body: (inout SettingsReader) throws -> Value
  ) throws -> [Value] {
    guard let value = rest.removeValue(forKey: name) else { return [] }
    guard case .array(let items) = value else { throw error("\(name): a list is expected") }
    return try items.enumerated().map { index, item in
      var reader = try SettingsReader(item, file: file, place: path("\(name)[\(index)]"))
      let result = try body(&reader)
      try reader.finish()
      return result
    }
  }

  private func strings(of value: JSONValue, _ name: String) throws -> [String] {
    guard case .array(let items) = value else { throw error("\(name): a list is expected") }
    return try items.map { item in
      guard case .string(let text) = item else { throw error("\(name): texts are expected") }
      return text
    }
  }

  private func path(_ name: String) -> String { place.isEmpty ? name : "\(place).\(name)" }
}
