/// The two forms of an ECDSA signature: r and s one behind the other, each as long as the curve's order
/// (RFC 7518 §3.4), and the DER of RFC 3279 §2.2.3, which OpenSSL knows.
enum ECDSAForm {
  /// - Returns: nil unless it has exactly the length, and both numbers are in 1..<n: a signature of zeros
  ///   is good for any message where that is forgotten.
  static func der(_ raw: [UInt8], _ curve: EllipticCurve) -> [UInt8]? {
    let half = curve.coordinateBytes
    guard raw.count == 2 * half else { return nil }
    var numbers: [UInt8] = []
    numbers.reserveCapacity(2 * half + 6)
    for start in [0, half] {
      let number = raw[start..<start + half]
      let digits = number.drop { $0 == 0 }
      guard let first = digits.first, number.lexicographicallyPrecedes(curve.order) else {
        return nil
      }
      // A leading zero keeps it positive.
      let sign: [UInt8] = first & 0x80 == 0 ? [] : [0]
      numbers += [0x02, UInt8(clamping: sign.count + digits.count)] + sign + digits
    }
    // Two numbers of 384 bits take less than 128 bytes: the short form of a length does.
    return [0x30, UInt8(clamping: numbers.count)] + numbers
  }

  /// - Returns: nil unless it is what OpenSSL makes.
  static func raw(_ der: [UInt8], _ curve: EllipticCurve) -> [UInt8]? {
    var rest = der[...]
    guard rest.popFirst() == 0x30, let length = rest.popFirst(), Int(length) == rest.count else {
      return nil
    }
    var raw: [UInt8] = []
    for _ in 0..<2 {
      guard rest.popFirst() == 0x02, let length = rest.popFirst(), Int(length) <= rest.count else {
        return nil
      }
      let digits = rest.prefix(Int(length)).drop { $0 == 0 }
      guard digits.count <= curve.coordinateBytes else { return nil }
      raw += [UInt8](repeating: 0, count: curve.coordinateBytes - digits.count) + digits
      rest = rest.dropFirst(Int(length))
    }
    return rest.isEmpty ? raw : nil
  }
}
