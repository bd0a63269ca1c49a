/// What a peer may take, per connection. Every limit has a test one past it.
public struct ServerLimits: Sendable, Hashable {
  /// Calls in flight at once (SETTINGS_MAX_CONCURRENT_STREAMS).
  public var maximumConcurrentStreams = 256
  /// Bytes of one request message, without its 5-byte prefix. Over it: RESOURCE_EXHAUSTED.
  public var maximumMessageBytes = 4 * 1024 * 1024
  /// Bytes of request messages held for all calls of one connection. Over it: RESOURCE_EXHAUSTED.
  public var maximumBufferedBytes = 16 * 1024 * 1024
  /// Bytes of request messages when unpacked, at once and for each second after that, of one
  /// connection. Over it: RESOURCE_EXHAUSTED. The largest message is always within the burst, of this
  /// and of the limits for peers and for all.
  public var maximumUnpackedBurst = 16 * 1024 * 1024
  /// What comes back of `maximumUnpackedBurst` in each second.
  public var unpackedBytesPerSecond = 16 * 1024 * 1024
  /// Messages that unpack to more than so many times their size have budgets of their own, a quarter of
  /// the others.
  public var maximumUnpackedRatio = 32
  /// Calls refused because they were to be unpacked, and times that the connection was asked to give up
  /// what it held, at once and for each second after that. Over it the connection ends.
  public var maximumOverdrafts = 16
  /// What comes back of `maximumOverdrafts` in each second.
  public var overdraftsPerSecond = 1
  /// Names, values and 32 for each field (RFC 9113 §6.5.2). Over it: RESOURCE_EXHAUSTED.
  public var maximumHeaderListBytes = 16 * 1024
  /// Bytes of header lists beyond the first 2 KiB of each call's, at once and for each second after that,
  /// of one connection: they cost their reader more than their sender. Over it the connection ends.
  public var maximumHeaderBurst = 16 * 1024 * 1024
  /// What comes back of `maximumHeaderBurst` in each second.
  public var headerBytesPerSecond = 8 * 1024 * 1024
  /// Response bytes waiting in a connection before no more are produced until the peer reads.
  public var maximumOutputBytes = 256 * 1024
  /// Bytes of response messages that a connection's peer has not taken yet, because of its flow
  /// control. Above it, requests wait to be served.
  public var maximumWaitingReplyBytes = 16 * 1024 * 1024

  /// Calls that a peer may reset, or make the server reset, at once and for each second after that (a
  /// client's deadline is a reset too). Over it the connection ends with GOAWAY.
  public var maximumResetBurst = 10_000
  /// What comes back of `maximumResetBurst` in each second.
  public var resetsPerSecond = 1_000
  /// Frames of one header block behind its first. Over it the connection ends with GOAWAY.
  public var maximumContinuations = 32

  /// Frames that break the protocol or ask for nothing (PING, SETTINGS, WINDOW_UPDATE, empty DATA
  /// and the like), beyond those that calls explain: at once, and for each second after that. Over
  /// it the connection ends.
  public var maximumUselessFrameBurst = 10_000
  /// What comes back of `maximumUselessFrameBurst` in each second.
  public var uselessFramesPerSecond = 1_000
  /// HTTP/2 PINGs in less than this, while nothing is sent to the peer, are strikes; over
  /// `maximumPingStrikes` the connection ends with GOAWAY `too_many_pings`.
  public var minimumPingInterval = Duration.seconds(5)
  /// Strikes after which the next PING that comes too early ends the connection.
  public var maximumPingStrikes = 2

  // ttrpc only, which has no flow control.

  /// Bytes of a streaming call's request messages that its handler has not taken. Over it the
  /// connection is not read.
  public var maximumStreamBufferedBytes = 1024 * 1024
  /// How long a connection is not read because of one call's handler. Then that call ends with
  /// RESOURCE_EXHAUSTED, and its connection goes on.
  public var maximumHandlerStall = Duration.seconds(1)

  // MARK: All connections

