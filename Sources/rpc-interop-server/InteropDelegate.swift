import Logging
import TenancyRPC

/// Serves anybody, and logs what happens.
struct InteropDelegate: ServerDelegate {
  private final class Nothing: Sendable {}

  let logger: Logger

  func connectionOpened(_ connection: Connection) -> (any AnyObject & Sendable)? { Nothing() }

  func log(_ event: ServerEvent) {
    logger.info(
      "\(event.kind.rawValue)",
      metadata: ["connection": "\(event.connection)", "detail": "\(event.detail)"])
  }
}
