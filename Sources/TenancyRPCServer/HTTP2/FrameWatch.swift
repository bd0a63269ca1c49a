internal import CTenancyNghttp2
internal import NIOCore
internal import TenancyLoop

/// Watches the frames of one connection before nghttp2 reads them: how many ask for nothing, how
/// many calls end by resets, whether they name streams that are over, and whether one was begun and
/// not finished.
///
/// nghttp2 is told to keep neither closed streams nor priorities, which costs time and memory, and
/// so does not judge frames for these; of frames that it ignores it says nothing.
///
/// Frames that are no part of a request (PING, SETTINGS, WINDOW_UPDATE, empty DATA, unknown types
/// and so on) are useless unless work explains them: each call and each DATA frame that we send
/// pays for a few, because honest clients acknowledge, probe and give window about as often.
struct FrameWatch {
  /// Why a connection must end.
  struct Breach {
    let error: nghttp2_error_code
    let reason: String

    static let uselessFrames = Breach(
      error: NGHTTP2_ENHANCE_YOUR_CALM, reason: "too many frames that ask for nothing")
    static let resets = Breach(error: NGHTTP2_ENHANCE_YOUR_CALM, reason: "too many resets")
    /// The words that gRPC clients know (gRFC A8): they ping less often when they connect again.
    static let pings = Breach(error: NGHTTP2_ENHANCE_YOUR_CALM, reason: "too_many_pings")
    static let closedStream = Breach(
      error: NGHTTP2_STREAM_CLOSED, reason: "HEADERS for a stream that is closed")
    static let skippedStream = Breach(
      error: NGHTTP2_PROTOCOL_ERROR, reason: "stream identifiers go back")
    static let headers = Breach(
      error: NGHTTP2_ENHANCE_YOUR_CALM, reason: "a header list far over the limit")
    static let headerBytes = Breach(
      error: NGHTTP2_ENHANCE_YOUR_CALM, reason: "too many bytes of headers")
    static let overdrafts = Breach(
      error: NGHTTP2_ENHANCE_YOUR_CALM, reason: "too much asked for, again and again")
    static let priority = Breach(
      error: NGHTTP2_PROTOCOL_ERROR, reason: "PRIORITY for no stream, or on itself")
  }

  /// RFC 9113 §4.1.
  private struct Header {
    static let length = 9

