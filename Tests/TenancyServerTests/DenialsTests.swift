import Testing

@testable import TenancyServer

@Suite struct DenialsTests {
  @Test(arguments: ["r", "3f2a-9", "a b~", String(repeating: "x", count: 64)])
  func requestIDsArePrintable(_ text: String) {
    #expect(Denials.isRequestID(text))
  }

  /// They stand in chains that others read, whose clients may refuse what a caller wrote.
  @Test(arguments: ["", "a\0b", "a\nb", "\u{7F}", "ü", String(repeating: "x", count: 65)])
  func othersAreNone(_ text: String) {
    #expect(!Denials.isRequestID(text))
  }
}
