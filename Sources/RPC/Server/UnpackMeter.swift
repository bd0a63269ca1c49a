/// Counts what a connection's peer makes us unpack: a few packed bytes can stand for a thousand
/// times as many. Confined to the connection's event loop.
final class UnpackMeter {
  private var limit: RateLimit

  init(_ limits: ServerLimits) {
    limit = RateLimit(burst: limits.maximumUnpackedBurst, perSecond: limits.unpackedBytesPerSecond)
  }

  /// - Throws: what the call ends with when it is too much.
  func count(_ bytes: Int) throws(RPCStatus) {
    guard limit.take(bytes) else {
      throw RPCStatus(
        .resourceExhausted, "this connection has sent too much that had to be unpacked")
    }
  }
}
