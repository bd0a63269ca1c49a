import NIOCore
import Testing

@testable import TenancyRPCClient

@Suite("Health of a channel's servers")
struct HealthWatchTests {
  static let serving: [UInt8] = [8, 1]
  static let notServing: [UInt8] = [8, 2]

  /// Two servers that are connected, with the stream on which each is asked for its health.
  static func begin(
    service: String = "a.B"
  ) throws -> (network: FakeNetwork, call: CallMailbox, servers: [FakeServer]) {
    let network = FakeNetwork()
    network.healthService = service
    let call = try network.call(network.balancer(2))
    let servers = try (0..<2).map { try #require(network.server($0)) }
    for server in servers { try server.accept() }
    for server in servers { #expect(server.paths() == ["/grpc.health.v1.Health/Watch"]) }
    return (network, call, servers)
  }

  /// How many calls of the test each server has got.
  static func calls(_ servers: [FakeServer]) -> [Int] {
    servers.map { server in server.paths().count { $0 == "/a/b" } }
  }

  @Test(arguments: [("", []), ("a.B", [0x0A, 3, 97, 46, 66])] as [(String, [UInt8])])
  func asksForTheService(service: String, request: [UInt8]) throws {
    let (_, _, servers) = try Self.begin(service: service)
    let data = servers[0].frames().filter { $0.type == 0 }
    #expect(data.map(\.payload) == [ClientStreamSessionTests.message(request)])
    #expect(data.map(\.flags) == [1])
  }

  @Test func callsWaitForTheVerdictAndAvoidTheSick() throws {
    let (network, call, servers) = try Self.begin()
    #expect(Self.calls(servers) == [0, 0])
    for server in servers { try server.begin(1) }
    try servers[0].message(Self.notServing, 1)
    #expect(call.end == nil)
    try servers[1].message(Self.serving, 1)
    #expect(Self.calls(servers) == [0, 1])
    for _ in 0..<3 { _ = try network.call(network.balancer(2)) }
    #expect(Self.calls(servers) == [0, 4])
    // The one recovers, the other falls ill.
    try servers[0].message(Self.serving, 1)
    try servers[1].message([], 1)
    for _ in 0..<3 { _ = try network.call(network.balancer(2)) }
    #expect(Self.calls(servers) == [3, 4])
  }

  @Test func withoutHealthyServersCallsFailOrWait() throws {
    let (network, call, servers) = try Self.begin()
    for server in servers {
      try server.begin(1)
      try server.message(Self.notServing, 1)
    }
    #expect(call.code == .unavailable)
    #expect(call.end?.status.message == "a.B says that it is not serving")
    let waiting = try network.call(network.balancer(2), waits: true)
    #expect(waiting.end == nil)
    try servers[1].message(Self.serving, 1)
    #expect(Self.calls(servers) == [0, 1])
    try servers[1].answer()
    #expect(waiting.code == .ok)
  }

  @Test func serverWithoutTheServiceIsTakenForHealthy() throws {
    let (_, _, servers) = try Self.begin()
    try servers[0].fail(12, 1)
    #expect(Self.calls(servers) == [1, 0])
  }

  @Test func brokenWatchIsUnhealthyAndTriedAgain() throws {
    let (network, _, servers) = try Self.begin()
    try servers[0].begin(1)
    try servers[0].message(Self.serving, 1)
    #expect(Self.calls(servers) == [1, 0])
    try servers[0].end(13, 1)
    try servers[1].fail(12, 1)
    _ = try network.call(network.balancer(2))
    #expect(Self.calls(servers) == [1, 1])
    network.advance(.milliseconds(100))
    #expect(servers[0].paths().count { $0 != "/a/b" } == 2)
    try servers[0].begin()
    try servers[0].message(Self.serving)
    for _ in 0..<2 { _ = try network.call(network.balancer(2)) }
    #expect(Self.calls(servers) == [2, 2])
  }

  /// A server that drains is not kept by those who watch it.
  @Test func watchEndsWhenTheServerGoesAway() throws {
    let (network, call, servers) = try Self.begin()
    for server in servers {
      try server.begin(1)
      try server.message(Self.serving, 1)
    }
    #expect(Self.calls(servers) == [1, 0])
    try servers[0].send(Frame.goAway(last: 3))
    network.loop.run()
    #expect(servers[0].frames().contains { $0.type == 3 && $0.stream == 1 })
    #expect(servers[0].isOpen)
    try servers[0].answer(3)
    #expect(call.code == .ok)
    #expect(!servers[0].isOpen)
  }

  /// A verdict is about one connection.
  @Test func newConnectionIsJudgedAnew() throws {
    let (network, _, servers) = try Self.begin()
    try servers[0].fail(12, 1)
    try servers[1].fail(12, 1)
    servers[0].drop()
    _ = try network.call(network.balancer(2))
    try network.server(0)?.accept()
    let again = try #require(network.server(0))
    _ = try network.call(network.balancer(2))
    #expect(Self.calls([again, servers[1]]) == [0, 2])
    try again.begin()
    try again.message(Self.serving)
    for _ in 0..<2 { _ = try network.call(network.balancer(2)) }
    #expect(Self.calls([again, servers[1]]) == [1, 3])
  }
}

@Suite("Keepalive of a channel")
struct KeepaliveTests {
  static func begin(withoutCalls: Bool = false) throws -> (FakeNetwork, CallMailbox, FakeServer) {
    let network = FakeNetwork()
    network.keepalive = KeepaliveOptions(
      time: .seconds(10), timeout: .seconds(3), withoutCalls: withoutCalls)
    let call = try network.call(network.balancer(1))
    let server = try #require(network.server(0))
    try server.accept()
    _ = server.frames()
    return (network, call, server)
  }

  static func pings(_ server: FakeServer) -> Int { server.frames().count { $0.type == 6 } }

  @Test func silentServerIsGivenUp() throws {
    let (network, call, server) = try Self.begin()
    network.advance(.milliseconds(9_999))
    #expect(Self.pings(server) == 0)
    network.advance(.milliseconds(1))
    #expect(Self.pings(server) == 1)
    network.advance(.milliseconds(2_999))
    #expect(call.end == nil)
    network.advance(.milliseconds(1))
    #expect(call.code == .unavailable)
    #expect(call.end?.status.message.contains("ping") == true)
    #expect(!server.isOpen)
  }

  @Test func anySignOfLifeWillDo() throws {
    let (network, call, server) = try Self.begin()
    for _ in 0..<5 {
      network.advance(.seconds(10))
      #expect(Self.pings(server) == 1)
      network.advance(.seconds(2))
      try server.send(Frame.raw(type: 6, flags: 1, stream: 0, [UInt8](repeating: 0, count: 8)))
    }
    try server.answer()
    #expect(call.code == .ok)
  }

  @Test(arguments: [false, true])
  func idleConnectionsOnlyIfAskedFor(withoutCalls: Bool) throws {
    let (network, _, server) = try Self.begin(withoutCalls: withoutCalls)
    try server.answer()
    _ = server.frames()
    network.advance(.seconds(60))
    #expect((Self.pings(server) > 0) == withoutCalls)
    #expect(server.isOpen == !withoutCalls)
  }
}
