import Testing

@testable import TenancyRPCClient

@Suite("Backoff")
struct BackoffTests {
  @Test func growsToItsLimitAndStartsOver() {
    var low = Backoff()
    var high = Backoff()
    var nominal = Backoff.first
    for _ in 0..<40 {
      #expect(Self.isClose(low.next(0), nominal * (1 - Backoff.jitter)))
      #expect(Self.isClose(high.next(1), nominal * (1 + Backoff.jitter)))
      nominal = min(nominal * Backoff.factor, Backoff.longest)
    }
    #expect(nominal == Backoff.longest)
    low.reset()
    #expect(Self.isClose(low.next(0.5), Backoff.first))
  }

  static func isClose(_ found: Duration, _ wanted: Duration) -> Bool {
    abs((found - wanted) / .microseconds(1)) < 1
  }
}
