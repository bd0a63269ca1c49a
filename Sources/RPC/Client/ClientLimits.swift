/// What one client channel takes upon itself and from its server. Every limit has a test one past it.
public struct ClientLimits: Sendable, Hashable {
  /// Bytes of one response message, without its 5-byte prefix. Over it: RESOURCE_EXHAUSTED.
  public var maximumMessageBytes = 16 * 1024 * 1024
  /// Names, values and 32 for each field (RFC 9113 §6.5.2), of the header blocks of one response.
  /// Over it: RESOURCE_EXHAUSTED.
  public var maximumHeaderListBytes = 64 * 1024
  /// The same for the metadata of one request. nghttp2 sends at most 64 KiB.
  public var maximumMetadataBytes = 32 * 1024
  /// Calls of a channel that wait or are in flight. Over it: RESOURCE_EXHAUSTED at once.
  public var maximumCalls = 16 * 1024
  /// Request bytes waiting in a connection before no more are produced until the server reads.
  public var maximumOutputBytes = 256 * 1024
  /// Connecting, the TLS handshake and the server's first settings together.
  public var connectTimeout = Duration.seconds(20)

  public init() {}
}
