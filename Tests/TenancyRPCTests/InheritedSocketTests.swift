import Foundation
import TenancyTestSupport
import Testing

@testable import TenancyRPCClient
@testable import TenancyRPCServer

/// What a service manager passes on.
@Suite struct InheritedSocketTests {
  private func parsed(_ variables: [String: String]) throws -> [InheritedSocket] {
    try InheritedSocket.parse(process: 7) { variables[$0] }
  }

  private func refusal(_ variables: [String: String]) -> String? {
    #expect(throws: ServerStartError.self) { try parsed(variables) }?.description
  }

  @Test func namesAndDescriptors() throws {
    #expect(
      try parsed(["LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"]) == [
        InheritedSocket(name: "a", descriptor: 3), InheritedSocket(name: "b", descriptor: 4),
      ])
    #expect(
      try parsed(["LISTEN_PID": "7", "LISTEN_FDS": "1"])
        == [InheritedSocket(name: "unknown", descriptor: 3)])
    #expect(
      try parsed(["LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:"]).map(\.name)
        == ["a", ""])
  }

  @Test(arguments: [
    [:], ["LISTEN_FDS": "1"], ["LISTEN_PID": "8", "LISTEN_FDS": "1"],
    // Whatever another process is told is not looked at.
    ["LISTEN_PID": "8", "LISTEN_FDS": "x"], ["LISTEN_PID": "7"],
    ["LISTEN_PID": "7", "LISTEN_FDS": "0"],
    ["LISTEN_PID": "7", "LISTEN_FDS": "0", "LISTEN_FDNAMES": ""],
  ])
  func nothing(variables: [String: String]) throws {
    #expect(try parsed(variables).isEmpty)
  }

  @Test func whatCannotBeUnderstoodIsRefused() {
    #expect(refusal(["LISTEN_PID": "x"]) == "LISTEN_PID: \"x\" is no process")
    #expect(refusal(["LISTEN_PID": "0"]) == "LISTEN_PID: \"0\" is no process")
    for count in ["x", "-1", "", "4097", "9999999999999"] {
      #expect(
        refusal(["LISTEN_PID": "7", "LISTEN_FDS": count])
          == "LISTEN_FDS: a number from 0 to 4096 is expected, not \"\(count)\"")
    }
    #expect(
      refusal(["LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a"])
        == "LISTEN_FDNAMES: 1 names for 2 descriptors")
  }
}

/// A server on a socket that another has bound.
@Suite("An adopted socket", .timeLimit(.minutes(1)))
struct AdoptedSocketTests {
  private let path = freePath()

  /// - Returns: a Unix socket of this path.
  private func socket(listens: Bool = true) throws -> Int32 {
    let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let isBound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
      }
    }
    #expect(isBound)
    if listens { #expect(listen(descriptor, 16) == 0) }
    return descriptor
  }

  private func server(
    _ sockets: AdoptedSocket..., listeners: [ListenAddress] = []
  ) async throws -> Server {
    var configuration = Server.Configuration(listeners: listeners)
    configuration.adopted = sockets
    return try await Server(
      configuration, methods: EchoService.methods, delegate: PlainDelegate())
  }

  @Test func isServedAndStaysWhereItIs() async throws {
    let descriptor = try socket()
    let kept = dup(descriptor)
    let address = ListenAddress.unix(path: path, mode: 0o600)
    for served in [descriptor, dup(kept)] {
      let server = try await server(AdoptedSocket(address, descriptor: served))
      #expect(try await server.start() == [address])
      let channel = RPCChannel(.unix(path: path))
      #expect(try await channel.ask("/test.Echo/Async", [7]) == [7])
      await channel.close()
      await server.stop(within: .seconds(5))
      #expect(FileManager.default.fileExists(atPath: path))
    }
    close(kept)
    try FileManager.default.removeItem(atPath: path)
  }

  @Test func ofAnotherKindIsRefused() async throws {
    defer { unlink(path) }
    let (listening, address) = (try socket(), ListenAddress.unix(path: path, mode: 0o600))
    let server = try await server(
      AdoptedSocket(.tcp(host: "127.0.0.1", port: 1, insecure: true), descriptor: listening))
    let error = await #expect(throws: ServerStartError.self) { try await server.start() }
    #expect(
      error?.description
        == "127.0.0.1:1: descriptor \(listening) is no TCP socket that listens")
    unlink(path)
    let deaf = try socket(listens: false)
    #expect(SocketKind(deaf) == nil)
    let other = try await self.server(AdoptedSocket(address, descriptor: deaf))
    await #expect(throws: ServerStartError.self) { try await other.start() }
  }

  @Test func needsTLSOrLoopback() async throws {
    let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #expect(listen(descriptor, 16) == 0)  // On any address.
    #expect(InheritedSocket(name: "a", descriptor: descriptor).fits(.tcp(host: "::", port: 0)))
    for (isInsecure, why) in [(false, "needs TLS"), (true, "not on loopback")] {
      let server = try await server(
        AdoptedSocket(
          .tcp(host: "127.0.0.1", port: 1, insecure: isInsecure), descriptor: dup(descriptor)))
      let error = await #expect(throws: ServerStartError.self) { try await server.start() }
      #expect(error?.description.contains(why) == true)
    }
    close(descriptor)
  }

  /// Of a server that is stopped before it has begun, or run when nobody wants it any more.
  @Test(arguments: [false, true])
  func isClosedWithoutAStart(isRun: Bool) async throws {
    defer { unlink(path) }
    let descriptor = try socket()
    let server = try await server(
      AdoptedSocket(.unix(path: path, mode: 0o600), descriptor: descriptor))
    if isRun {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.cancelAll()
        group.addTask { try await server.run(drainingFor: .zero) }
        try await group.waitForAll()
      }
    } else {
      await server.stop(within: .zero)
    }
    let channel = RPCChannel(.unix(path: path))
    #expect(await channel.refusal("/test.Echo/Async")?.code == .unavailable)
    await channel.close()
    await #expect(throws: ServerStartError.self) { try await server.start() }
  }

  @Test func isClosedWhenTheStartFailsBefore() async throws {
    defer { unlink(path) }
    let descriptor = try socket()
    let server = try await server(
      AdoptedSocket(.unix(path: path, mode: 0o600), descriptor: descriptor),
      listeners: [.unix(path: "/nowhere/at/all", mode: 0o600)])
    await #expect(throws: ServerStartError.self) { try await server.start() }
    // Nobody listens any more: no copy is left.
    let channel = RPCChannel(.unix(path: path))
    #expect(await channel.refusal("/test.Echo/Async")?.code == .unavailable)
    await channel.close()
  }
}
