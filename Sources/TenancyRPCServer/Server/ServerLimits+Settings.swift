extension ServerLimits {
  /// Each limit, once. Documentation is made from this table too: an entry is a line.
  public static let settings: [LimitSetting] = [
    .count("concurrent_streams", \.maximumConcurrentStreams, 1...65_536),
    .count("message_bytes", \.maximumMessageBytes, 1024...64_000_000),
    .count("buffered_bytes", \.maximumBufferedBytes, 1024...1_000_000_000),
    // Budgets are divided by up to eight: of less than that nothing would ever come back.
    .count("unpacked_burst", \.maximumUnpackedBurst, 1024...1_000_000_000),
    .count("unpacked_bytes_per_second", \.unpackedBytesPerSecond, 1024...1_000_000_000),
    // Nothing unpacks to more than 1032 times its size.
    .count("unpacked_ratio", \.maximumUnpackedRatio, 1...1032),
    .count("overdrafts", \.maximumOverdrafts, 1...1_000_000),
    .count("overdrafts_per_second", \.overdraftsPerSecond, 1...1_000_000),
    .count("header_list_bytes", \.maximumHeaderListBytes, 1024...1_000_000),
    .count("header_burst", \.maximumHeaderBurst, 1024...1_000_000_000),
    .count("header_bytes_per_second", \.headerBytesPerSecond, 1...1_000_000_000),
    // A frame of data at least. Writes would be too small without, and memory too large with more.
    .count("output_bytes", \.maximumOutputBytes, 16_384...64_000_000),
    .count("waiting_reply_bytes", \.maximumWaitingReplyBytes, 1024...1_000_000_000),
    .count("reset_burst", \.maximumResetBurst, 1...1_000_000),
    .count("resets_per_second", \.resetsPerSecond, 1...1_000_000),
    .count("continuations", \.maximumContinuations, 1...1000),
    // Clients need some before their first call: SETTINGS alone count for 16.
    .count("useless_frame_burst", \.maximumUselessFrameBurst, 100...1_000_000),
    .count("useless_frames_per_second", \.uselessFramesPerSecond, 1...1_000_000),
    .seconds("ping_interval_seconds", \.minimumPingInterval, 1...3600),
    .count("ping_strikes", \.maximumPingStrikes, 1...1_000_000),
    .count("stream_buffered_bytes", \.maximumStreamBufferedBytes, 1024...1_000_000_000),
    // While a connection waits, no other call of it goes on.
    .milliseconds("handler_stall_milliseconds", \.maximumHandlerStall, 1...60_000),
    .count("connections", \.maximumConnections, 1...1_000_000),
    .count("connections_per_peer", \.maximumConnectionsPerPeer, 1...1_000_000),
    .count("unproven_connections", \.maximumUnprovenConnections, 1...1_000_000),
    .count("unproven_per_origin", \.maximumUnprovenPerOrigin, 1...1_000_000),
    .count("pending_calls", \.maximumPendingCalls, 1...1_000_000),
    .count("pending_streams", \.maximumPendingStreams, 1...1_000_000),
    .count("guaranteed_calls", \.guaranteedCalls, 1...65_536),
    // Without one, no call would ever begin; likewise below.
    .count("calls_per_turn", \.maximumCallsPerTurn, 1...65_536),
    .count("call_burst", \.maximumCallBurst, 1...65_536),
    .seconds("retry_delay_seconds", \.retryDelay, 1...3600),
    .count("unpacked_burst_per_peer", \.maximumUnpackedBurstPerPeer, 1024...1_000_000_000_000),
    .count(
      "unpacked_bytes_per_second_per_peer", \.unpackedBytesPerSecondPerPeer,
      1024...1_000_000_000_000),
    .count("total_unpacked_burst", \.maximumTotalUnpackedBurst, 1024...1_000_000_000_000),
    .count(
      "total_unpacked_bytes_per_second", \.totalUnpackedBytesPerSecond, 1024...1_000_000_000_000),
    .count("total_buffered_bytes", \.maximumTotalBufferedBytes, 1024...1_000_000_000_000),
    // What one connection may have without being counted, at least.
    .count(
      "total_waiting_reply_bytes", \.maximumTotalWaitingReplyBytes, 16_384...1_000_000_000_000),
    .seconds("first_byte_seconds", \.firstByteTimeout, 1...1_000_000),
    .seconds("stall_seconds", \.stallTimeout, 1...1_000_000),
    .seconds("request_seconds", \.requestTimeout, 1...1_000_000),
    .optionalSeconds("idle_seconds", \.idleTimeout, 1...1_000_000),
    .optionalSeconds("connection_age_seconds", \.maximumConnectionAge, 1...1_000_000),
    .seconds("connection_age_grace_seconds", \.connectionAgeGrace, 1...1_000_000),
    // Nobody should be served for long with a certificate that is not good any more.
    .seconds("credential_grace_seconds", \.credentialGrace, 1...3600),
    .optionalSeconds("keepalive_seconds", \.keepaliveInterval, 1...1_000_000),
    .seconds("keepalive_timeout_seconds", \.keepaliveTimeout, 1...1_000_000),
  ]

  /// Checks that what one limit allows does not end the connection because of another. (Of bytes that are held,
  /// the least of the limits is what counts: the call that is over it learns that.)
  ///
  /// - Throws: which limit is too small.
  public func check() throws(LimitError) {
    guard maximumHeaderBurst >= maximumHeaderListBytes else {
      throw LimitError("header_burst: less than header_list_bytes")
    }
    guard (maximumContinuations + 1) * Self.largestFrame >= maximumHeaderListBytes else {
      throw LimitError(
        "continuations: header_list_bytes do not fit into so many frames of "
          + "\(Self.largestFrame) bytes and the first")
    }
  }

  /// Bytes of payload that clients may put into a frame (RFC 9113 §4.2): the server allows no more.
  private static let largestFrame = 16_384
}
