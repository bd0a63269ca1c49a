import Testing

@testable import RPC

@Suite("Backoff")
struct BackoffTests {
  @Test func growsToItsLimitAndStartsOver() {
    var random = SystemRandomNumberGenerator()
    var backoff = Backoff()
    var nominal = Backoff.first
    for _ in 0..<40 {
      let delay = backoff.next(using: &random)
      #expect(delay >= nominal * (1 - Backoff.jitter) - .microseconds(1))
      #expect(delay <= nominal * (1 + Backoff.jitter) + .microseconds(1))
      nominal = min(nominal * Backoff.factor, Backoff.longest)
    }
    #expect(nominal == Backoff.longest)
    backoff.reset()
    #expect(backoff.next(using: &random) <= Backoff.first * (1 + Backoff.jitter))
  }
}
