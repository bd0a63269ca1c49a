/// Signs messages with one private key by one algorithm. Made once and kept. Thread-safe.
package final class MessageSigner: Sendable {
  package let algorithm: SignatureAlgorithm
  package let publicKey: PublicKey

  private let key: KeyObject
  private let context: SignatureContext

  /// A new key.
  /// - Throws: `.library` for RSA, which is for verifying what others have signed.
  package convenience init(generating algorithm: SignatureAlgorithm) throws(CryptoError) {
    try self.init(try KeyObject.generated(algorithm.keyKind), algorithm)
  }

  /// Reads PKCS #8 (RFC 5208) in DER, not encrypted.
  /// - Throws: `.key` for anything else, and for a key of another kind than the algorithm's.
  package convenience init(
    pkcs8 der: UnsafeRawBufferPointer, _ algorithm: SignatureAlgorithm
  ) throws(CryptoError) {
    try self.init(try KeyObject.reading(pkcs8: der), algorithm)
  }

  /// Reads a PEM file with a private key, not encrypted.
  /// - Throws: `PKIError` for a file that can't be read; `CryptoError` for a key of another kind than the algorithm's.
  package convenience init(file path: String, _ algorithm: SignatureAlgorithm) throws {
    let der = try PrivateKey(file: path).pkcs8()
    try self.init(
      try der.withUnsafeBytes { der in
        Result { () throws(CryptoError) in try KeyObject.reading(pkcs8: der) }
      }.get(), algorithm)
  }

  private init(_ key: KeyObject, _ algorithm: SignatureAlgorithm) throws(CryptoError) {
    let publicKey = try key.publicKey()
    try publicKey.check(for: algorithm)
    self.algorithm = algorithm
    self.publicKey = publicKey
    self.key = key
    context = try SignatureContext(.sign, key, algorithm)
  }

  /// Gives the key as PKCS #8 in DER, not encrypted, to be sealed: it is wiped when `body` returns.
  /// - Throws: `CryptoError`, and what `body` throws.
  package func withPKCS8<Result>(
    _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    try key.withPKCS8(body)
  }

  /// - Returns: for ECDSA r and s one behind the other (RFC 7518 §3.4).
  package func sign(_ message: ArraySlice<UInt8>) throws(CryptoError) -> [UInt8] {
    /// DER adds at most nine bytes to r and s.
    let (curve, maximum): (EllipticCurve?, Int) =
      switch publicKey.numbers {
      case .elliptic(let curve, _, _): (curve, 2 * curve.coordinateBytes + 9)
      case .rsa(let modulus, _): (nil, modulus.count)
      case .ed25519: (nil, 64)
      }
    let made = try message.withUnsafeBytes { message in
      Result { () throws(CryptoError) in try context.sign(message, maximumBytes: maximum) }
    }.get()
    guard let curve else { return made }
    guard let raw = ECDSAForm.raw(made, curve) else {
      throw CryptoError(.library, "a signature that is none")
    }
    return raw
  }
}
