import Tenancy
import TenancyRPC
import TenancyTestSupport
import Testing

@testable import TenancyWorkload

/// Which identities a process has, when they are made anew, and how many.
struct IssuerTests {
  private var bench: WorkloadBench
  private static let id = "spiffe://example.test/tenant/\(WorkloadBench.acme)"

  init() async throws { bench = try await WorkloadBench() }

  private func ids(
    _ issuer: WorkloadIssuer, _ peer: WorkloadPeer
  ) async throws -> [String] {
    try await issuer.answer(for: peer, signing: true).identities.map(\.spiffeID)
  }

  @Test func aProcessHasWhatItsEntriesSay() async throws {
    try await bench.register(path: "one")
    try await bench.register(WorkloadBench.globex, path: "two", .init(userID: 7, groupID: 9))
    try await bench.register(nil, path: "viewer", .init(userID: 7))
    let issuer = bench.issuer()
    #expect(
      try await ids(issuer, bench.peer())
        == ["\(Self.id)/one", "spiffe://example.test/platform/viewer"])
    let error = await status { try await ids(issuer, bench.peer(user: 8)) }
    #expect(error?.code == .permissionDenied)
  }

  @Test func whoCanNotBeToldFromOthersHasNothing() async throws {
    try await bench.register()
    let issuer = bench.issuer()
    let gone = FakeProcess()
    gone.change { $0.isSame = false }
    for process in [nil, gone] {
      let error = await status { try await ids(issuer, bench.peer(process)) }
      #expect(error?.code == .permissionDenied)
    }
  }

  /// A program may become another, by `exec`, and keep its connection.
  @Test func aProcessIsLookedAtEachTime() async throws {
    try await bench.register(path: "one")
    let unit = WorkloadEntry.Selectors(userID: 7, systemdUnit: "web.service")
    try await bench.register(path: "two", unit)
    let (process, issuer) = (FakeProcess(unit: "web.service"), bench.issuer())
    let peer = bench.peer(process)
    #expect(try await ids(issuer, peer).count == 2)
    process.change { $0.unit = "other.service" }
    #expect(try await ids(issuer, peer) == ["\(Self.id)/one"])
  }

  @Test func certificatesAreKeptUntilHalfOfTheirLife() async throws {
    try await bench.register(lifetime: 600)
    let (peer, issuer) = (bench.peer(), bench.issuer())
    func certificate() async throws -> [UInt8] {
      let answer = try await issuer.answer(for: peer, signing: true)
      return try #require(answer.identities.first).credential.chain
    }
    let first = try await certificate()
    bench.clock.advance(seconds: 299)
    #expect(try await certificate() == first)
    bench.clock.advance(seconds: 1)
    let second = try await certificate()
    #expect(second != first)
    #expect(try await certificate() == second)
    // Another connection has its own.
    let other = try await issuer.answer(for: bench.peer(), signing: true)
    #expect(other.identities.first?.credential.chain != second)
  }

  @Test func aStreamIsLookedAtAgainAtHalfOfALifeOrBefore() async throws {
    try await bench.register(lifetime: 600)
    try await bench.register(path: "short", .init(userID: 7, groupID: 8), lifetime: 60)
    let answer = try await bench.issuer().answer(for: bench.peer(), signing: true)
    #expect(answer.nextTime == bench.clock.now + .seconds(30))
    let alone = try await bench.issuer().answer(for: bench.peer(group: 1), signing: true)
    // Not later than a process is looked at again.
    #expect(alone.nextTime == bench.clock.now + bench.terms.attestationInterval)
    #expect(alone.identities.first?.rotateTime == bench.clock.now + .seconds(300))
  }

  @Test mutating func lifeIsWhatTheNodeAllows() async throws {
    bench.terms.maximumLife = 60
    try await bench.register(lifetime: 600)
    let answer = try await bench.issuer().answer(for: bench.peer(), signing: true)
    let credential = try #require(answer.identities.first).credential
    #expect((60...95).contains(credential.notAfter - credential.notBefore))
  }

  @Test func tenantsThatAreNotServedHaveNoWorkloads() async throws {
    try await bench.register()
    let issuer = bench.issuer()
    for state in TenantState.known where state != .active {
      try await bench.put(WorkloadBench.tenant(WorkloadBench.acme, "acme", state))
      let error = await status { try await ids(issuer, bench.peer()) }
      #expect(error?.code == .permissionDenied, "\(state)")
    }
    try await bench.put(WorkloadBench.tenant(WorkloadBench.acme, "acme"))
    #expect(try await ids(issuer, bench.peer()).count == 1)
  }

  @Test mutating func aProcessHasSoManyAndNoMore() async throws {
    bench.terms.identities = 3
    for number in 0..<4 { try await bench.register(path: "w\(number)") }
    let found = try await ids(bench.issuer(), bench.peer())
    #expect(found == (0..<3).map { "\(Self.id)/w\($0)" })
  }

  @Test mutating func signingIsBoundedForEachUser() async throws {
    bench.terms.signatures = (burst: 2, perSecond: 1)
    // Certificates are dated by the machine's clock, and the test may be held up for some time.
    bench.clock.advance(seconds: 300)
    try await bench.register()
    try await bench.register(path: "other", .init(userID: 9))
    let issuer = bench.issuer()
    let kept = bench.peer()
    #expect(try await ids(issuer, kept).count == 1)
    #expect(try await ids(issuer, bench.peer()).count == 1)
    let error = await status { try await ids(issuer, bench.peer()) }
    #expect(error?.code == .resourceExhausted && error?.retryAfter != nil)
    // What one has costs nothing, and others have a budget of their own.
    #expect(try await ids(issuer, kept).count == 1)
    #expect(try await ids(issuer, bench.peer(user: 9)).count == 1)
    bench.clock.advance(seconds: 1)
    #expect(try await ids(issuer, bench.peer()).count == 1)
  }

  /// In another's mount namespace, anything can have the name of a program.
  @Test func aProgramIsTheFileAndNotItsName() async throws {
    let (path, file) = ("/etc/passwd", try #require(ProcDirectory.file(at: "/etc/passwd")))
    try await bench.register(path: "one", .init(userID: 7, binaryPath: path))
    let issuer = bench.issuer()
    let process = FakeProcess(program: Program(path: path, file: file))
    #expect(try await ids(issuer, bench.peer(process)) == ["\(Self.id)/one"])
    let other = FileIdentity(device: file.device, inode: file.inode + 1)
    process.change { $0.program = Program(path: path, file: other) }
    let error = await status { try await ids(issuer, bench.peer(process)) }
    #expect(error?.code == .permissionDenied)
  }

  /// At half of its life, what a process has is good still: its stream goes on, and asks again soon.
  @Test mutating func whatIsGoodIsKeptWhenNoneCanBeSigned() async throws {
    bench.terms.signatures = (burst: 2, perSecond: 0)
    try await bench.register(lifetime: 600)
    let (peer, issuer) = (bench.peer(), bench.issuer())
    let first = try await issuer.answer(for: peer, signing: true)
    _ = try await issuer.answer(for: bench.peer(), signing: true)
    bench.clock.advance(seconds: 400)
    let second = try await issuer.answer(for: peer, signing: true)
    #expect(first.identities.first?.credential.chain == second.identities.first?.credential.chain)
    #expect(second.nextTime == bench.clock.now + .seconds(5))
    // The machine's clock, which certificates are dated by, has gone on meanwhile.
    let end = try #require(first.identities.first).credential.notAfter
    bench.clock.advance(seconds: end - 9 - bench.clock.now.seconds)
    let error = await status { try await ids(issuer, peer) }
    #expect(error?.code == .resourceExhausted)
  }

  /// One that was made while the clock was ahead is of no use before that time comes.
  @Test func aClockThatWasAheadLeavesNothingBehind() async throws {
    try await bench.register(lifetime: 600)
    let (peer, issuer) = (bench.peer(), bench.issuer())
    let first = try await issuer.answer(for: peer, signing: true)
    bench.clock.advance(seconds: -1_000)
    let second = try await issuer.answer(for: peer, signing: true)
    #expect(first.identities.first?.credential.chain != second.identities.first?.credential.chain)
  }

  @Test func bundlesNeedNoSignature() async throws {
    try await bench.register()
    let answer = try await bench.issuer().answer(for: bench.peer(), signing: false)
    #expect(answer.identities.isEmpty && answer.entries.count == 1)
    let error = await status {
      try await bench.issuer().answer(for: bench.peer(user: 1), signing: false)
    }
    #expect(error?.code == .permissionDenied)
  }

  @Test func anotherAuthorityMakesOthers() async throws {
    try await bench.register()
    let (peer, issuer) = (bench.peer(), bench.issuer())
    let first = try await issuer.answer(for: peer, signing: true)
    let other = try WorkloadBench.makeAuthority(bench.directory, "other")
    #expect(issuer.replace(WorkloadAuthorities(other)))
    let second = try await issuer.answer(for: peer, signing: true)
    #expect(first.identities.first?.credential.chain != second.identities.first?.credential.chain)
    #expect(first.authority.bundle != second.authority.bundle)
  }

  @Test mutating func findingOutMayNotTakeLong() async throws {
    bench.terms.attestationTimeout = .milliseconds(500)
    try await bench.register()
    let (gate, process) = (Barrier(), FakeProcess())
    process.change { $0.onLook = { _ in gate.wait() } }
    let issuer = bench.issuer()
    let error = await status { try await ids(issuer, bench.peer(process)) }
    #expect(error?.code == .unavailable)
    // Other users do not wait for it, and the user's own have their turn when it is over.
    try await bench.register(path: "other", .init(userID: 8))
    #expect(try await ids(issuer, bench.peer(user: 8)).count == 1)
    gate.open()
    #expect(try await ids(issuer, bench.peer()).count == 1)
  }
}
