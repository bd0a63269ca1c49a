import Tenancy
import Testing

@testable import TenancyStore

struct PlainConfigurationTests {
  private static let json = JSONCoding()

  private static let names = ["acme", "a-b_c.d9", "Z", ""]

  /// With and without a name for each of the two.
  private static let plain =
    (names + [nil]).flatMap { schema in
      (names + [nil]).map { shared in
        TenantConfiguration(
          schema: schema.map { SchemaConfiguration(schemaName: $0) },
          shared: shared.map { SharedConfiguration(tenantIdentifier: $0) })
      }
    }

  @Test(arguments: plain)
  func readsWhatIsWritten(_ configuration: TenantConfiguration) throws {
    let text = try Self.json.faithfulText(configuration)
    #expect(PlainConfiguration.decode(text.utf8Span.span.bytes) == configuration)
    #expect(PlainConfiguration.encode(configuration) == text)
  }

  @Test(arguments: [
    TenantConfiguration(customSettings: ["a": .bool(true)]),
    TenantConfiguration(featureFlags: ["a": true]),
    TenantConfiguration(
      database: DatabaseConfiguration(connectionString: "", username: "")),
    TenantConfiguration(schema: SchemaConfiguration(schemaName: #"a"b"#)),
    TenantConfiguration(shared: SharedConfiguration(tenantIdentifier: "a\\u0062é")),
  ])
  func leavesOthersToTheDecoder(_ configuration: TenantConfiguration) throws {
    let text = try Self.json.faithfulText(configuration)
    #expect(PlainConfiguration.decode(text.utf8Span.span.bytes) == nil)
    #expect(PlainConfiguration.encode(configuration) == nil)
    #expect(Self.json.decode(TenantConfiguration.self, text) == configuration)
  }

  /// Every text that is one byte shorter, longer or different is the decoder's, or means the same to it.
  @Test func takesNothingThatTheDecoderReadsOtherwise() throws {
    let text = try Self.json.faithfulText(
      TenantConfiguration(
        schema: SchemaConfiguration(schemaName: "s1"),
        shared: SharedConfiguration(tenantIdentifier: "t1")))
    let bytes = Array(text.utf8)
    for at in bytes.indices {
      for change in [[], [0x22], [bytes[at], bytes[at]], [0x7D], [0x30], [0x5C]] {
        let doctored = String(
          decoding: bytes[..<at] + change + bytes[(at + 1)...], as: UTF8.self)
        guard let found = PlainConfiguration.decode(doctored.utf8Span.span.bytes) else { continue }
        #expect(found == Self.json.decode(TenantConfiguration.self, doctored))
      }
    }
  }
}
