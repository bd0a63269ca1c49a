import Synchronization
import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyRPCServer
@testable import TenancyServer

/// When the admissions of streams are judged, and what that costs.
@Suite("Leases of streams", .timeLimit(.minutes(1)))
struct StreamLeaseTests {
  /// A stream as its lease sees it.
  private final class Stream: Sendable {
    private let judged = Atomic(0)
    private let refusal = Mutex<TenancyError?>(nil)
    private let next = Mutex<Timestamp?>(nil)
    private let ends: AsyncStream<TenancyError>
    private let ended: AsyncStream<TenancyError>.Continuation

    init(until next: Timestamp? = nil) {
      (ends, ended) = AsyncStream.makeStream()
      self.next.withLock { $0 = next }
    }

    var judgements: Int { judged.load(ordering: .sequentiallyConsistent) }
    func judgeAgain(at time: Timestamp) { next.withLock { $0 = time } }
    func refuse(_ error: TenancyError) { refusal.withLock { $0 = error } }
    func end() async -> TenancyError? { await ends.first { _ in true } }

    func terms(_ tenants: TenantID..., payer: WritePayer = .platform("p")) -> StreamLeases.Terms {
      StreamLeases.Terms(
        question: StreamLeases.Question(
          caller: ObjectIdentifier(self), method: "", tenants: tenants, epochs: []),
        payer: payer, isTenants: true, tenants: tenants,
        judge: { _ throws(TenancyError) in
          self.judged.add(1, ordering: .sequentiallyConsistent)
          if let error = self.refusal.withLock({ $0 }) { throw error }
          return self.next.withLock { $0 }
        }, end: { self.ended.yield($0) })
    }
  }

  private static let denied = TenancyError(
    .permissionDenied, .permissionMissing, "not any more")

  private let store = MemoryStore()
  private let clock = TestClock()
  private let plane: ControlPlane
  private let leases: StreamLeases

  init() throws {
    try store.append([
      LogEntry(
        revision: 1, time: Sample.moment, actor: "test", action: "test", tenants: [],
        changes: [
          .putTenant(Sample.tenant(1, "acme")), .putTenant(Sample.tenant(2, "globex")),
        ])
    ])
    let clock = clock
    plane = try ControlPlane(store: store, clock: { clock.now })
    leases = StreamLeases(
      plane, limits: StreamLeases.Limits(ofTenant: 3, interval: .milliseconds(10)))
  }

  /// With leases that are judged.
  private func judging(_ body: () async throws -> Void) async throws {
    let task = Task { await leases.run() }
    await leases.untilFollowed()
    try await outcome(of: body) {
      task.cancel()
      await task.value
    }
  }

  private func refusal(of terms: StreamLeases.Terms) -> TenancyError? {
    thrown { () throws(TenancyError) in _ = try leases.hold(terms) }
  }

  private func rename(_ number: UInt64, _ text: String) async throws {
    try await plane.write(actor: "test", action: "test") { transaction throws(TenancyError) in
      guard var tenant = transaction.state.find(Sample.id(number))?.tenant else { return }
      tenant.displayName = text
      transaction.emit(.putTenant(tenant), about: tenant.id)
    }
  }

  @Test func aChangeOfItsTenantEndsWhatIsNotAdmittedAnyMore() async throws {
    try await judging {
      let (stream, other) = (Stream(), Stream())
      _ = try leases.hold(stream.terms(Sample.id(1)))
      _ = try leases.hold(other.terms(Sample.id(2)))
      #expect(stream.judgements == 1)
      stream.refuse(Self.denied)
      other.refuse(Self.denied)
      try await rename(1, "changed")
      #expect(await stream.end()?.reason == .permissionMissing)
      // Of others nothing is asked.
      #expect(other.judgements == 1 && leases.count == 1)
    }
  }

  @Test func nobodyIsAskedForWhatTouchesNobody() async throws {
    try await judging {
      let (idle, last) = (Stream(), Stream())
      _ = try leases.hold(idle.terms(Sample.id(2)))
      _ = try leases.hold(last.terms(Sample.id(1)))
      for number in 0..<200 { try await rename(1, "name \(number)") }
      last.refuse(Self.denied)
      try await rename(1, "the last")
      #expect(await last.end() != nil)
      #expect(idle.judgements == 1)
    }
  }

