import Tenancy
import TenancyTestSupport
import TenancyWire
import Testing

@testable import TenancyServer

@Suite("Answers to Envoy")
struct RequestVerdictTests {
  private static let categories: [TenancyError.Category] = [
    .invalidArgument, .notFound, .alreadyExists, .failedPrecondition, .permissionDenied, .aborted,
    .unavailable, .unimplemented, .resourceExhausted, .unauthenticated, .internalError, .cancelled,
    .outOfRange,
  ]

  /// Envoy looks at the status, and takes 0 for a yes.
  @Test(arguments: categories)
  func noErrorLetsARequestThrough(_ category: TenancyError.Category) throws {
    let error = TenancyError(
      category, .tenantNotFound, "a\r\nb \"c\"" + String(repeating: "d", count: 10_000),
      retryAfterSeconds: 0)
    let answer = RequestAnswer.denied(error)
    #expect(answer.status?.code != 0 && answer.status != nil)
    guard case .deniedResponse(let denied)? = answer.httpResponse else {
      Issue.record("no denial")
      return
    }
    #expect((400...599).contains(denied.status?.code ?? 0))
    #expect(denied.body.utf8.count < 2048)
    for option in denied.headers {
      #expect(option.append == GoogleProtobuf.BoolValue(value: false))
      // Envoy takes an answer with such a value for an error.
      #expect(option.header?.value.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F } == true)
    }
    #expect(denied.headers.contains { $0.header?.key == "retry-after" && $0.header?.value == "1" })
  }

  @Test func headersHoldWhateverASubjectIsCalled() {
    #expect(PercentEncoding.encode("user:al") == "user:al")
    #expect(PercentEncoding.encode("a b\r\nc%é") == "a%20b%0D%0Ac%25%C3%A9")
    for text in ["", "a", "100%", "\u{0}x", "é/ß", " "] {
      let encoded = PercentEncoding.encode(text)
      #expect(PercentEncoding.decode(encoded.utf8Span.span.bytes) == Array(text.utf8))
    }
    for text in ["%", "%1", "a%", "%g0", "%0g", "%%41"] {
      #expect(PercentEncoding.decode(text.utf8Span.span.bytes) == nil, "\(text)")
    }
  }
}
