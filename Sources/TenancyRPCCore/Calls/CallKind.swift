/// Which side of a call sends one message, and which any number (gRPC core concepts, "RPC life cycle").
public enum CallKind: Sendable, Hashable {
  case unary
  case clientStreaming
  case serverStreaming
  case bidirectional

  /// Whether requests may have any number of messages.
  public var clientStreams: Bool { self == .clientStreaming || self == .bidirectional }
  /// Whether responses may have any number of messages.
  public var serverStreams: Bool { self == .serverStreaming || self == .bidirectional }
}
