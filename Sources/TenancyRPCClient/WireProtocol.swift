/// What a channel speaks with its servers.
public enum WireProtocol: Sendable, Hashable {
  /// gRPC over HTTP/2.
  case grpc
  /// ttrpc 1.2, the lean one for a server on the same host. Messages are at most 4 MiB; responses have
  /// no metadata; the server is not told when a call is given up, only its deadline.
  case ttrpc
}
