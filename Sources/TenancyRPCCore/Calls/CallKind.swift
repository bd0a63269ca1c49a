/// Which side of a call sends one message, and which any number (gRPC core concepts, "RPC life cycle").
public enum CallKind: Sendable, Hashable {
  /// One message each way.
  case unary
  /// Any number of requests, one response.
  case clientStreaming
  /// One request, any number of responses.
  case serverStreaming
  /// Any number each way.
  case bidirectional

  /// Whether requests may have any number of messages.
  public var clientStreams: Bool { self == .clientStreaming || self == .bidirectional }
  /// Whether responses may have any number of messages.
  public var serverStreams: Bool { self == .serverStreaming || self == .bidirectional }
}
