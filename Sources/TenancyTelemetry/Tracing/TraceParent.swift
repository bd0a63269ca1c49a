/// The id of a trace: 16 bytes, not all zero.
public struct TraceID: Hashable, Sendable {
  public let high: UInt64
  public let low: UInt64

  /// - Returns: nil for zero.
  public init?(high: UInt64, low: UInt64) {
    guard high | low != 0 else { return nil }
    self.high = high
    self.low = low
  }

  /// Lower-case hex.
  public var text: String { Hex.text(high) + Hex.text(low) }
}

/// The id of a span: 8 bytes, not all zero.
public struct SpanID: Hashable, Sendable {
  public let value: UInt64

  /// - Returns: nil for zero.
  public init?(_ value: UInt64) {
    guard value != 0 else { return nil }
    self.value = value
  }

  /// Lower-case hex.
  public var text: String { Hex.text(value) }
}

/// The `traceparent` of W3C Trace Context: what a call belongs to.
public struct TraceParent: Hashable, Sendable {
  public let trace: TraceID
  public let parent: SpanID
  /// The caller may have recorded its span, and would like ours.
  public let isSampled: Bool

  static let metadataName: StaticString = "traceparent"

  /// `00-` trace `-` parent `-` flags, of 32, 16 and 2 digits.
  private static let count = 55

  public init(trace: TraceID, parent: SpanID, isSampled: Bool) {
    self.trace = trace
    self.parent = parent
    self.isSampled = isSampled
  }

  /// Strict, as the recommendation wants it (level 1, §3.2): digits in lower case, no zero ids, version 00 of
  /// exactly its length; of a higher version the beginning, where that is as in 00 and what follows is set
  /// apart by a dash; version ff is none.
  ///
  /// - Returns: nil for what is to be ignored.
  public init?(parsing bytes: UnsafeRawBufferPointer) {
    let dash = UInt8(ascii: "-")
    guard bytes.count >= Self.count, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash,
      let version = Hex.number(bytes, 0..<2), version != 0xFF,
      version == 0 ? bytes.count == Self.count : bytes.count == Self.count || bytes[55] == dash,
      let high = Hex.number(bytes, 3..<19), let low = Hex.number(bytes, 19..<35),
      let parent = Hex.number(bytes, 36..<52), let flags = Hex.number(bytes, 53..<55),
      let trace = TraceID(high: high, low: low), let span = SpanID(parent)
    else { return nil }
    self.init(trace: trace, parent: span, isSampled: flags & 1 == 1)
  }

  /// As it is sent, of version 00.
  public var text: String { "00-\(trace.text)-\(parent.text)-\(isSampled ? "01" : "00")" }
}

enum Hex {
  /// Digits in lower case only.
  /// - Precondition: `range` is inside `bytes`, and at most 16 digits.
  static func number(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> UInt64? {
    var value: UInt64 = 0
    for index in range {
      let byte = bytes[index]
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        value = value << 4 | UInt64(byte - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"):
        value = value << 4 | UInt64(byte - UInt8(ascii: "a") + 10)
      default: return nil
      }
    }
    return value
  }

  /// 16 digits.
  static func text(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
