/// The public half of a key that signs messages, as numbers. Only keys that are fit for it exist.
package struct PublicKey: Sendable, Hashable {
  /// Big-endian throughout.
  package enum Numbers: Sendable, Hashable {
    /// Both coordinates have exactly the bytes that the curve's have.
    case elliptic(EllipticCurve, x: [UInt8], y: [UInt8])
    /// Neither begins with a zero byte.
    case rsa(modulus: [UInt8], exponent: [UInt8])
    /// As RFC 8032 §5.1.2 encodes a point: 32 bytes.
    case ed25519([UInt8])
  }

  /// Of an RSA modulus. Above, a signature costs more than a stranger's token is worth.
  package static let modulusBits = 2048...8192
  /// Of an RSA exponent; 2^32 - 1 is the largest.
  package static let maximumExponentBytes = 4

  package let numbers: Numbers

  /// - Throws: `.key` unless the numbers have the right lengths; for an RSA modulus out of
  ///   `modulusBits` or even; for an exponent that is even, less than 65537 or more than 2^32 - 1; for
  ///   an Ed25519 point of small order, for which anybody can sign. Whether a point is on its curve is
  ///   `MessageVerifier`'s to know.
  package init(_ numbers: Numbers) throws(CryptoError) {
    switch numbers {
    case .elliptic(let curve, let x, let y):
      guard x.count == curve.coordinateBytes, y.count == curve.coordinateBytes else {
        throw CryptoError(.key, "a coordinate has not the length of the curve's")
      }
    case .rsa(let modulus, let exponent): try Self.check(modulus: modulus, exponent: exponent)
    case .ed25519(let point):
      guard point.count == Ed25519Points.byteCount, !Ed25519Points.isWeak(point) else {
        throw CryptoError(.key, "no Ed25519 public key that could be trusted")
      }
    }
    self.numbers = numbers
  }

  package var kind: SignatureKeyKind {
    switch numbers {
    case .elliptic(let curve, _, _): .elliptic(curve)
    case .rsa: .rsa
    case .ed25519: .ed25519
    }
  }

  /// Not inlined: Swift 6.3.1's optimiser fails on `MessageSigner` otherwise ("Found ownership error").
  /// - Throws: `.key` for a key of another kind than the algorithm's.
  @inline(never)
  func check(for algorithm: SignatureAlgorithm) throws(CryptoError) {
    guard kind == algorithm.keyKind else {
      throw CryptoError(.key, "not a key for \(algorithm.rawValue)")
    }
  }

  private static func check(modulus: [UInt8], exponent: [UInt8]) throws(CryptoError) {
    guard let first = modulus.first, first != 0, let last = modulus.last, last & 1 == 1,
      modulusBits.contains(modulus.count * 8 - first.leadingZeroBitCount)
    else { throw CryptoError(.key, "the RSA modulus is even, or not of 2048 to 8192 bits") }
    guard let first = exponent.first, first != 0, exponent.count <= maximumExponentBytes,
      exponent.reduce(0, { $0 << 8 | UInt64($1) }) >= 65_537, let last = exponent.last,
      last & 1 == 1
    else { throw CryptoError(.key, "the RSA exponent is even, or not of 65537 to 4294967295") }
  }
}

/// Which encodings of points are no keys.
enum Ed25519Points {
  static let byteCount = 32

  /// Whether the point is of small order, or its y is not below the field's prime 2^255 - 19.
  static func isWeak(_ point: [UInt8]) -> Bool {
    var y = point
    y[byteCount - 1] &= 0x7F  // The sign of x.
    // Little-endian: at or above 2^255 - 19.
    let isTooLarge =
      y[0] >= 0xED && y[1..<byteCount - 1].allSatisfy { $0 == 0xFF } && y[byteCount - 1] == 0x7F
    return isTooLarge || smallOrder.contains(y)
  }

  /// The y of the eight points whose order divides 8.
  private static let smallOrder: [[UInt8]] = [
    // 1, 0 and -1: of order 1, 4 and 2.
    [1] + [UInt8](repeating: 0, count: 31),
    [UInt8](repeating: 0, count: 32),
    [0xEC] + [UInt8](repeating: 0xFF, count: 30) + [0x7F],
    // Of order 8.
    [
      0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98,
      0xF0, 0xD5, 0xDF, 0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53,
      0xFC, 0x05,
    ],
    [
      0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67,
      0x0F, 0x2A, 0x20, 0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC,
      0x03, 0x7A,
    ],
  ]
}
