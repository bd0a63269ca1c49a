/// What a peer may take, per connection. Every limit has a test one past it.
public struct ServerLimits: Sendable, Hashable {
  /// Calls in flight at once (SETTINGS_MAX_CONCURRENT_STREAMS).
  public var maximumConcurrentStreams = 256
  /// Bytes of one request message, without its 5-byte prefix. Over it: RESOURCE_EXHAUSTED.
  public var maximumMessageBytes = 4 * 1024 * 1024
  /// Bytes of request messages held for all calls of one connection. Over it: RESOURCE_EXHAUSTED.
  public var maximumBufferedBytes = 16 * 1024 * 1024
  /// Names, values and 32 for each field (RFC 9113 §6.5.2). Over it: RESOURCE_EXHAUSTED.
  public var maximumHeaderListBytes = 16 * 1024
  /// Response bytes waiting in a connection before no more are produced until the peer reads.
  public var maximumOutputBytes = 256 * 1024
  /// Bytes of response messages that a connection's peer has not taken yet, because of its flow
  /// control. Above it, requests wait to be served.
  public var maximumWaitingReplyBytes = 16 * 1024 * 1024

  /// Calls that a peer may reset at once, and for each second after that (a client's deadline is a reset
  /// too). Over it the connection ends with GOAWAY.
  public var maximumResetBurst = 10_000
  public var resetsPerSecond = 1_000
  /// Frames of one header block behind its first. Over it the connection ends with GOAWAY.
  public var maximumContinuations = 32

  // ttrpc only, which has no flow control.

  /// Bytes of a streaming call's request messages that its handler has not taken. Over it the
  /// connection is not read.
  public var maximumStreamBufferedBytes = 1024 * 1024
  /// How long a connection is not read because of one call's handler. Then that call ends with
  /// RESOURCE_EXHAUSTED, and its connection goes on.
  public var maximumHandlerStall = Duration.seconds(1)
  /// Frames that break the protocol or ask for nothing, at once and for each second after that. Over it
  /// the connection ends.
  public var maximumUselessFrameBurst = 10_000
  public var uselessFramesPerSecond = 1_000

  public init() {}
}
