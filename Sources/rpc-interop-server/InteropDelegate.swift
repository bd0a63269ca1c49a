import Logging
import TenancyRPC

/// Serves anybody, and logs what happens.
struct InteropDelegate: ServerDelegate {
  private final class Nothing: Sendable {}

  let logger: Logger

  func makeLoopState() -> AnyObject { Nothing() }

  func maintainLoopState(_ state: AnyObject) {}

  func connectionOpened(_ connection: Connection) -> (any AnyObject & Sendable)? { Nothing() }

  func describe(_ status: RPCStatus) -> RPCStatus { status }

  func log(_ event: ServerEvent) {
    logger.info(
      "\(event.kind.rawValue)",
      metadata: ["connection": "\(event.connection)", "detail": "\(event.detail)"])
  }
}
