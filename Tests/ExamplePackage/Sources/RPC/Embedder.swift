public import TenancyRPC

/// Serves whoever can connect, and logs nothing.
public struct Embedder: ServerDelegate {
  private final class Nothing: Sendable {}

  public init() {}

  public func makeLoopState() -> AnyObject { Nothing() }

  public func maintainLoopState(_ state: AnyObject) {}

  public func connectionOpened(_ connection: Connection) -> (any AnyObject & Sendable)? {
    Nothing()
  }

  public func describe(_ status: RPCStatus) -> RPCStatus { status }

  public func log(_ event: ServerEvent) {}
}
