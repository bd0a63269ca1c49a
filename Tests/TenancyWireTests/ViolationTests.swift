import TenancyRPC
import CTenancyProtobufC
import Testing

@testable import TenancyWire

@Suite struct ViolationTests {
  private static let bad: [UInt8] = [0x61, 0xff]

  /// `bad` inside the fields with these numbers, the outermost first.
  private func nested(_ numbers: [UInt64], _ bad: [UInt8] = bad) -> [UInt8] {
    numbers.reversed().reduce(bad) { RawEncoding.field($1, $0) }
  }

  @Test func invalidUTF8AndNULHaveAPath() {
    let nul = V1.GetTenantRequest.violation(in: nested([1], [0x61, 0, 0x62]))
    #expect(nul == FieldViolation(field: "name", description: "contains a NUL character"))
    let invalid = V1.GetTenantRequest.violation(in: nested([1]))
    #expect(invalid == FieldViolation(field: "name", description: "is not valid UTF-8"))
  }

  @Test func pathsOfNestedMessages() {
    let schema = V1.CreateTenantRequest.violation(in: nested([1, 7, 2, 1]))
    #expect(schema?.field == "tenant.configuration.schema.schema_name")
    let deepest = V1.ListTenantsResponse.violation(in: nested([1, 7, 2, 1]))
    #expect(deepest?.field == "tenants[0].configuration.schema.schema_name")
  }

  @Test func pathsOfLists() {
    let good = RawEncoding.field(2, [])
    let item = V1.BatchCheckRequest.violation(in: good + good + good + nested([2, 1]))
    #expect(item?.field == "items[3].subject")
    let mask = V1.UpdateTenantRequest.violation(in: nested([2, 1]))
    #expect(mask?.field == "update_mask.paths[0]")
  }

  @Test func pathsOfMaps() {
    let value = RawEncoding.field(1, Array("x-a".utf8)) + RawEncoding.field(2, Self.bad)
    #expect(V1.ResolveTenantRequest.violation(in: nested([3], value))?.field == "headers[\"x-a\"]")
    #expect(V1.ResolveTenantRequest.violation(in: nested([3, 1]))?.field == "headers")
    #expect(V1.TenantConfiguration.violation(in: nested([5, 1]))?.field == "feature_flags")
  }

  @Test func pathsOfStructs() {
    let key = RawEncoding.field(1, Array("theme".utf8))
    let list = nested([6, 1, 3])  // A Value: a list, of which the first item is bad text.
    let settings = RawEncoding.field(1, key + RawEncoding.field(2, list))
    let violation = V1.Tenant.violation(in: nested([7, 4], settings))
    #expect(violation?.field == "configuration.custom_settings[\"theme\"][0]")
    let badKey = V1.Tenant.violation(in: nested([7, 4, 1, 1]))
    #expect(badKey?.field == "configuration.custom_settings")
  }

  @Test(arguments: [
    "", "a", "1234567", "12345678", "123456789012345é", "é", "☂", "𝄞", "12345678\u{7f}9",
    "\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}",
  ])
  func acceptsText(_ text: String) {
    #expect(Array(text.utf8).withUnsafeBytes { WireText.problem(in: $0) } == nil)
  }

  @Test(arguments: [
    [0xc0, 0x80], [0xc3], [0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x98],
    [0xf8, 0x88, 0x80, 0x80, 0x80], [0xfe],
  ])
  func refusesWhatIsNotUTF8(_ tail: [UInt8]) {
    for padding in 0...17 {
      let bytes = [UInt8](repeating: 0x61, count: padding) + tail
      #expect(bytes.withUnsafeBytes { WireText.problem(in: $0) } == .notUTF8)
    }
  }

  @Test func refusesNULAnywhere() {
    for length in 1...24 {
      for position in 0..<length {
        var bytes = [UInt8](repeating: 0x01, count: length)
        bytes[position] = 0
        #expect(bytes.withUnsafeBytes { WireText.problem(in: $0) } == .containsNUL)
        let afterLetter = Array("é".utf8) + bytes
        #expect(afterLetter.withUnsafeBytes { WireText.problem(in: $0) } == .containsNUL)
      }
    }
  }

  @Test func absentTextIsEmpty() throws {
    #expect(try WireText.string(ProtobufCBinaryData(), field: "name") == "")
    // A count without an address must not be believed.
    #expect(try WireText.string(ProtobufCBinaryData(len: 5, data: nil), field: "name") == "")
  }
}
