public import TenancyLoop

/// Cuts one direction of a ttrpc connection into frames. Bytes in, frames out, however they are split.
public struct TTRPCFrameReader: ~Copyable {
  public enum Event {
    /// The payload is valid until the reader is next changed.
    case frame(TTRPCFrameHeader, UnsafeRawBufferPointer)
    /// A frame whose payload is longer than allowed: what there is of it is skipped, and what follows
    /// it is read on. Reported as soon as its header is here.
    case tooLarge(TTRPCFrameHeader)
    /// Not ttrpc: nothing that follows can be understood. From now on, this is all there is.
    case broken(TTRPCFrameHeader)
  }

  /// Memory that is kept when all is read.
  private static let idleCapacity = 16 * 1024

  @usableFromInline let limit: Int
  @usableFromInline var input = ByteStore(capacity: 4096)
  @usableFromInline var head = 0
  /// Bytes of the frame before.
  @usableFromInline var latest = 0
  /// Bytes still to come of a payload that is skipped.
  @usableFromInline var skipped = 0

  /// - Parameter limit: bytes of a payload; at most `TTRPCFrameHeader.maximumPayload` counts.
  public init(limit: Int = TTRPCFrameHeader.maximumPayload) {
    self.limit = min(limit, TTRPCFrameHeader.maximumPayload)
  }

  /// Bytes that are here and not read.
  @inlinable
  public var unreadBytes: Int { input.count - head }

  /// Ends the life of payloads that were handed out.
  public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    releaseRead()
    if head > 0 { input.removeFirst(head) }
    head = 0
    latest = 0
    input.append(base, count: bytes.count)
  }

  /// Gives what a large frame took back.
  private mutating func releaseRead() {
    guard head > 0, head == input.count else { return }
    input.clear(keeping: Self.idleCapacity)
    head = 0
    latest = 0
  }

  /// Memory held.
  public var capacity: Int { input.capacity }

  /// A frame has begun and is not whole.
  @inlinable
  public var isPartial: Bool { skipped > 0 || unreadBytes > 0 && !hasNext }

  /// Whether `next` would return something.
  @inlinable
  public var hasNext: Bool {
    let unread = unreadBytes - skipped
    guard unread >= TTRPCFrameHeader.length else { return false }
    let header = TTRPCFrameHeader(reading: input.base + head + skipped)
    return header.payloadCount > limit || unread >= TTRPCFrameHeader.length + header.payloadCount
  }

  /// The next frame, if it is whole. Ends the life of payloads that were handed out.
  public mutating func next() -> Event? {
    if skipped > 0 {
      let count = min(skipped, unreadBytes)
      skipped -= count
      head += count
    }
    guard unreadBytes >= TTRPCFrameHeader.length else {
      releaseRead()
      return nil
    }
    let header = TTRPCFrameHeader(reading: input.base + head)
    guard header.payloadCount <= limit else {
      // What is broken stays so: the header is not taken.
      if header.payloadCount > TTRPCFrameHeader.maximumLength { return .broken(header) }
      head += TTRPCFrameHeader.length
      skipped = header.payloadCount
      return .tooLarge(header)
    }
    let whole = TTRPCFrameHeader.length + header.payloadCount
    guard unreadBytes >= whole else { return nil }
    let payload = UnsafeRawBufferPointer(
      start: input.base + head + TTRPCFrameHeader.length, count: header.payloadCount)
    head += whole
    latest = whole
    return .frame(header, payload)
  }

  /// The next frame, whose beginning is here and no more, is not wanted: it is skipped, and what is here of
  /// it forgotten. nil: there is none, or not even its header.
  public mutating func abandon() -> TTRPCFrameHeader? {
    guard skipped == 0, !hasNext, unreadBytes >= TTRPCFrameHeader.length else { return nil }
    let header = TTRPCFrameHeader(reading: input.base + head)
    skipped = header.payloadCount - (unreadBytes - TTRPCFrameHeader.length)
    head = input.count
    releaseRead()
    return header
  }

  /// The frame that `next` returned will be returned again.
  public mutating func putBack() {
    head -= latest
    latest = 0
  }
}
