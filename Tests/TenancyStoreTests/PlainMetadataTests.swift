import Tenancy
import Testing

@testable import TenancyStore

struct PlainMetadataTests {
  private static let json = JSONCoding()

  private static func tenant(_ metadata: TenantMetadata) -> Tenant {
    var tenant = Sample.tenant(1)
    tenant.metadata = metadata
    return tenant
  }

  private static func text(_ metadata: TenantMetadata) throws -> String {
    try #require(try TokensDocument.text(of: tenant(metadata), json))
  }

  private static func decoded(_ text: String) -> TenantMetadata? {
    guard let document = json.decode(TokensDocument.self, text) else { return nil }
    var tenant = Sample.tenant(1)
    document.apply(to: &tenant)
    return tenant.metadata
  }

  @Test(arguments: [
    ["a": "b"], ["a": ""], ["example.com/team": "core", "region": "eu-1", "x_y.z": "1"],
  ])
  func readsWhatIsWritten(_ labels: [String: String]) throws {
    let metadata = TenantMetadata(labels: labels)
    let text = try Self.text(metadata)
    #expect(PlainMetadata.decode(text.utf8Span.span.bytes) == metadata)
    #expect(Self.decoded(text) == metadata)
  }

  @Test(arguments: [
    TenantMetadata(annotations: ["a": "b"]), TenantMetadata(labels: ["a": "\""]),
    TenantMetadata(labels: ["a": "b"], annotations: ["a": "b"]), TenantMetadata(labels: ["é": ""]),
  ])
  func leavesOthersToTheDecoder(_ metadata: TenantMetadata) throws {
    let text = try Self.text(metadata)
    #expect(PlainMetadata.decode(text.utf8Span.span.bytes) == nil)
    #expect(Self.decoded(text) == metadata)
  }

  /// Every text that is one byte shorter, longer or different is the decoder's, or means the same to it.
  @Test func takesNothingThatTheDecoderReadsOtherwise() throws {
    let text = try Self.text(TenantMetadata(labels: ["a1": "b", "a2": "c"]))
    let bytes = Array(text.utf8)
    for at in bytes.indices {
      for change in [[], [0x22], [bytes[at], bytes[at]], [0x7D], [0x31], [0x5C], [0x2C]] {
        let doctored = String(
          decoding: bytes[..<at] + change + bytes[(at + 1)...], as: UTF8.self)
        guard let found = PlainMetadata.decode(doctored.utf8Span.span.bytes) else { continue }
        #expect(found == Self.decoded(doctored), "\(doctored)")
      }
    }
  }
}
