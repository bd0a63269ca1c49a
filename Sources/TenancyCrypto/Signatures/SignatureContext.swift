internal import CTenancyOpenSSL

/// Owns an `EVP_MD_CTX`.
///
/// One that is ready to sign or to verify is made per key, and copied for each message: looking up the
/// algorithms and giving them the key is done once. Thread-safe for that.
final class SignatureContext: Sendable {
  enum Purpose { case sign, verify }

  // Only read once it is ready: a message gets a copy. What a copy shares is counted atomically.
  private nonisolated(unsafe) let pointer: OpaquePointer

  /// - Throws: `.library` where OpenSSL does not do it.
  init(_ purpose: Purpose, _ key: KeyObject, _ algorithm: SignatureAlgorithm) throws(CryptoError) {
    ERR_clear_error()
    guard let context = EVP_MD_CTX_new() else { throw .drainingQueue("cannot sign or verify") }
    pointer = context
    // The name stays OpenSSL's own; `details` is owned by the context.
    var details: OpaquePointer?
    let isReady =
      switch purpose {
      case .sign:
        EVP_DigestSignInit_ex(
          context, &details, algorithm.digestName, nil, nil, key.pointer, nil)
      case .verify:
        EVP_DigestVerifyInit_ex(
          context, &details, algorithm.digestName, nil, nil, key.pointer, nil)
      }
    guard isReady == 1, Self.setPadding(details, algorithm) else {
      throw .drainingQueue("cannot use a key for \(algorithm.rawValue)")
    }
  }

  deinit { EVP_MD_CTX_free(pointer) }

  private static func setPadding(
    _ details: OpaquePointer?, _ algorithm: SignatureAlgorithm
  ) -> Bool {
    switch algorithm {
    case .es256, .es384, .eddsa: true
    case .rs256: EVP_PKEY_CTX_set_rsa_padding(details, RSA_PKCS1_PADDING) == 1
    case .ps256:
      // Exactly that: when verifying, other lengths of the salt are refused.
      EVP_PKEY_CTX_set_rsa_padding(details, RSA_PKCS1_PSS_PADDING) == 1
        && EVP_PKEY_CTX_set_rsa_pss_saltlen(details, RSA_PSS_SALTLEN_DIGEST) == 1
        && EVP_PKEY_CTX_set_rsa_mgf1_md_name(details, "SHA2-256", nil) == 1
    }
  }

  /// Whether OpenSSL takes the signature. What fails is no signature.
  func verify(_ signature: UnsafeRawBufferPointer, of message: UnsafeRawBufferPointer) -> Bool {
    guard let context = EVP_MD_CTX_new() else { return false }
    defer {
      EVP_MD_CTX_free(context)
      ERR_clear_error()
    }
    return EVP_MD_CTX_copy_ex(context, pointer) == 1
      && EVP_DigestVerify(
        context, signature.assumingMemoryBound(to: UInt8.self).baseAddress, signature.count,
        message.assumingMemoryBound(to: UInt8.self).baseAddress, message.count) == 1
  }

  /// - Parameter maximumBytes: what the signature may take.
  func sign(
    _ message: UnsafeRawBufferPointer, maximumBytes: Int
  ) throws(CryptoError) -> [UInt8] {
    ERR_clear_error()
    guard let context = EVP_MD_CTX_new() else { throw .drainingQueue("cannot sign") }
    defer { EVP_MD_CTX_free(context) }
    var signature = [UInt8](repeating: 0, count: maximumBytes)
    var count = maximumBytes
    guard EVP_MD_CTX_copy_ex(context, pointer) == 1,
      EVP_DigestSign(
        context, &signature, &count, message.assumingMemoryBound(to: UInt8.self).baseAddress,
        message.count) == 1
    else { throw .drainingQueue("cannot sign") }
    signature.removeSubrange(count...)
    return signature
  }
}
