import TenancyRPC
import Testing

@testable import TenancyRPCServices

/// Generated oneofs, which only the services here have.
@Suite struct OneofTests {
  private typealias Request = GRPCReflection.ServerReflectionRequest

  private func decode(_ bytes: [UInt8]) throws(WireError) -> Request {
    try bytes.span.bytes.withUnsafeBytes { bytes throws(WireError) in
      try Request(decoding: bytes, arena: Arena())
    }
  }

  @Test(
    arguments: [
      nil, .fileByFilename("a"), .fileContainingSymbol(""), .listServices("*"),
      .fileContainingExtension(.init(containingType: "x.T", extensionNumber: -1)),
      .fileContainingExtension(.init()), .allExtensionNumbersOfType("ünï"),
    ] as [GRPCReflection.ServerReflectionRequest.MessageRequest?])
  func roundTrip(_ choice: GRPCReflection.ServerReflectionRequest.MessageRequest?) throws {
    let request = Request(host: "h", messageRequest: choice)
    #expect(try decode(request.encode(arena: Arena())) == request)
  }

  @Test func theLastOneCounts() throws {
    let bytes: [UInt8] =
      [0x1A, 1, UInt8(ascii: "a")] + [0x2A, 2, 0x10, 7] + [0x22, 1, UInt8(ascii: "b")]
    #expect(try decode(bytes).messageRequest == .fileContainingSymbol("b"))
    #expect(
      try decode(bytes + [0x2A, 2, 0x10, 9]).messageRequest
        == .fileContainingExtension(.init(extensionNumber: 9)))
  }

  @Test func anUnknownChoiceIsNone() throws {
    #expect(try decode([0x42, 1, 0x61]).messageRequest == nil)
  }

  @Test func textInAOneofIsChecked() {
    #expect(
      throws: WireError.violation(
        .init(field: "file_by_filename", description: "is not valid UTF-8"))
    ) { try decode([0x1A, 1, 0xFF]) }
    #expect(
      throws: WireError.violation(
        .init(
          field: "file_containing_extension.containing_type",
          description: "contains a NUL character"))
    ) { try decode([0x2A, 3, 0x0A, 1, 0]) }
  }
}
