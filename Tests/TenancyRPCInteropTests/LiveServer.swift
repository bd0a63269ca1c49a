import TenancyRPC
import TenancyRPCInterop
import TenancyRPCServices
import TenancyRPCTestSupport
import TenancyTestSupport

private struct Delegate: ServerDelegate {
  func connectionOpened(_ connection: Connection) -> NoContext? { .shared }
  func describe(_ status: RPCStatus) -> RPCStatus {
    // So that tests can tell what the runtime refused.
    RPCStatus(status.code, status.message, details: Array("described".utf8))
  }
  func log(_ event: ServerEvent) {}
}

/// Runs `body` with the conformance server's services and a channel to them.
func withInterop(_ body: (HealthStatus, RPCChannel) async throws -> Void) async throws {
  let health = HealthStatus(serving: InteropServices.names)
  try await serving(InteropServices.methods(health: health), by: Delegate()) { channel, _ in
    try await outcome {
      try await body(health, channel)
    } then: {
      health.shutDown()
    }
  }
}
