/// Verifies signatures by one public key and one algorithm, which belong together from the beginning
/// (RFC 8725 §3.1). Made once and kept: a verification then costs little more than its arithmetic.
/// Thread-safe.
package final class MessageVerifier: Sendable {
  package let algorithm: SignatureAlgorithm
  package let publicKey: PublicKey

  private let context: SignatureContext

  /// - Throws: `.key` for a key of another kind than the algorithm's, and a point that is not on its
  ///   curve. Of what an RSA modulus is a product is not looked for.
  package init(_ key: PublicKey, _ algorithm: SignatureAlgorithm) throws(CryptoError) {
    try key.check(for: algorithm)
    self.algorithm = algorithm
    publicKey = key
    context = try SignatureContext(.verify, try KeyObject.of(key), algorithm)
  }

  /// - Parameter signature: of exactly the length that the algorithm and the key have; for ECDSA r and
  ///   s one behind the other.
  package func verify(_ signature: [UInt8], of message: ArraySlice<UInt8>) -> Bool {
    message.withUnsafeBytes { message in
      switch publicKey.numbers {
      case .elliptic(let curve, _, _):
        guard let der = ECDSAForm.der(signature, curve) else { return false }
        return der.withUnsafeBytes { context.verify($0, of: message) }
      case .rsa(let modulus, _):
        return signature.count == modulus.count
          && signature.withUnsafeBytes { context.verify($0, of: message) }
      case .ed25519:
        return signature.count == 64
          && signature.withUnsafeBytes { context.verify($0, of: message) }
      }
    }
  }
}
