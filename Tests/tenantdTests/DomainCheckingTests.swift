import Synchronization
import Tenancy
import TenancyFetch
import Testing

@testable import tenantd

/// Who may have domains looked at, and who waits for that.
@Suite("Looking at domains", .timeLimit(.minutes(1)))
struct DomainCheckingTests {
  @Test func placesAreFewForOne() {
    let tenants = (0..<17 as Range<UInt64>).map { TenantID(high: 0, low: $0) }
    var places = CheckPlaces()
    func take(_ at: Int) -> Bool { places.take(tenants[at]) }
    #expect([take(0), take(0), take(0)] == [true, true, false])
    for at in 1..<16 { #expect([take(at), take(at), take(at)] == [true, true, false]) }
    #expect(!take(16))
    places.giveBack(tenants[3])
    #expect([take(16), take(16), take(3)] == [true, false, false])
    for _ in 0..<2 { places.giveBack(tenants[0]) }
    // Nobody gives back what was not taken.
    places.giveBack(tenants[0])
    #expect([take(0), take(0), take(0)] == [true, true, false])
  }

  @Test func theFirstAnswerCounts() async {
    let answer = await OneAnswer.of(ifCancelled: 0) { give in
      give(1)
      give(2)
    }
    #expect(answer == 1)
  }

  @Test func whoIsCancelledWaitsNoMore() async {
    let kept = Mutex<(@Sendable (Int) -> Void)?>(nil)
    let (begun, begin) = AsyncStream.makeStream(of: Void.self)
    let task = Task {
      await OneAnswer.of(ifCancelled: 0) { give in
        kept.withLock { $0 = give }
        begin.finish()
      }
    }
    for await _ in begun {}
    task.cancel()
    #expect(await task.value == 0)
    // What comes too late is dropped.
    kept.withLock { $0 }?(1)
    let before = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      return await OneAnswer.of(ifCancelled: 0) { $0(1) }
    }
    #expect(await before.value == 0)
  }

  /// Else calls that are cut off at once would take all places for good.
  @Test func whoIsCancelledBeforeTakesNoPlace() async throws {
    // Where nobody answers.
    let server = try #require(DNSClient.Server(parsing: "127.0.0.1:1"))
    let prover = DomainProver(
      DNSClient(servers: [server]), httpPort: 80, allowsInside: false)
    let checking = DomainChecking(prover)
    let claim = TenantDomain(
      tenant: TenantID(high: 0, low: 1), name: try #require(DomainName(parsing: "acme.example")),
      challenge: TenantDomain.Challenge(token: "t", proof: "p"),
      claimTime: Timestamp(nanoseconds: 0))
    let check = DomainCheck(claim, .dns)
    for _ in 0..<2 * CheckPlaces.ofTenant {
      let cut = Task {
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        return await checking.look(check)
      }
      guard case .unreachable = await cut.value else {
        Issue.record("it was looked at")
        return
      }
    }
    if case .busy = await checking.look(check) { Issue.record("its places are taken") }
  }
}
