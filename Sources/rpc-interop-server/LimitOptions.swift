import ArgumentParser
import TenancyRPC

/// The runtime's limits, a flag for each: `maximumMessageBytes` is `--max-message-bytes`.
struct LimitOptions: ParsableArguments {
  @Option(help: "Calls in flight at once on a connection.")
  var maxConcurrentStreams: Limit?
  @Option(help: "Bytes of one request message.")
  var maxMessageBytes: Limit?
  @Option(help: "Bytes of request messages held for all calls of a connection.")
  var maxBufferedBytes: Limit?
  @Option(help: "Bytes of a connection's requests when unpacked, at once.")
  var maxUnpackedBurst: Limit?
  @Option(help: "Bytes of a connection's requests when unpacked, for each second after that.")
  var unpackedBytesPerSecond: Limit?
  @Option(help: "Times its size that a message may unpack to without a budget of its own kind.")
  var maxUnpackedRatio: Limit?
  @Option(help: "Bytes of a peer's requests when unpacked, at once.")
  var maxUnpackedBurstPerPeer: Limit?
  @Option(help: "Bytes of a peer's requests when unpacked, for each second after that.")
  var unpackedBytesPerSecondPerPeer: Limit?
  @Option(help: "Bytes of all requests when unpacked, at once.")
  var maxTotalUnpackedBurst: Limit?
  @Option(help: "Bytes of all requests when unpacked, for each second after that.")
  var totalUnpackedBytesPerSecond: Limit?
  @Option(help: "How often a connection may ask for more memory or unpacking than there is.")
  var maxOverdrafts: Limit?
  @Option(help: "The same, for each second after that.")
  var overdraftsPerSecond: Limit?
  @Option(help: "Bytes of a request's headers.")
  var maxHeaderListBytes: Limit?
  @Option(help: "Bytes of a connection's headers beyond 2 KiB of each call, at once.")
  var maxHeaderBurst: Limit?
  @Option(help: "Such bytes for each second after that.")
  var headerBytesPerSecond: Limit?
  @Option(help: "Bytes to be sent that wait in a connection.")
  var maxOutputBytes: Limit?
  @Option(help: "Bytes of responses that a connection's peer has not taken.")
  var maxWaitingReplyBytes: Limit?
  @Option(help: "Calls that a peer may reset at once.")
  var maxResetBurst: Limit?
  @Option(help: "Calls that a peer may reset for each second after that.")
  var resetsPerSecond: Limit?
  @Option(help: "CONTINUATION frames of one header block.")
  var maxContinuations: Limit?
  @Option(help: "ttrpc: bytes of a call's requests that its handler has not taken.")
  var maxStreamBufferedBytes: Limit?
  @Option(help: "ttrpc: how long a connection is not read because of one call's handler.")
  var maxHandlerStall: DurationArgument?
  @Option(help: "Frames that ask for nothing, at once.")
  var maxUselessFrameBurst: Limit?
  @Option(help: "Frames that ask for nothing, for each second after that.")
  var uselessFramesPerSecond: Limit?
  @Option(help: "HTTP/2: pings that may come too early.")
  var maxPingStrikes: Limit?
  @Option(help: "Open connections.")
  var maxConnections: Limit?
  @Option(help: "Open connections of one peer.")
  var maxConnectionsPerPeer: Limit?
  @Option(help: "Open connections that have proven nothing.")
  var maxUnprovenConnections: Limit?
  @Option(help: "Those of one address or user.")
  var maxUnprovenPerOrigin: Limit?
  @Option(help: "Asynchronous handlers at work.")
  var maxPendingCalls: Limit?
  @Option(help: "Those of calls that stream.")
  var maxPendingStreams: Limit?
  @Option(help: "Calls that each connection may have nonetheless.")
  var guaranteedCalls: Limit?
  @Option(help: "Calls of one connection that are served before others have their turn.")
  var maxCallsPerTurn: Limit?
  @Option(help: "Asynchronous calls that a connection starts before it waits for an answer.")
  var maxFreshCalls: Limit?
  @Option(help: "Bytes of requests held for all connections.")
  var maxTotalBufferedBytes: Limit?
  @Option(help: "Bytes of responses that the peers of all connections have not taken.")
  var maxTotalWaitingReplyBytes: Limit?
  @Option(help: "HTTP/2: pings in less than this come too early.")
  var minPingInterval: DurationArgument?
  @Option(help: "When refused calls are told to come back.")
  var retryDelay: DurationArgument?
  @Option(help: "Until a connection's first byte.")
  var firstByteTimeout: DurationArgument?
  @Option(help: "How long a peer may leave a frame unfinished, or take nothing.")
  var stallTimeout: DurationArgument?
  @Option(help: "Until a request or message is whole.")
  var requestTimeout: DurationArgument?
  @Option(help: "What the calls of an old connection have left.")
  var connectionAgeGrace: DurationArgument?
  @Option(help: "What the calls of a peer have left whose certificate has ended.")
  var credentialGrace: DurationArgument?
  @Option(help: "Until a ping is answered.")
  var keepaliveTimeout: DurationArgument?
  @Option(help: "Connections without calls for so long are told to go.")
  var idleTimeout: DurationArgument?
  @Option(help: "Connections as old are told to go.")
  var maxConnectionAge: DurationArgument?
  @Option(help: "Peers that are silent for so long are asked for a sign of life.")
  var keepaliveInterval: DurationArgument?

