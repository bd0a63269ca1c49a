internal import TenancyLoop

/// Which header field of a request a name is, of those that mean something to us.
enum RequestField {
  case method, scheme, path, authority
  case contentType, contentLength, te, userAgent, host
  case timeout, encoding, acceptEncoding
  /// `grpc-`, and not one of ours.
  case reserved
  /// Custom metadata.
  case custom

  /// - Returns: nil for names that a request must not have: empty, not of lower-case token characters,
  ///   unknown pseudo-headers, and those of HTTP/1.1's connections (RFC 9113 §8.2.1, §8.2.2, §8.3).
  init?(_ name: UnsafeRawBufferPointer) {
    switch name.count {
    case 2 where equals(name, "te"): self = .te
    case 4 where equals(name, "host"): self = .host
    case 5 where equals(name, ":path"): self = .path
    case 7 where equals(name, ":method"): self = .method
    case 7 where equals(name, ":scheme"): self = .scheme
    case 7 where equals(name, "upgrade"): return nil
    case 10 where equals(name, ":authority"): self = .authority
    case 10 where equals(name, "user-agent"): self = .userAgent
    case 10 where equals(name, "connection") || equals(name, "keep-alive"): return nil
    case 12 where equals(name, "content-type"): self = .contentType
    case 12 where equals(name, "grpc-timeout"): self = .timeout
    case 13 where equals(name, "grpc-encoding"): self = .encoding
    case 14 where equals(name, "content-length"): self = .contentLength
    case 16 where equals(name, "proxy-connection"): return nil
    case 17 where equals(name, "transfer-encoding"): return nil
    case 20 where equals(name, "grpc-accept-encoding"): self = .acceptEncoding
    default:
      guard Self.isName(name) else { return nil }
      self = hasPrefix(name, "grpc-") ? .reserved : .custom
    }
  }

  /// `token` of RFC 9110 §5.6.2, without upper case.
  private static func isName(_ name: UnsafeRawBufferPointer) -> Bool {
    !name.isEmpty
      && name.allSatisfy { $0 < 128 && nameBytes[Int($0 >> 6)] >> UInt64($0 & 63) & 1 == 1 }
  }

  /// A bit for each of the 128 characters.
  private static let nameBytes: InlineArray<2, UInt64> = {
    var bits: InlineArray<2, UInt64> = [0, 0]
    for byte in "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz".utf8 {
      bits[Int(byte >> 6)] |= 1 << UInt64(byte & 63)
    }
    return bits
  }()

  /// Field values (RFC 9113 §8.2.1, RFC 9110 §5.5): no control characters but tabs, no space at the ends.
  static func isValue(_ value: UnsafeRawBufferPointer) -> Bool {
    guard let base = value.baseAddress, !value.isEmpty else { return true }
    if isBlank(value[0]) || isBlank(value[value.count - 1]) { return false }
    guard value.count >= 8 else {
      // Two looks at four bytes, which may overlap.
      guard value.count >= 4 else { return areValueBytes(value) }
      let first = base.loadUnaligned(as: UInt32.self)
      let last = base.loadUnaligned(fromByteOffset: value.count - 4, as: UInt32.self)
      return arePlain(UInt64(first) << 32 | UInt64(last)) || areValueBytes(value)
    }
    var at = 0
    // The last eight may overlap those before.
    while at < value.count - 8 {
      guard arePlain(base.loadUnaligned(fromByteOffset: at, as: UInt64.self)) else {
        return areValueBytes(value)
      }
      at += 8
    }
    return arePlain(base.loadUnaligned(fromByteOffset: value.count - 8, as: UInt64.self))
      || areValueBytes(value)
  }

