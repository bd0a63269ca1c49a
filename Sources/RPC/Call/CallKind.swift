/// Which sides of a call send any number of messages rather than exactly one.
public enum CallKind: Sendable, Hashable {
  case unary, clientStreaming, serverStreaming, bidirectional
}
