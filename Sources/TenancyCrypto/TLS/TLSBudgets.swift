internal import NIOCore
internal import TenancyLoop

/// How many post-handshake messages a peer may still send. Each makes both sides derive new keys.
struct KeyUpdateBudget {
  private let limits: TLSLimits
  private var allowed: Int
  private var bytes = 0
  private(set) var isExceeded = false

  init(_ limits: TLSLimits) {
    self.limits = limits
    allowed = limits.maximumKeyUpdateBurst
  }

  mutating func receivedMessage() {
    allowed -= 1
    if allowed < 0 { isExceeded = true }
  }

  mutating func received(_ count: Int) {
    bytes += count
    guard bytes >= 1 << 20 else { return }
    allowed = min(
      limits.maximumKeyUpdateBurst, allowed + (bytes >> 20) * limits.keyUpdatesPerMebibyte)
    bytes &= (1 << 20) - 1
  }
}

/// How many records a peer may still send that bring next to nothing. Each costs as much as a large one.
struct SmallRecordBudget {
  /// What is smaller holds no header of a frame (RFC 9113 §4.1), and no honest peer has cause to send it.
  static let smallBytes = 9

  private var limit: RateLimit
  /// Bytes of the record that is being read.
  private var bytes = 0
  /// Records read so far.
  private(set) var records: UInt64 = 0
  private(set) var isExceeded = false

  init(_ limits: TLSLimits) {
    limit = RateLimit(
      burst: limits.maximumSmallRecordBurst, perSecond: limits.smallRecordsPerSecond)
  }

  /// - Parameter isWhole: the record has no more.
  @inline(__always)
  mutating func received(_ count: Int, isWhole: Bool) {
    bytes += count
    guard isWhole else { return }
    records &+= 1
    if bytes < Self.smallBytes, !limit.take() { isExceeded = true }
    bytes = 0
  }
}