    let payload: Int
    let type: UInt32
    let flags: UInt32
    let stream: Int32

    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer) {
      let first = UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self))
      payload = Int(first >> 8)
      type = first & 0xFF
      flags = UInt32(bytes[4])
      let id = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 5, as: UInt32.self))
      stream = Int32(truncatingIfNeeded: id & 0x7FFF_FFFF)
    }

    func has(_ flag: nghttp2_flag) -> Bool { flags & flag.rawValue != 0 }
  }

  /// Useless frames that one new call pays for, its own HEADERS included.
  private static let creditOfCall = 5
  /// And one DATA or HEADERS frame of ours: WINDOW_UPDATE for stream and connection, now and then a
  /// PING.
  private static let creditOfAnswer = 3
  /// DATA of ours that is shorter because of the peer's window: its WINDOW_UPDATE has explained nothing.
  static let scrap = 1024
  /// A SETTINGS frame makes nghttp2 look at all open streams.
  private static let costOfSettings = 16

  // MARK: What is counted

  private let maximumCredit: Int
  private let maximumPingStrikes: Int
  private let minimumPingInterval: TimeAmount
  private var useless: RateLimit
  private var resets: RateLimit
  private var headers: HeaderBudget
  private var credit = 0
  private var lastPing: NIODeadline?
  private var pingStrikes = 0
  private(set) var breach: Breach?

  // MARK: Where frames begin and end

  private var prefaceLeft = 24
  private var payloadLeft = 0
  /// The beginning of a frame's header whose rest is not here yet.
  private var partial: [UInt8] = []
  private var blockIsOpen = false
  /// The latest frame is of a header block.
  private var isInBlock = false
  /// Frames and header blocks begun so far; the frames of a block count as one.
  private(set) var begun: UInt64 = 0

  // MARK: Streams

  /// The client's latest, and the identifiers below it that were passed over.
  private var lastStream: Int32 = -1
  private var skipped: ClosedRange<Int32>?
  /// The latest that nghttp2 knows. Those above were begun in the bytes at hand.
  private var lastKnown: Int32 = -1
  /// Those that the client has reset in the bytes at hand: nghttp2 does not know yet.
  private var resetNow: [Int32] = []
  /// Those that we have reset: what was under way for them is no mistake of the peer's.
  private var resetByUs: [Int32] = []
  private var oldestReset = 0
  private let maximumResetByUs: Int
  /// Closed ones that the client has sent DATA for: it has to be told.
  private var misused: [Int32] = []

  init(_ limits: ServerLimits) {
    maximumResetByUs = limits.maximumConcurrentStreams
    maximumCredit = limits.maximumUselessFrameBurst
    maximumPingStrikes = limits.maximumPingStrikes
    minimumPingInterval = TimeAmount.bounded(limits.minimumPingInterval)
    useless = RateLimit(
      burst: limits.maximumUselessFrameBurst, perSecond: limits.uselessFramesPerSecond)
    headers = HeaderBudget(limits)
    resets = RateLimit(burst: limits.maximumResetBurst, perSecond: limits.resetsPerSecond)
  }

  /// The preface, a frame or a header block has begun and is not whole.
  var isPartial: Bool { payloadLeft > 0 || !partial.isEmpty || blockIsOpen || begun == 0 }

  /// Likewise of a header block alone.
  var isBlockPartial: Bool { blockIsOpen || isInBlock && payloadLeft > 0 }

  /// The preface and a first frame, which must be SETTINGS, are whole.
  var hasOpened: Bool { begun > 1 || begun == 1 && payloadLeft == 0 }

  /// Looks at what nghttp2 is to read next.
  ///
  /// - Parameter isOpen: whether nghttp2 has a stream, by its number.
  mutating func scan(_ bytes: UnsafeRawBufferPointer, isOpen: (Int32) -> Bool) {
    lastKnown = lastStream
    if !resetNow.isEmpty { resetNow.removeAll() }
    var at = min(prefaceLeft, bytes.count)
    prefaceLeft -= at
    while at < bytes.count, breach == nil {
      let skip = min(payloadLeft, bytes.count - at)
      payloadLeft -= skip
      at += skip
      guard at < bytes.count else { return }
      let rest = UnsafeRawBufferPointer(rebasing: bytes[at...])
      if partial.isEmpty, rest.count >= Header.length {
        at += Header.length
        begin(Header(rest), UnsafeRawBufferPointer(rebasing: rest[Header.length...]), isOpen)
      } else {
        let count = min(Header.length - partial.count, rest.count)
        partial += rest[..<count]
        at += count
        guard partial.count == Header.length else { return }
        let header = partial.withUnsafeBytes { Header($0) }
        partial.removeAll(keepingCapacity: true)
        begin(header, UnsafeRawBufferPointer(rebasing: bytes[at...]), isOpen)
      }
    }
  }

  @inline(__always)
  private mutating func begin(
    _ header: Header, _ payload: UnsafeRawBufferPointer, _ isOpen: (Int32) -> Bool
  ) {
    if !blockIsOpen { begun += 1 }
    isInBlock = blockIsOpen
    payloadLeft = header.payload
    switch header.type {
    case NGHTTP2_DATA.rawValue:
      // One with content is part of a request; of one that is padded, nobody knows yet.
      let isEmpty = header.payload == 0 && !header.has(NGHTTP2_FLAG_END_STREAM)
      if isEmpty || header.has(NGHTTP2_FLAG_PADDED) { charge(1) }
      if isClosed(header.stream, isOpen) { misused.append(header.stream) }
    case NGHTTP2_HEADERS.rawValue:
      isInBlock = true
      blockIsOpen = !header.has(NGHTTP2_FLAG_END_HEADERS)
      if header.stream > lastStream { beginCall(header.stream) }
      charge(1)
      if isClosed(header.stream, isOpen) {
        breach =
          breach ?? (skipped?.contains(header.stream) == true ? .skippedStream : .closedStream)
      }
    default:
      beginControl(header, payload)
    }
  }

  private mutating func beginControl(_ header: Header, _ payload: UnsafeRawBufferPointer) {
    switch header.type {
    case NGHTTP2_CONTINUATION.rawValue:
      blockIsOpen = !header.has(NGHTTP2_FLAG_END_HEADERS)
      charge(1)
    case NGHTTP2_RST_STREAM.rawValue:
      countReset()
      resetNow.append(header.stream)
    case NGHTTP2_PRIORITY.rawValue:
      charge(1)
      if header.stream == 0 || dependency(payload) == header.stream { breach = breach ?? .priority }
    case NGHTTP2_SETTINGS.rawValue where !header.has(NGHTTP2_FLAG_ACK):
      charge(Self.costOfSettings)
    case NGHTTP2_PING.rawValue where !header.has(NGHTTP2_FLAG_ACK):
      charge(1)
      ping(at: .now())
    default:
      charge(1)
    }
  }

  /// The stream that a PRIORITY frame names (RFC 7540 §6.3); not looked for when it is not here yet.
  private func dependency(_ payload: UnsafeRawBufferPointer) -> Int32? {
    guard payload.count >= 4 else { return nil }
    let id = UInt32(bigEndian: payload.loadUnaligned(as: UInt32.self))
    return Int32(truncatingIfNeeded: id & 0x7FFF_FFFF)
  }

  private mutating func beginCall(_ stream: Int32) {
    credit = min(credit + Self.creditOfCall, maximumCredit)
    // In range: compared in a wider type, as numbers reach the greatest that 31 bits hold.
    if Int(stream) > Int(lastStream) + 2 { skipped = (lastStream + 1)...(stream - 1) }
    lastStream = stream
  }

  /// Whether the client is wrong to use a stream (RFC 9113 §5.1). Those that were never begun, and
  /// those of the server, are nghttp2's to judge. (Mutating, or a copy of all of this would be looked at.)
  @inline(__always)
  private mutating func isClosed(_ stream: Int32, _ isOpen: (Int32) -> Bool) -> Bool {
    guard stream <= lastKnown || !resetNow.isEmpty || skipped != nil else { return false }
    return isOver(stream, isOpen)
  }

  private mutating func isOver(_ stream: Int32, _ isOpen: (Int32) -> Bool) -> Bool {
    guard stream > 0, stream & 1 == 1, stream <= lastStream else { return false }
    if resetNow.contains(stream) || skipped?.contains(stream) == true { return true }
    return stream <= lastKnown && !isOpen(stream) && !resetByUs.contains(stream)
  }

  // MARK: What else is reported

  /// We have sent headers or data: what the peer says about them is not useless.
  @inline(__always)
  mutating func sentAnswer() {
    credit = min(credit + Self.creditOfAnswer, maximumCredit)
    pingStrikes = 0
    lastPing = nil
  }

  /// The peer's window lets us send a scrap: it costs as a frame that asks for nothing, and the DATA frame
  /// that it goes out in pays for nothing.
  mutating func sendsScrap() { charge(1 + Self.creditOfAnswer) }

  /// A header block is whole that had so many bytes.
  @inline(__always)
  mutating func gotHeaders(_ bytes: Int) {
    if !headers.take(bytes) { breach = breach ?? .headerBytes }
  }

  /// We have sent RST_STREAM: a peer can make us do so.
  mutating func sentReset(_ stream: Int32) {
    countReset()
    if resetByUs.count < maximumResetByUs {
      resetByUs.append(stream)
    } else {
      resetByUs[oldestReset] = stream
      oldestReset = (oldestReset + 1) % maximumResetByUs
    }
  }

  /// Closed streams for which DATA has come.
  mutating func takeMisused() -> [Int32] {
    guard !misused.isEmpty else { return [] }
    defer { misused = [] }
    return misused
  }

  /// A header list is so large that it can't be honest.
  mutating func endForHeaders() { breach = breach ?? .headers }

  /// The peer has asked too often for more memory or work than there is for it.
  mutating func endForOverdrafts() { breach = breach ?? .overdrafts }

  // MARK: Limits

  private mutating func countReset() {
    if !resets.take() { breach = breach ?? .resets }
  }

  @inline(__always)
  private mutating func charge(_ cost: Int) {
    credit -= cost
    if credit < 0 { payLater() }
  }

  /// Beyond what calls pay for, there is so much for each second.
  private mutating func payLater() {
    while credit < 0 {
      guard useless.take() else {
        breach = breach ?? .uselessFrames
        return
      }
      credit += 1
    }
  }

  private mutating func ping(at now: NIODeadline) {
    defer { lastPing = now }
    guard let lastPing, now - lastPing < minimumPingInterval else { return }
    pingStrikes += 1
    if pingStrikes > maximumPingStrikes { breach = breach ?? .pings }
  }
}
