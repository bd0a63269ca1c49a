public import TenancyRPC

/// How an embedder tells who calls, from what it keeps for a connection. Asked only for calls that are logged or
/// traced, on their event loop.
public struct CallerNames: Sendable {
  public struct Names: Sendable, Equatable {
    /// Who calls, as its credential says.
    public var subject: String
    /// The caller's own tenant, if it has one that is known.
    public var tenant: String?

    public init(subject: String, tenant: String? = nil) {
      self.subject = subject
      self.tenant = tenant
    }
  }

  /// A number for all who share one part of what may be logged. Cheap: it is asked of every failed call.
  let account: @Sendable (AnyObject) -> Int
  let names: @Sendable (AnyObject) -> Names?
  /// What a call is about.
  let tenant: @Sendable (CallTag) -> String

  public init(
    account: @escaping @Sendable (AnyObject) -> Int,
    names: @escaping @Sendable (AnyObject) -> Names?,
    tenant: @escaping @Sendable (CallTag) -> String
  ) {
    self.account = account
    self.names = names
    self.tenant = tenant
  }
}
