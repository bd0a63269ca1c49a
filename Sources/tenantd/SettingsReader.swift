import Yams

/// What is wrong with a configuration file, and where.
struct ConfigurationError: Error, CustomStringConvertible {
  let description: String
}

/// Reads one mapping of a YAML document. Every setting must be asked for: `finish` refuses the rest, so
/// that a misspelt one is not silently ignored.
struct SettingsReader {
  private let file: String
  private let place: String
  private let line: Int
  private var rest: [String: Node]

  init(yaml: String, file: String) throws {
    let root: Node?
    do {
      root = try Yams.compose(yaml: yaml)
    } catch {
      throw ConfigurationError(description: "\(file): \(error)")
    }
    guard let root else { throw ConfigurationError(description: "\(file): empty") }
    self = try SettingsReader(root, file: file, place: "")
  }

  private init(_ node: Node, file: String, place: String) throws {
    self.file = file
    self.place = place
    line = node.mark?.line ?? 0
    guard let mapping = node.mapping else {
      throw ConfigurationError(
        description: "\(file):\(line): \(place.isEmpty ? "the document" : place): a mapping is expected")
    }
    rest = [:]
    for (key, value) in mapping {
      guard let name = key.string else { throw ConfigurationError(description: "\(file): bad key") }
      rest[name] = value
    }
  }

  func error(_ what: String) -> ConfigurationError {
    ConfigurationError(description: "\(file):\(line): \(place.isEmpty ? "" : place + ".")\(what)")
  }

  func finish() throws {
    if let unknown = rest.keys.min() { throw error("\(unknown): no such setting") }
  }

  mutating func optionalString(_ name: String) throws -> String? {
    guard let node = rest.removeValue(forKey: name) else { return nil }
    guard let scalar = node.scalar?.string, !scalar.isEmpty else {
      throw error("\(name): a text is expected")
    }
    return scalar
  }

  mutating func string(_ name: String) throws -> String {
    guard let text = try optionalString(name) else { throw error("\(name) is required") }
    return text
  }

  mutating func integer(_ name: String, in range: ClosedRange<Int>) throws -> Int? {
    guard let text = try optionalString(name) else { return nil }
    guard let value = Int(text), range.contains(value) else {
      throw error("\(name): a number from \(range.lowerBound) to \(range.upperBound) is expected")
    }
    return value
  }

  mutating func boolean(_ name: String) throws -> Bool? {
    switch try optionalString(name) {
    case nil: nil
    case "true": true
    case "false": false
    default: throw error("\(name): true or false is expected")
    }
  }

  mutating func strings(_ name: String) throws -> [String]? {
    guard let node = rest.removeValue(forKey: name) else { return nil }
    return try strings(of: node, name)
  }

  /// A mapping from names to lists of texts.
  mutating func stringLists(_ name: String) throws -> [(String, [String])]? {
    guard let node = rest.removeValue(forKey: name) else { return nil }
    guard let mapping = node.mapping else { throw error("\(name): a mapping is expected") }
    return try mapping.map { key, value in (key.string ?? "", try strings(of: value, name)) }
  }

  /// A nested mapping; nil when it is not there.
  mutating func section<Value>(
    _ name: String, _ body: (inout SettingsReader) throws -> Value
  ) throws -> Value? {
    guard let node = rest.removeValue(forKey: name) else { return nil }
    var reader = try SettingsReader(node, file: file, place: path(name))
    let value = try body(&reader)
    try reader.finish()
    return value
  }

  /// A list of mappings; empty when it is not there.
  mutating func list<Value>(
    _ name: String, _ body: (inout SettingsReader) throws -> Value
  ) throws -> [Value] {
    guard let node = rest.removeValue(forKey: name) else { return [] }
    guard let items = node.sequence else { throw error("\(name): a list is expected") }
    return try items.enumerated().map { index, item in
      var reader = try SettingsReader(item, file: file, place: path("\(name)[\(index)]"))
      let value = try body(&reader)
      try reader.finish()
      return value
    }
  }

  private func strings(of node: Node, _ name: String) throws -> [String] {
    guard let items = node.sequence else { throw error("\(name): a list is expected") }
    return try items.map { item in
      guard let text = item.scalar?.string else { throw error("\(name): texts are expected") }
      return text
    }
  }

  private func path(_ name: String) -> String { place.isEmpty ? name : "\(place).\(name)" }
}