  @inline(__always)
  private static func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
  }

  /// Whether eight bytes are value bytes, if that is seen at once: not so of some that are looked at one by
  /// one.
  @inline(__always)
  private static func arePlain(_ eight: UInt64) -> Bool {
    // A high bit for each byte below 0x20 or equal to 0x7F, and for some above.
    let low =
      (eight &- 0x2020_2020_2020_2020)
      | ((eight ^ 0x7F7F_7F7F_7F7F_7F7F) &- 0x0101_0101_0101_0101)
    return (low | eight) & 0x8080_8080_8080_8080 == 0
  }

  private static func areValueBytes(_ value: UnsafeRawBufferPointer) -> Bool {
    value.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == UInt8(ascii: "\t") }
  }
}

/// Judges whether a request is well-formed HTTP (RFC 9113 §8.1.1, §8.3.1): a stream that is not is reset.
///
/// In place of nghttp2's own check, which refuses `:authority` with a slash: some clients send the path of
/// the Unix socket there. We have no use for the field. It also looks at each name once, where meaning and
/// form need the same look.
struct RequestForm {
  private var seen: UInt8 = 0
  private var isPastPseudo = false
  private var isConnect = false
  private var isOptions = false
  private var pathIsAsterisk = false
  /// `content-length`, if there is one.
  private var length: UInt64?
  private var received: UInt64 = 0

  private static let method: UInt8 = 1
  private static let scheme: UInt8 = 2
  private static let path: UInt8 = 4
  private static let authority: UInt8 = 8
  private static let host: UInt8 = 16

  /// Takes a field of the request's headers.
  mutating func take(_ field: RequestField, _ value: UnsafeRawBufferPointer) -> Bool {
    guard RequestField.isValue(value) else { return false }
    switch field {
    case .method:
      isConnect = equals(value, "CONNECT")
      isOptions = equals(value, "OPTIONS")
      return pseudo(Self.method) && !value.isEmpty
    case .scheme: return pseudo(Self.scheme) && !value.isEmpty
    case .path:
      pathIsAsterisk = equals(value, "*")
      return pseudo(Self.path) && (value.first == UInt8(ascii: "/") || pathIsAsterisk)
    case .authority: return pseudo(Self.authority)
    case .host:
      isPastPseudo = true
      return once(Self.host)
    case .te:
      isPastPseudo = true
      return equals(value, "trailers")
    case .contentLength:
      isPastPseudo = true
      guard length == nil, let announced = Self.number(value) else { return false }
      length = announced
      return true
    case .contentType, .userAgent, .timeout, .encoding, .acceptEncoding, .reserved, .custom:
      isPastPseudo = true
      return true
    }
  }

  /// A field of the request's trailers: no pseudo-header.
  static func takesTrailer(_ field: RequestField, _ value: UnsafeRawBufferPointer) -> Bool {
    switch field {
    case .method, .scheme, .path, .authority: false
    default: RequestField.isValue(value)
    }
  }

  /// Whether the headers are whole.
  var headersAreWhole: Bool {
    if isConnect { return seen & (Self.scheme | Self.path) == 0 && seen & Self.authority != 0 }
    let needed = Self.method | Self.scheme | Self.path
    return seen & needed == needed && (!pathIsAsterisk || isOptions)
  }

  mutating func data(_ count: Int) -> Bool {
    received &+= UInt64(count)
    return length.map { received <= $0 } ?? true
  }

  /// Whether as much came as was announced.
  var bodyIsWhole: Bool { length.map { $0 == received } ?? true }

  private mutating func pseudo(_ bit: UInt8) -> Bool { !isPastPseudo && once(bit) }

  private mutating func once(_ bit: UInt8) -> Bool {
    defer { seen |= bit }
    return seen & bit == 0
  }

  private static func number(_ text: UnsafeRawBufferPointer) -> UInt64? {
    guard (1...18).contains(text.count) else { return nil }
    var number: UInt64 = 0
    for byte in text {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      // In range: at most eighteen digits, as checked.
      number = number * 10 + UInt64(byte - UInt8(ascii: "0"))
    }
    return number
  }
}
