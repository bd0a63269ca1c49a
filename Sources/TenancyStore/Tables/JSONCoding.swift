internal import FoundationEssentials
internal import Tenancy

/// JSON as it is stored: compact, keys sorted, so that equal values have equal text.
struct JSONCoding: Sendable {
  /// Levels of settings: twice what the API takes. The cost of a coder grows with the square of them.
  static let maximumDepth = 64

  private let encoder: JSONEncoder
  private let decoder = JSONDecoder()

  init() {
    encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  }

  func text(_ value: some Encodable) throws(StoreError) -> String {
    do {
      return String(decoding: try encoder.encode(value), as: UTF8.self)
    } catch {
      // The error quotes the value, which may be a secret.
      throw StoreError(.conflict, "a value has no JSON form: \(type(of: value))")
    }
  }

  /// The text of a value that will be decoded again. Refuses one that would come back different, such
  /// as one nested deeper than the decoder goes: better here than when the state is loaded.
  func faithfulText<Value: Codable & Equatable>(_ value: Value) throws(StoreError) -> String {
    let text = try text(value)
    guard decode(Value.self, text) == value else {
      throw StoreError(.conflict, "a value does not survive JSON: \(Value.self)")
    }
    return text
  }

  /// The same for a configuration, which mostly needs no encoder.
  func text(of configuration: TenantConfiguration) throws(StoreError) -> String {
    if let text = PlainConfiguration.encode(configuration) { return text }
    return try faithfulText(configuration)
  }

  /// Nil when the text is not JSON or not of this type.
  func decode<Value: Decodable>(_ type: Value.Type, _ text: String) -> Value? {
    // Lost is where the text is wrong. The message would quote it, and it may hold secrets.
    try? value(type, text)
  }

  /// - Throws: what the type's decoding throws. It may quote the text: not for people.
  func value<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
    try decoder.decode(type, from: Data(text.utf8))
  }
}

extension JSONValue {
  /// Whether it has more than so many levels.
  func isDeeper(than levels: Int) -> Bool {
    switch self {
    case .null, .bool, .number, .string: false
    case .array(let values):
      levels == 0 || values.contains { $0.isDeeper(than: levels - 1) }
    case .object(let values):
      levels == 0 || values.values.contains { $0.isDeeper(than: levels - 1) }
    }
  }
}