  @Test func whatChangesWhileItIsAdmittedIsSeen() async throws {
    try await judging {
      let stream = Stream()
      stream.refuse(Self.denied)
      #expect(refusal(of: stream.terms()) != nil)
      #expect(leases.count == 0)
    }
  }

  @Test func whatEndsByItselfIsJudgedThen() async throws {
    let second = Sample.moment.seconds
    try await judging {
      let early = Stream(until: Timestamp(seconds: second + 5, subsecondNanoseconds: 1))
      let late = Stream(until: Timestamp(seconds: second + 500, subsecondNanoseconds: 0))
      _ = try leases.hold(early.terms())
      _ = try leases.hold(late.terms())
      early.refuse(Self.denied)
      leases.reviewDue(at: Timestamp(seconds: second + 5, subsecondNanoseconds: 999))
      #expect(early.judgements == 1)
      leases.reviewDue(at: Timestamp(seconds: second + 5, subsecondNanoseconds: 125_000_000))
      #expect(await early.end() != nil)
      #expect(late.judgements == 1)
      // A clock that jumps misses nothing.
      leases.reviewDue(at: Timestamp(seconds: second + 1_000_000_000, subsecondNanoseconds: 0))
      #expect(late.judgements == 2 && leases.count == 1)
    }
  }

  /// What was judged on a state that was lost in a failover says nothing.
  @Test func whenTheLogIsTakenBackAllAreJudgedAnew() async throws {
    try await judging {
      try await rename(1, "a")
      try await rename(1, "b")
      let stream = Stream()
      _ = try leases.hold(stream.terms(Sample.id(2)))
      stream.judgeAgain(at: Timestamp(seconds: Sample.moment.seconds + 5, subsecondNanoseconds: 0))
      store.disk.lose(after: 1)
      store.failNextAppends(.refused(.unavailable))
      await #expect(throws: TenancyError.self) { try await rename(1, "c") }
      while plane.snapshot.state.revision > 1 { _ = await plane.recover() }
      // Until nothing but the time has it judged again: otherwise this would show less.
      var judgements = 0
      while stream.judgements < 2 || stream.judgements > judgements {
        judgements = stream.judgements
        try await Task.sleep(for: .milliseconds(50))
      }
      stream.refuse(Self.denied)
      clock.advance(seconds: 5)
      #expect(await stream.end() != nil)
    }
  }

  @Test func whoWaitsForAJudgeThatHasEndedIsTold() async throws {
    try await judging {}
    await leases.untilFollowed()
    #expect(refusal(of: Stream().terms())?.category == .unavailable)
  }

  @Test func whenCredentialsAreRevokedAllAreJudged() async throws {
    try await judging {
      let (good, bad) = (Stream(), Stream())
      _ = try leases.hold(good.terms(Sample.id(1)))
      _ = try leases.hold(bad.terms())
      bad.refuse(Self.denied)
      leases.reviewAll()
      #expect(await bad.end() != nil)
      #expect(good.judgements == 2 && leases.count == 1)
    }
  }

  @Test func aPayerHasOnlySoMany() async throws {
    try await judging {
      let payer = WritePayer.tenant(Sample.id(1))
      let held = try (0..<3).map { _ in try leases.hold(Stream().terms(payer: payer)) }
      let error = refusal(of: Stream().terms(payer: payer))
      #expect(error?.category == .resourceExhausted && error?.metadata["quota"] == "streams")
      leases.release(try leases.hold(Stream().terms(payer: .tenant(Sample.id(2)))))
      leases.release(held[0])
      leases.release(try leases.hold(Stream().terms(payer: payer)))
    }
  }

  /// Nothing fails open: what nobody judges is not served.
  @Test func withoutAJudgeThereAreNoStreams() async throws {
    #expect(refusal(of: Stream().terms())?.category == .unavailable)
    let stream = Stream()
    try await judging { _ = try leases.hold(stream.terms(Sample.id(1))) }
    #expect(await stream.end()?.category == .unavailable)
    #expect(leases.count == 0)
    #expect(refusal(of: Stream().terms())?.category == .unavailable)
  }
}
