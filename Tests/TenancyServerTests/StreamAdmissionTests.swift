import Foundation
import Logging
import Synchronization
import TenancyRPCTestSupport
import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyRPCClient
@testable import TenancyRPCCore
@testable import TenancyRPCServer
@testable import TenancyServer

/// Streams of a real server: what ends them in the middle, and how.
@Suite("Admission of streams", .timeLimit(.minutes(1)))
struct StreamAdmissionTests {
  static let rules = IdentityRules(trustDomains: ["d"])

  // Methods of an API of a test's own, on messages that are there.
  private typealias Request = V1.GetTenantRequest
  private typealias Response = V1.WhoAmIResponse

  private static func spec(
    _ kind: CallKind, namesTenant: Bool = true
  ) -> MethodSpec<Request, Response> {
    let method = RPCMethod<Request, Response>(path: "/scratch.v1.Scratch/\(kind)", kind: kind)
    let permission = "scratch.things:watch"
    guard namesTenant else {
      return MethodSpec(
        method, requirement: Requirement(permission: permission, scope: .tenant), tenantField: nil)
    }
    return MethodSpec(
      method,
      requirement: Requirement(permission: permission, scope: .tenant, tenantField: "name"),
      tenantField: { $0.pointee.name })
  }

  let clock = TestClock()
  private let plane: ControlPlane

  init() throws {
    let store = MemoryStore()
    let role = Role(
      id: "watcher", title: "", summary: "", permissions: ["scratch.things:watch"], version: 1,
      createTime: Sample.moment, updateTime: Sample.moment)
    let end = Timestamp(nanoseconds: Sample.moment.nanoseconds + 60 * 1_000_000_000)
    try store.append([
      LogEntry(
        revision: 1, time: Sample.moment, actor: "test", action: "test", tenants: [],
        changes: [
          .putTenant(Sample.tenant(1, "acme")), .putTenant(Sample.tenant(2, "globex")),
          .putRole(Sample.id(1), role),
          .putAssignment(
            Sample.id(1),
            RoleAssignment(
              id: "a", subject: "watcher", role: "watcher", createTime: Sample.moment,
              expireTime: nil)
          ),
          .putAssignment(
            Sample.id(1),
            RoleAssignment(
              id: "b", subject: "guest", role: "watcher", createTime: Sample.moment, expireTime: end
            )),
        ])
    ])
    let clock = clock
    plane = try ControlPlane(store: store, clock: { clock.now })
  }

  func caller(
    _ subject: String, expires: Int64 = 1_900_000_000,
    refusal: @escaping @Sendable () -> String? = { nil }
  ) -> Caller {
    Caller(
      .tenant(name: "acme"), subject: subject, source: .certificate,
      certificate: Sample.certificate(["spiffe://d/tenant/acme/w"], notAfter: expires),
      rules: Self.rules, refusal: refusal)
  }

  struct Running {
    let channel: RPCChannel
    let leases: StreamLeases
    let server: Server
  }

  /// A server of the three kinds of streams, which go on until they are ended.
  private func serving(
    _ caller: Caller, _ wire: WireProtocol = .grpc, _ body: (Running) async throws -> Void
  ) async throws {
    let leases = StreamLeases(plane, limits: StreamLeases.Limits(interval: .milliseconds(10)))
    let gate = Gate(plane: plane, streams: leases)
    let methods = [
      gate.serverStreaming(Self.spec(.serverStreaming)) { _, responses, stream in
        let tenant = try stream.access().target?.idText ?? ""
        try await responses.send(Response(tenant: tenant))
        let rest: Void? = try await stream.drain.cancelling {
          try await Task.sleep(for: .seconds(3600))
        }
        if rest == nil { throw StreamCall.interrupted(resumption: "7") }
      },
      gate.bidirectional(Self.spec(.bidirectional)) { requests, responses, _ in
        while let (access, _) = try await requests.next() {
          try await responses.send(Response(tenant: access.target?.idText ?? ""))
        }
      },
      gate.clientStreaming(Self.spec(.clientStreaming, namesTenant: false)) {
        requests, _ in
        var count = 0
        while try await requests.next() != nil { count += 1 }
        return Response(tenant: "\(count)")
      },
    ]
    // Whoever connects is this caller.
    let delegate = TenancyDelegate(
      plane: plane, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) { _ in .success(caller) }
    let judging = Task { await leases.run() }
    await leases.untilFollowed()
    try await outcome {
      try await TenancyRPCTestSupport.serving(methods, by: delegate, over: .speaking(wire)) {
        try await body(Running(channel: $0, leases: leases, server: $1))
      }
    } then: {
      judging.cancel()
      await judging.value
      await plane.close()
    }
  }

