internal import Tenancy

/// The configuration of most tenants, without settings, flags and a database of their own, read and written
/// without a JSON coder, which would take a third of the time that loading a large store does, and a fifth of
/// a write's. Any other text, and every other spelling of these, is left to the coder.
enum PlainConfiguration {
  private static let start: StaticString = #"{"customSettings":{},"featureFlags":{}"#
  private static let schema: StaticString = #","schema":{"schemaName":""#
  private static let shared: StaticString = #","shared":{"tenantIdentifier":""#
  /// Behind a name.
  private static let end: StaticString = #""}"#

  /// Nil for a text that is not of this form.
  static func decode(_ text: RawSpan) -> TenantConfiguration? {
    text.withUnsafeBytes { bytes in
      var rest = bytes
      guard skip(start, in: &rest) else { return nil }
      var configuration = TenantConfiguration()
      if skip(schema, in: &rest) {
        guard let name = name(in: &rest) else { return nil }
        configuration.schema = SchemaConfiguration(schemaName: name)
      }
      if skip(shared, in: &rest) {
        guard let name = name(in: &rest) else { return nil }
        configuration.shared = SharedConfiguration(tenantIdentifier: name)
      }
      return rest.count == 1 && rest.first == UInt8(ascii: "}") ? configuration : nil
    }
  }

  /// The text that the coder makes, too; nil for a configuration that is not of this kind.
  static func encode(_ configuration: TenantConfiguration) -> String? {
    guard configuration.database == nil, configuration.customSettings.isEmpty,
      configuration.featureFlags.isEmpty, configuration.routes.isEmpty,
      configuration.limits == nil, configuration.placement == nil,
      configuration.dataCategories.isEmpty, configuration.secretSettings.isEmpty
    else { return nil }
    let names = [
      (schema, configuration.schema?.schemaName), (shared, configuration.shared?.tenantIdentifier),
    ]
    var text = ""
    func add(_ part: StaticString) { text += part.description }
    add(start)
    for case (let key, let name?) in names {
      guard name.utf8.allSatisfy(isPlain) else { return nil }
      add(key)
      text += name
      add(end)
    }
    return text + "}"
  }

  private static func skip(
    _ part: StaticString, in rest: inout UnsafeRawBufferPointer
  ) -> Bool {
    part.withUTF8Buffer { part in
      guard rest.count >= part.count,
        UnsafeRawBufferPointer(rebasing: rest.prefix(part.count))
          .holdsSame(as: UnsafeRawBufferPointer(part))
      else { return false }
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part.count))
      return true
    }
  }

  /// Up to the quote, the brace behind it included.
  private static func name(in rest: inout UnsafeRawBufferPointer) -> String? {
    let name = rest.prefix(while: isPlain)
    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(name.count))
    return skip(end, in: &rest) ? String(decoding: name, as: UTF8.self) : nil
  }

  /// What JSON writes as it is, and names are made of.
  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"),
      UInt8(ascii: "."):
      true
    default: false
    }
  }
}