  /// Open connections, those included that have not said who they are. Over it one of these has to go, or
  /// else the new one is closed at once. Where the process has fewer descriptors, less `Descriptors.reserved`, new ones wait in the
  /// listener's backlog instead.
  public var maximumConnections = 16_384
  /// Open connections of one peer: a certificate, a user of a Unix socket, or an address without
  /// TLS.
  public var maximumConnectionsPerPeer = 4_096
  /// Open connections that have not proven anything: that have not finished a TLS handshake or, in plain
  /// text, the beginning of their protocol. Counted by themselves are those to which nothing was answered
  /// and those in a handshake, of all and of one origin: an IPv4 address, an IPv6 network of 64 bits, or a
  /// user of a Unix socket. Over it the oldest is closed, also when `maximumConnections` or the process's
  /// descriptors are used up. Never more than a quarter of what there is room for.
  public var maximumUnprovenConnections = 4_096
  /// Of one origin, as `maximumUnprovenConnections`.
  public var maximumUnprovenPerOrigin = 1_024
  /// Asynchronous handlers at work. Over it, calls are refused with RESOURCE_EXHAUSTED, except on
  /// connections that have fewer than `guaranteedCalls`.
  public var maximumPendingCalls = 4_000
  /// And those of calls that stream, which are counted apart.
  public var maximumPendingStreams = 4_000
  /// Asynchronous handlers that each connection may have at work whatever the others have.
  public var guaranteedCalls = 8
  /// Calls of one connection that are served before other connections have their turn.
  public var maximumCallsPerTurn = 64
  /// Unary asynchronous calls that a connection starts before it waits a millisecond for the first
  /// to answer. It begins with two, and goes on with one while messages are large.
  /// Others are held back then, and calls behind them that are answered on the event loop go before them; but with more
  /// than 16 KiB of requests held the connection is not read, and over ttrpc nor is what follows a call that would
  /// make it more, or whose request is a stream.
  public var maximumCallBurst = 16
  /// When to come back is told to calls that are refused because of `maximumPendingCalls`.
  public var retryDelay = Duration.seconds(1)
  /// Bytes of request messages when unpacked, as above, of all connections of one peer.
  public var maximumUnpackedBurstPerPeer = 32 * 1024 * 1024
  /// What comes back of `maximumUnpackedBurstPerPeer` in each second.
  public var unpackedBytesPerSecondPerPeer = 32 * 1024 * 1024
  /// And of all peers.
  public var maximumTotalUnpackedBurst = 64 * 1024 * 1024
  /// What comes back of `maximumTotalUnpackedBurst` in each second.
  public var totalUnpackedBytesPerSecond = 64 * 1024 * 1024
  /// Request bytes that are held for all connections that hold more than 16 KiB, large messages in the
  /// hands of handlers included. Over it, what the largest and oldest holders have is given up for what
  /// comes: RESOURCE_EXHAUSTED; and if it is they who ask for more, that is refused.
  public var maximumTotalBufferedBytes = 20 * 1024 * 1024
  /// Response bytes that peers have not taken, of all connections that hold more than 16 KiB. Over it, the
  /// largest and oldest are given up, and such a connection is served no more until its peer takes some.
  public var maximumTotalWaitingReplyBytes = 8 * 1024 * 1024

  // MARK: Time

  /// Until a connection's first byte.
  public var firstByteTimeout = Duration.seconds(10)
  /// A peer is cut off that for so long leaves a frame, a header block or a record of TLS unfinished, or
  /// takes none of the bytes that are there for it.
  public var stallTimeout = Duration.seconds(30)
  /// A unary request, or one message of a stream, must come in whole within this, from the first byte of
  /// its headers. After it: DEADLINE_EXCEEDED, or where its headers are not whole the connection is cut.
  public var requestTimeout = Duration.seconds(60)
  /// A connection without calls for so long is drained, and ends. nil: never.
  public var idleTimeout: Duration? = .seconds(3600)
  /// A connection as old as this, give or take a tenth, is drained. nil: never.
  public var maximumConnectionAge: Duration?
  /// What is left then of a connection that is drained because of its age, or because it is idle, is cut.
  public var connectionAgeGrace = Duration.seconds(30)
  /// What calls in flight have left when their peer's certificate has ended or was revoked: then they are cut.
  public var credentialGrace = Duration.seconds(2)
  /// Keepalive: a peer that sends nothing for so long is sent a PING. nil: never.
  public var keepaliveInterval: Duration? = .seconds(300)
  /// Within this it has to answer.
  public var keepaliveTimeout = Duration.seconds(20)

  /// Each limit at its default.
  public init() {}
}
