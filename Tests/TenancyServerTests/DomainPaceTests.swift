import TenancyTestSupport
import Testing

@testable import Tenancy
@testable import TenancyServer

/// How often it is looked for domains, of whom.
@Suite struct DomainPaceTests {
  private let pace = DomainPace(perMinute: 6)
  private let clock = TestClock()

  private func takes(_ count: Int, of tenant: TenantID = Sample.id(1)) -> Int {
    (0..<count).count { _ in
      do throws(TenancyError) {
        try pace.take(for: tenant, at: clock.now)
        return true
      } catch {
        #expect(error.category == .resourceExhausted && error.reason == .limitReached)
        #expect(error.metadata["quota"] == "domain-verifications")
        #expect(error.metadata["subject"] == "tenants/\(tenant)" && error.retryAfterSeconds == 10)
        return false
      }
    }
  }

  @Test func aTenantHasItsOwn() {
    #expect(takes(20) == 6)
    #expect(takes(20, of: Sample.id(2)) == 6)
    clock.advance(seconds: 9)
    #expect(takes(1) == 0)
    clock.advance(seconds: 1)
    #expect(takes(2) == 1)
    clock.advance(seconds: 3_600)
    #expect(takes(20) == 6)
    // A clock that is set back silences nobody for long, and gives nothing.
    clock.advance(seconds: -3_600)
    #expect(takes(1) == 0)
    clock.advance(seconds: 10)
    #expect(takes(2) == 1)
  }

  /// What is kept of those who have asked is bounded; who is beyond that shares, and no one gets more.
  @Test func manyTenantsAreBounded() {
    for number in 0..<4096 as Range<UInt64> { #expect(takes(1, of: Sample.id(number + 10)) == 1) }
    #expect((0..<20 as Range<UInt64>).reduce(0) { $0 + takes(1, of: Sample.id(9_000 + $1)) } == 6)
    // Those that have all of theirs again make room.
    clock.advance(seconds: 60)
    #expect((0..<20 as Range<UInt64>).reduce(0) { $0 + takes(1, of: Sample.id(9_000 + $1)) } == 20)
  }

  @Test(arguments: [(1, 60), (6, 10), (7, 9), (60, 1), (10_000, 1), (0, 60)] as [(Int, Int64)])
  func secondsBetween(_ perMinute: Int, _ seconds: Int64) {
    #expect(DomainPace.secondsBetween(perMinute) == seconds)
  }
}
