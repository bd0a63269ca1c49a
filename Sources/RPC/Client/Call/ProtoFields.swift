/// Reads the few protobuf fields that the runtime itself must understand, and skips all others.
struct ProtoFields {
  enum Value {
    case number(UInt64)
    case bytes(ArraySlice<UInt8>)
    /// 32 or 64 bits that nothing here needs.
    case fixed
  }

  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  /// The last value of a field, as proto3 wants it; nil if it is absent or the bytes are malformed.
  static func last(_ number: UInt64, in bytes: ArraySlice<UInt8>) -> Value? {
    all(number, in: bytes)?.last
  }

  /// All values of a field; nil if the bytes are malformed.
  static func all(_ number: UInt64, in bytes: ArraySlice<UInt8>) -> [Value]? {
    var fields = ProtoFields(bytes)
    var found: [Value] = []
    while !fields.rest.isEmpty {
      guard let (field, value) = fields.next() else { return nil }
      if field == number { found.append(value) }
    }
    return found
  }

  private mutating func next() -> (UInt64, Value)? {
    guard let tag = varint() else { return nil }
    switch tag & 7 {
    case 0: return varint().map { (tag >> 3, .number($0)) }
    case 1: return take(8).map { _ in (tag >> 3, .fixed) }
    case 2:
      guard let length = varint(), let count = Int(exactly: length) else { return nil }
      return take(count).map { (tag >> 3, .bytes($0)) }
    case 5: return take(4).map { _ in (tag >> 3, .fixed) }
    default: return nil
    }
  }

  private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
    guard count <= rest.count else { return nil }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  private mutating func varint() -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard let byte = rest.popFirst() else { return nil }
      value |= UInt64(byte & 0x7F) << shift
      if byte & 0x80 == 0 { return value }
    }
    return nil
  }
}

/// `google.rpc.RetryInfo` in a status's details.
enum RetryInfo {
  /// How long the server asks to be left alone.
  static func delay(in status: RPCStatus) -> Duration? {
    for case .bytes(let detail) in ProtoFields.all(3, in: status.details[...]) ?? [] {
      guard case .bytes(let type)? = ProtoFields.last(1, in: detail),
        String(decoding: type, as: UTF8.self).split(separator: "/").last == "google.rpc.RetryInfo",
        case .bytes(let info)? = ProtoFields.last(2, in: detail),
        case .bytes(let delay)? = ProtoFields.last(1, in: info)
      else { continue }
      return duration(delay)
    }
    return nil
  }

  private static func duration(_ bytes: ArraySlice<UInt8>) -> Duration {
    func number(_ field: UInt64) -> Int64 {
      guard case .number(let value)? = ProtoFields.last(field, in: bytes) else { return 0 }
      return Int64(bitPattern: value)
    }
    // google.protobuf.Duration: at most 10,000 years, and less than a second of nanoseconds.
    let seconds = min(max(number(1), 0), 315_576_000_000)
    return .seconds(seconds) + .nanoseconds(min(max(number(2), 0), 999_999_999))
  }
}
