public import TenancyRPC

/// Serves whoever can connect, and prints what handlers have thrown that is no `RPCStatus`.
public struct Embedder: ServerDelegate {
  public init() {}

  public func connectionOpened(_ connection: Connection) -> NoContext? { .shared }

  public func log(_ event: ServerEvent) {
    if event.kind == .internalError { print("\(event.connection): \(event.detail)") }
  }
}
