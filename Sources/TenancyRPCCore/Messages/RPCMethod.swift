/// A method of a service, and the messages it exchanges.
public struct RPCMethod<Request: WireMessage, Response: WireMessage>: Sendable, Hashable {
  /// `/package.Service/Method`.
  public let path: String
  /// Which sides send more than one message.
  public let kind: CallKind
  /// Whether a call may be repeated without harm, as its `idempotency_level` says.
  public let isIdempotent: Bool

  /// - Parameter path: `/package.Service/Method`.
  public init(path: String, kind: CallKind, isIdempotent: Bool = false) {
    self.path = path
    self.kind = kind
    self.isIdempotent = isIdempotent
  }
}