  /// How a watch ends when `change` has been made in the middle of it.
  func ending(
    of caller: Caller, over wire: WireProtocol = .grpc,
    by change: @escaping (Running) async throws -> Void
  ) async throws -> RPCStatus? {
    var ended: RPCStatus?
    try await serving(caller, wire) { running in
      var told: [String] = []
      ended = await #expect(throws: RPCStatus.self) {
        try await running.channel.serverStreaming(
          Self.spec(.serverStreaming).method, Request(name: "tenants/acme")
        ) { responses in
          for try await response in responses {
            told.append(response.tenant)
            try await change(running)
          }
        }
      }
      #expect(told == [Sample.id(1).description])
      #expect(running.leases.count == 0)
    }
    return ended
  }

  func write(
    _ body: @escaping @Sendable (inout Transaction) throws(TenancyError) -> Void
  ) async throws {
    try await plane.write(actor: "test", action: "test", body)
  }

  private func set(_ state: TenantState) async throws {
    try await write { transaction throws(TenancyError) in
      guard var acme = transaction.state.find(Sample.id(1))?.tenant else { return }
      acme.state = state
      acme.epoch += 1
      transaction.emit(.putTenant(acme), about: acme.id)
    }
  }

  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func ofASuspendedTenant(wire: WireProtocol) async throws {
    let status = try await ending(of: caller("watcher"), over: wire) { _ in
      try await set(.suspended)
    }
    #expect(status?.code == .permissionDenied)
    #expect(status?.message.contains("suspended") == true)
  }

  /// Whatever it is by the time that it is looked at.
  @Test func ofATenantWhoseEpochHasMoved() async throws {
    let status = try await ending(of: caller("watcher")) { _ in try await set(.active) }
    #expect(status?.code == .unavailable)
  }

  @Test func ofAPlatformIdentityWhoseTenantIsGone() async throws {
    var rules = Self.rules
    rules.platformRoles["watcher"] = [try #require(Permission(parsing: "scratch.things:*"))]
    let platform = Caller(
      .platform(roles: ["watcher"]), subject: "p", source: .certificate, certificate: nil,
      rules: rules)
    let status = try await ending(of: platform) { _ in try await set(.deleted) }
    #expect(status?.code == .notFound || status?.code == .unavailable)
  }

  @Test func ofARoleThatIsTakenAway() async throws {
    let status = try await ending(of: caller("watcher")) { _ in
      try await write { transaction throws(TenancyError) in
        transaction.emit(.deleteAssignment(Sample.id(1), id: "a"), about: Sample.id(1))
      }
    }
    #expect(status?.code == .permissionDenied)
  }

  @Test func ofARoleThatEnds() async throws {
    let status = try await ending(of: caller("guest")) { _ in clock.advance(seconds: 62) }
    #expect(status?.code == .permissionDenied)
  }

  @Test func ofACertificateThatEnds() async throws {
    let end = Sample.moment.seconds + 30
    let status = try await ending(of: caller("watcher", expires: end)) { _ in
      clock.advance(seconds: 32)
    }
    #expect(status?.code == .unauthenticated)
  }

  @Test func ofACertificateThatIsRevoked() async throws {
    let isRevoked = Mutex(false)
    let revoked = caller("watcher") { isRevoked.withLock { $0 } ? "revoked" : nil }
    let status = try await ending(of: revoked) { running in
      isRevoked.withLock { $0 = true }
      running.leases.reviewAll()
    }
    #expect(status?.code == .unauthenticated)
  }

  /// With what the client needs to go on elsewhere, and at once.
  @Test(arguments: [WireProtocol.grpc, .ttrpc])
  func ofAServerThatStops(wire: WireProtocol) async throws {
    var stopping: Task<Void, Never>?
    let status = try await ending(of: caller("watcher"), over: wire) { running in
      stopping = Task { await running.server.stop(within: .seconds(600)) }
    }
    await stopping?.value
    #expect(status?.code == .unavailable)
    let details = String(decoding: status?.details ?? [], as: UTF8.self)
    #expect(details.contains("SERVER_STOPPING") && details.contains("resume_token"))
  }

  /// Before anything is sent.
  @Test func whoIsNotAdmittedGetsNothing() async throws {
    try await serving(caller("nobody")) { running in
      for name in ["tenants/acme", "tenants/globex", "tenants/none"] {
        let status = await #expect(throws: RPCStatus.self) {
          try await running.channel.serverStreaming(
            Self.spec(.serverStreaming).method, Request(name: name)
          ) { responses in
            for try await _ in responses { Issue.record("got a message") }
          }
        }
        #expect(status?.code == .permissionDenied)
      }
      let status = await #expect(throws: RPCStatus.self) {
        _ = try await running.channel.clientStreaming(
          Self.spec(.clientStreaming, namesTenant: false).method
        ) { _ in }
      }
      #expect(status?.code == .permissionDenied)
      #expect(running.leases.count == 0)
    }
  }

  /// Each request names a tenant of its own, and is judged for it.
  @Test func eachRequestOfAStreamIsJudged() async throws {
    try await serving(caller("watcher")) { running in
      var told: [String] = []
      let status = await #expect(throws: RPCStatus.self) {
        try await running.channel.bidirectional(Self.spec(.bidirectional).method) {
          requests, responses in
          try await requests.send(Request(name: "tenants/acme"))
          for try await response in responses {
            told.append(response.tenant)
            try await requests.send(
              Request(name: told.count < 3 ? "tenants/acme" : "tenants/globex"))
          }
        }
      }
      #expect(told == Array(repeating: Sample.id(1).description, count: 3))
      #expect(status?.code == .permissionDenied)
    }
  }

  @Test func manyRequestsHaveOneAnswer() async throws {
    try await serving(caller("watcher")) { running in
      let answer = try await running.channel.clientStreaming(
        Self.spec(.clientStreaming, namesTenant: false).method
      ) { requests in
        for _ in 0..<5 { try await requests.send(Request()) }
      }
      #expect(answer.tenant == "5")
    }
  }
}
