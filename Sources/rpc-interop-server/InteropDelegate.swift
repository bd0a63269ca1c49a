import Logging
import TenancyRPC

/// Serves anybody, and logs what happens.
struct InteropDelegate: ServerDelegate {
  let logger: Logger

  func connectionOpened(_ connection: Connection) -> NoContext? { .shared }

  func log(_ event: ServerEvent) {
    logger.info(
      "\(event.kind.rawValue)",
      metadata: ["connection": "\(event.connection)", "detail": "\(event.detail)"])
  }
}
