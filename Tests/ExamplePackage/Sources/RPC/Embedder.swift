public import TenancyRPC

/// Serves whoever can connect, and prints what handlers have thrown that is no `RPCStatus`.
public struct Embedder: ServerDelegate {
  /// What all calls of a connection find as `context`.
  private final class Peer: Sendable {}

  public init() {}

  public func connectionOpened(_ connection: Connection) -> (any AnyObject & Sendable)? { Peer() }

  public func log(_ event: ServerEvent) {
    if event.kind == .internalError { print("\(event.connection): \(event.detail)") }
  }
}
