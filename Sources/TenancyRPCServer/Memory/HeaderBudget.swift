internal import TenancyLoop

/// Counts what the headers of a connection's calls hold beyond what most calls need: entries of HPACK's table
/// can be named by a byte each, and Huffman codes cost their reader more than their writer.
struct HeaderBudget {
  /// Names, values and 32 for each field that every call may have.
  static let free = 2048

  private var limit: RateLimit

  init(_ limits: ServerLimits) {
    limit = RateLimit(
      burst: limits.maximumHeaderBurst, perSecond: limits.headerBytesPerSecond)
  }

  /// Counts the headers of a call; false if they are too much.
  @inline(__always)
  mutating func take(_ bytes: Int) -> Bool { bytes <= Self.free || limit.take(bytes - Self.free) }
}