  /// The runtime's own, but that slow peers are cut within 10 seconds, as suites of attacks expect.
  static let defaults = {
    var limits = ServerLimits()
    limits.stallTimeout = .seconds(10)
    limits.requestTimeout = .seconds(10)
    return limits
  }()

  var limits: ServerLimits {
    var limits = Self.defaults
    maxConcurrentStreams?.set(&limits.maximumConcurrentStreams)
    maxMessageBytes?.set(&limits.maximumMessageBytes)
    maxBufferedBytes?.set(&limits.maximumBufferedBytes)
    maxUnpackedBurst?.set(&limits.maximumUnpackedBurst)
    unpackedBytesPerSecond?.set(&limits.unpackedBytesPerSecond)
    maxUnpackedRatio?.set(&limits.maximumUnpackedRatio)
    maxUnpackedBurstPerPeer?.set(&limits.maximumUnpackedBurstPerPeer)
    unpackedBytesPerSecondPerPeer?.set(&limits.unpackedBytesPerSecondPerPeer)
    maxTotalUnpackedBurst?.set(&limits.maximumTotalUnpackedBurst)
    totalUnpackedBytesPerSecond?.set(&limits.totalUnpackedBytesPerSecond)
    maxOverdrafts?.set(&limits.maximumOverdrafts)
    overdraftsPerSecond?.set(&limits.overdraftsPerSecond)
    maxHeaderListBytes?.set(&limits.maximumHeaderListBytes)
    maxHeaderBurst?.set(&limits.maximumHeaderBurst)
    headerBytesPerSecond?.set(&limits.headerBytesPerSecond)
    maxOutputBytes?.set(&limits.maximumOutputBytes)
    maxWaitingReplyBytes?.set(&limits.maximumWaitingReplyBytes)
    maxResetBurst?.set(&limits.maximumResetBurst)
    resetsPerSecond?.set(&limits.resetsPerSecond)
    maxContinuations?.set(&limits.maximumContinuations)
    maxStreamBufferedBytes?.set(&limits.maximumStreamBufferedBytes)
    maxHandlerStall?.set(&limits.maximumHandlerStall)
    maxUselessFrameBurst?.set(&limits.maximumUselessFrameBurst)
    uselessFramesPerSecond?.set(&limits.uselessFramesPerSecond)
    maxPingStrikes?.set(&limits.maximumPingStrikes)
    maxConnections?.set(&limits.maximumConnections)
    maxConnectionsPerPeer?.set(&limits.maximumConnectionsPerPeer)
    maxUnprovenConnections?.set(&limits.maximumUnprovenConnections)
    maxUnprovenPerOrigin?.set(&limits.maximumUnprovenPerOrigin)
    maxPendingCalls?.set(&limits.maximumPendingCalls)
    maxPendingStreams?.set(&limits.maximumPendingStreams)
    guaranteedCalls?.set(&limits.guaranteedCalls)
    maxCallsPerTurn?.set(&limits.maximumCallsPerTurn)
    maxFreshCalls?.set(&limits.maximumFreshCalls)
    maxTotalBufferedBytes?.set(&limits.maximumTotalBufferedBytes)
    maxTotalWaitingReplyBytes?.set(&limits.maximumTotalWaitingReplyBytes)
    minPingInterval?.set(&limits.minimumPingInterval)
    retryDelay?.set(&limits.retryDelay)
    firstByteTimeout?.set(&limits.firstByteTimeout)
    stallTimeout?.set(&limits.stallTimeout)
    requestTimeout?.set(&limits.requestTimeout)
    connectionAgeGrace?.set(&limits.connectionAgeGrace)
    credentialGrace?.set(&limits.credentialGrace)
    keepaliveTimeout?.set(&limits.keepaliveTimeout)
    if let idleTimeout { limits.idleTimeout = idleTimeout.duration }
    if let maxConnectionAge { limits.maximumConnectionAge = maxConnectionAge.duration }
    if let keepaliveInterval { limits.keepaliveInterval = keepaliveInterval.duration }
    return limits
  }
}

