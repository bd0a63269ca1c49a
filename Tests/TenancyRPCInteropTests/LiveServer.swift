import Foundation
import TenancyRPCInterop
import TenancyRPCServices
import TenancyRPC

/// The conformance server's services in this process, on a Unix socket.
struct LiveServer {
  let health = HealthStatus(serving: InteropServices.names)
  let path: String
  private let directory: String
  private let server: Server

  init() async throws {
    directory = NSTemporaryDirectory() + "interop-\(UInt32.random(in: 0...UInt32.max))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    path = directory + "/s"
    var configuration = Server.Configuration(listeners: [.unix(path: path, mode: 0o600)])
    configuration.eventLoops = 1
    server = try await Server(
      configuration, methods: InteropServices.methods(health: health), delegate: Delegate())
    _ = try await server.start()
  }

  func stop() async throws {
    health.shutDown()
    await server.stop(within: .seconds(10))
    try FileManager.default.removeItem(atPath: directory)
  }

  private struct Delegate: ServerDelegate {
    func connectionOpened(_ connection: Connection) -> NoContext? { .shared }
    func describe(_ status: RPCStatus) -> RPCStatus {
      // So that tests can tell what the runtime refused.
      RPCStatus(status.code, status.message, details: Array("described".utf8))
    }
    func log(_ event: ServerEvent) {}
  }
}

/// Runs `body` with a server and a channel to it, and closes both.
func withInterop(_ body: (LiveServer, RPCChannel) async throws -> Void) async throws {
  let server = try await LiveServer()
  let channel = RPCChannel(.unix(path: server.path), tls: nil)
  let outcome: Result<Void, any Error>
  do {
    outcome = .success(try await body(server, channel))
  } catch {
    outcome = .failure(error)
  }
  await channel.close()
  try await server.stop()
  try outcome.get()
}
