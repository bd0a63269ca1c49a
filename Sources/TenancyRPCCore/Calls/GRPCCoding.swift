/// Text codings of the gRPC-over-HTTP/2 protocol document.
package enum GRPCCoding {
  /// `grpc-timeout`: 1 to 8 digits and a unit. Returns nanoseconds (saturating), or nil if malformed.
  package static func parseTimeout(_ text: UnsafeRawBufferPointer) -> UInt64? {
    guard (2...9).contains(text.count) else { return nil }
    var number: UInt64 = 0
    for byte in text.dropLast() {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      // In range: eight digits.
      number = number * 10 + UInt64(byte - UInt8(ascii: "0"))
    }
    let unit: UInt64
    switch text[text.count - 1] {
    case UInt8(ascii: "H"): unit = 3_600_000_000_000
    case UInt8(ascii: "M"): unit = 60_000_000_000
    case UInt8(ascii: "S"): unit = 1_000_000_000
    case UInt8(ascii: "m"): unit = 1_000_000
    case UInt8(ascii: "u"): unit = 1000
    case UInt8(ascii: "n"): unit = 1
    default: return nil
    }
    let (product, overflow) = number.multipliedReportingOverflow(by: unit)
    return overflow ? .max : product
  }

  /// The `grpc-timeout` that is no longer than `duration`: at most 8 digits, the finest unit that fits.
  package static func formatTimeout(nanoseconds: UInt64) -> String {
    for (unit, size) in [("n", 1), ("u", 1000), ("m", 1_000_000), ("S", 1_000_000_000)]
      as [(String, UInt64)]
    where nanoseconds / size < 100_000_000 {
      return "\(nanoseconds / size)\(unit)"
    }
    return "\(min(nanoseconds / 3_600_000_000_000, 99_999_999))H"
  }

  /// Percent-encodes what is not printable ASCII, and `%` itself, for `grpc-message`.
  package static func percentEncode(_ text: String) -> [UInt8] {
    let digits = Array("0123456789ABCDEF".utf8)
    var out: [UInt8] = []
    out.reserveCapacity(text.utf8.count)
    for byte in text.utf8 {
      if byte >= 0x20, byte <= 0x7E, byte != UInt8(ascii: "%") {
        out.append(byte)
      } else {
        out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return out
  }

  /// Decodes `grpc-message`; what is not a well-formed escape stays as it is.
  package static func percentDecode(_ text: some Collection<UInt8>) -> String {
    var out: [UInt8] = []
    var rest = text[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), let high = rest.first.flatMap(hexValue),
        let low = rest.dropFirst().first.flatMap(hexValue)
      {
        out.append(high << 4 | low)
        rest = rest.dropFirst(2)
      } else {
        out.append(byte)
      }
    }
    return String(decoding: out, as: UTF8.self)
  }

  private static func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte &- UInt8(ascii: "a") &+ 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte &- UInt8(ascii: "A") &+ 10
    default: nil
    }
  }
}