/// The limits of TLS, likewise.
struct TLSLimitOptions: ParsableArguments {
  @Option(help: "How long a handshake may take.")
  var handshakeTimeout: DurationArgument?
  @Option(help: "Certificates between a peer's own and the CA's.")
  var maxIntermediates: Limit?
  @Option(help: "How long a session may be resumed; 0s: not at all.")
  var sessionLifetime: DurationArgument?
  @Option(help: "Sessions kept for resumption.")
  var maxSessions: Limit?
  @Option(help: "Peers whose verified chains are remembered.")
  var maxVerifiedPeers: Limit?
  @Option(help: "KeyUpdates that a peer may send at once.")
  var maxKeyUpdateBurst: Limit?
  @Option(help: "KeyUpdates that a peer may send for each MiB of data after that.")
  var keyUpdatesPerMebibyte: Limit?
  @Option(help: "Records too small for a frame's header that a peer may send at once.")
  var maxSmallRecordBurst: Limit?
  @Option(help: "Such records that a peer may send for each second after that.")
  var smallRecordsPerSecond: Limit?

  var limits: TLSLimits {
    var limits = TLSLimits()
    handshakeTimeout?.set(&limits.handshakeTimeout)
    maxIntermediates?.set(&limits.maximumIntermediates)
    sessionLifetime?.set(&limits.sessionLifetime)
    maxSessions?.set(&limits.maximumSessions)
    maxVerifiedPeers?.set(&limits.maximumVerifiedPeers)
    maxKeyUpdateBurst?.set(&limits.maximumKeyUpdateBurst)
    keyUpdatesPerMebibyte?.set(&limits.keyUpdatesPerMebibyte)
    maxSmallRecordBurst?.set(&limits.maximumSmallRecordBurst)
    smallRecordsPerSecond?.set(&limits.smallRecordsPerSecond)
    return limits
  }
}

/// A number greater than 0.
struct Limit: ExpressibleByArgument, Hashable {
  let number: Int

  init?(argument: String) {
    guard let number = Int(argument), number > 0 else { return nil }
    self.number = number
  }

  func set(_ limit: inout Int) { limit = number }
}
