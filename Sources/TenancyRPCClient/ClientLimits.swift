/// What one client channel takes upon itself and from its servers. Every limit has a test one past it.
public struct ClientLimits: Sendable, Hashable {
  /// Bytes of one response message, without its prefix. Over it: RESOURCE_EXHAUSTED.
  public var maximumMessageBytes = 16 * 1024 * 1024
  /// Bytes of one request message. Over it: RESOURCE_EXHAUSTED, and nothing is sent. ttrpc has a limit
  /// of its own: 4 MiB for the message and what goes with it.
  public var maximumRequestMessageBytes = 64 * 1024 * 1024
  /// Names, values and 32 for each field (RFC 9113 §6.5.2), of the header blocks of one response.
  /// Over it: RESOURCE_EXHAUSTED.
  public var maximumHeaderListBytes = 64 * 1024
  /// The same for the metadata of one request. nghttp2 sends at most 64 KiB.
  public var maximumMetadataBytes = 32 * 1024
  /// Calls of a channel that wait or are in flight. Over it: RESOURCE_EXHAUSTED at once.
  public var maximumCalls = 16 * 1024
  /// Request bytes waiting in a connection before no more are produced until the server reads.
  public var maximumOutputBytes = 256 * 1024
  /// Request bytes of one call that wait to be sent. At it, writers wait.
  public var maximumSendBufferBytes = 256 * 1024
  /// Response bytes of one call that the server may send before the caller takes them. Over it the
  /// server breaks HTTP/2. Over ttrpc, which has no flow control, the connection is not read from
  /// while its callers have not taken as much, together.
  public var streamWindowBytes = 1024 * 1024
  /// Response bytes of all calls of a connection that may be under way.
  public var connectionWindowBytes = 4 * 1024 * 1024
  /// Request bytes that a call keeps so that it can be made again. Over it, it can't.
  public var maximumReplayBytes = 256 * 1024
  /// Calls of one ttrpc connection that its server knows of; more wait. Over HTTP/2 servers say how many
  /// they take.
  public var maximumTTRPCCalls = 128
  /// Addresses of one channel. More that a name resolves to are not used.
  public var maximumAddresses = 64
  /// Connecting, the TLS handshake and the server's first settings together.
  public var connectTimeout = Duration.seconds(20)

  /// Each limit at its default.
  public init() {}
}
