import Tenancy
import TenancyRPC
import TenancyTestSupport
import Testing

@testable import TenancyWorkload

#if canImport(Glibc)
  import Glibc
#endif

/// The whole of it, over a socket, for this process: with a clock that tests set.
struct ServiceTests {
  private let bench: WorkloadBench
  private let user = WorkloadEntry.Selectors(userID: getuid())

  init() async throws { bench = try await WorkloadBench() }

  private func serving<Answer: Sendable>(
    terms: WorkloadTerms = WorkloadTerms(),
    _ body: (SPIFFE.SpiffeWorkloadAPIClient, WorkloadService) async throws -> Answer
  ) async throws -> Answer {
    let service = WorkloadService(
      plane: bench.plane, terms: terms, authority: WorkloadAuthorities(bench.authority)
    ) { _ in }
    let path = freePath()
    var settings = Server.Configuration(listeners: [.unix(path: path, mode: 0o600)])
    (settings.eventLoops, settings.holdsPeerProcesses) = (1, true)
    let server = try await Server(
      settings, methods: service.methods, delegate: WorkloadDelegate(terms) { _ in })
    _ = try await server.start()
    let running = Task { await service.run() }
    let channel = RPCChannel(.unix(path: path))
    return try await outcome {
      try await body(SPIFFE.SpiffeWorkloadAPIClient(channel), service)
    } then: {
      await channel.close()
      await server.stop(within: .seconds(5))
      running.cancel()
      await running.value
    }
  }

  private var header: RPCCallOptions {
    var options = RPCCallOptions(timeout: .seconds(30))
    options.metadata.add(WorkloadService.metadataName, "true")
    return options
  }

  @Test func certificatesAreMadeAnewWhenTheClockSaysSo() async throws {
    try await bench.register(path: "web", user, lifetime: 3_600)
    try await serving { client, service in
      try await client.fetchX509SVID(.init(), options: header) { answers in
        let first = try #require(try await answers.next()?.svids.first)
        // Nothing is told when a process was looked at and is what it was.
        for seconds in [30, 1_740] as [Int64] {
          bench.clock.advance(seconds: seconds)
          service.streams.look(at: bench.clock.now)
          while service.streams.waiting == 0 { await Task.yield() }
        }
        bench.clock.advance(seconds: 30)
        service.streams.look(at: bench.clock.now)
        let second = try #require(try await answers.next()?.svids.first)
        #expect(first.spiffeId == second.spiffeId && first.bundle == second.bundle)
        #expect(first.x509Svid != second.x509Svid && first.x509SvidKey != second.x509SvidKey)
      }
    }
  }

  @Test func anotherAuthorityIsTold() async throws {
    try await bench.register(path: "web", user)
    let other = try WorkloadBench.makeAuthority(bench.directory, "other")
    try await serving { client, service in
      try await client.fetchX509Bundles(.init(), options: header) { answers in
        let name = "spiffe://example.test"
        let first = try await answers.next()?.bundles
        #expect(first == [name: bench.authority.bundle])
        let others = WorkloadAuthorities(other)
        #expect(service.replace(others) && !service.replace(others))
        let second = try await answers.next()?.bundles
        #expect(second == [name: other.bundle])
      }
    }
  }

  @Test func theLastEntryEndsTheStream() async throws {
    let entry = try await bench.register(path: "web", user)
    try await serving { client, service in
      let error = await status {
        try await client.fetchX509SVID(.init(), options: header) { answers in
          let count = try await answers.next()?.svids.count
          #expect(count == 1)
          try await bench.unregister(entry)
          _ = try await answers.next()
        }
      }
      #expect(error?.code == .permissionDenied)
      #expect(service.streams.count == 0)
    }
  }

  @Test func whatIsDoneIsCounted() async throws {
    try await bench.register(path: "web", user)
    try await serving { client, service in
      let tally = service.tally
      try await client.fetchX509SVID(.init(), options: header) { answers in
        _ = try await answers.next()
        #expect(tally.count(of: .fetchX509SVID) == 1 && service.underWay == 1)
        #expect(tally.count(issued: .x509) == 1 && tally.count(issued: .jwt) == 0)
      }
      _ = await status { try await client.fetchX509SVID(.init()) { try await $0.next() } }
      #expect(tally.count(of: .fetchX509SVID) == 2 && tally.count(of: .header) == 1)
      #expect(tally.attestations.counts.reduce(0, +) >= 1 && tally.attestations.nanoseconds > 0)
      #expect(WorkloadTally.Refusal.allCases.map { tally.count(of: $0) }.reduce(0, +) == 1)
    }
  }

  @Test func callsNeedTheHeader() async throws {
    try await bench.register(path: "web", user)
    try await serving { client, service in
      let error = await status {
        try await client.fetchX509SVID(.init()) { try await $0.next() }
      }
      #expect(error?.code == .invalidArgument)
      #expect(service.streams.count == 0)
    }
  }

  @Test func callsOfAUserAreBounded() async throws {
    var terms = WorkloadTerms()
    terms.calls = (burst: 2, perSecond: 1)
    try await serving(terms: terms) { client, _ in
      var codes: [RPCStatus.Code?] = []
      for _ in 0..<3 {
        codes.append(
          await status {
            try await client.fetchX509SVID(.init(), options: header) { try await $0.next() }
          }?.code)
      }
      #expect(codes == [.permissionDenied, .permissionDenied, .resourceExhausted])
    }
  }

  @Test func linksAreNoProgramsAndDirectoriesNeither() {
    #expect(ProcDirectory.file(at: "/proc/self/exe") == nil)
    #expect(ProcDirectory.file(at: "/bin/../etc") == nil)
    #expect(ProcDirectory.file(at: "/nowhere") == nil)
    #expect(ProcDirectory.file(at: "/etc/passwd") != nil)
  }
}
