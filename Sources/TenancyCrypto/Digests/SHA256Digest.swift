internal import CTenancyOpenSSL

/// SHA-256 (FIPS 180-4) of bytes that are in memory. What comes in parts is for `SHA256Hasher`.
package enum SHA256Digest {
  /// Lower-case hex.
  package static func hex(_ bytes: [UInt8]) -> String { HexText.encode(self.bytes(bytes)) }

  /// 32 bytes. Ends the process where OpenSSL can't: a digest that is none would pass for another's.
  @Sendable
  package static func bytes(_ bytes: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
    guard SHA256(bytes, bytes.count, &digest) != nil else { fatalError("SHA-256 fails") }
    return digest
  }
}

/// SHA-256 of what comes in parts. Owns an `EVP_MD_CTX`. Confined to one task.
package final class SHA256Hasher {
  private let context: OpaquePointer?
  /// OpenSSL has done all that it was asked for.
  private var isGood: Bool

  package init() {
    context = EVP_MD_CTX_new()
    isGood = context != nil && EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1
  }

  deinit { EVP_MD_CTX_free(context) }

  /// Adds bytes behind those before.
  package func update(_ bytes: [UInt8]) {
    isGood = isGood && EVP_DigestUpdate(context, bytes, bytes.count) == 1
  }

  /// Lower-case hex, once; nil: OpenSSL has failed.
  package func finish() -> String? {
    var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
    isGood = isGood && EVP_DigestFinal_ex(context, &digest, nil) == 1
    defer { isGood = false }
    ERR_clear_error()
    return isGood ? HexText.encode(digest) : nil
  }
}
