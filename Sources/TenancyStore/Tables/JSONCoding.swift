internal import FoundationEssentials
internal import Tenancy

/// JSON as it is stored: compact, keys sorted, so that equal values have equal text.
struct JSONCoding {
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
    try? decoder.decode(type, from: Data(text.utf8))
  }
}
