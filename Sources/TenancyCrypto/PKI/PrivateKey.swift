internal import CTenancyOpenSSL

/// Owns an `EVP_PKEY`.
final class PrivateKey {
  let pointer: OpaquePointer

  /// Generates an ECDSA key on P-256.
  init() throws(PKIError) {
    ERR_clear_error()
    guard let context = EVP_PKEY_CTX_new_from_name(nil, "EC", nil) else {
      throw .drainingQueue("cannot make a key")
    }
    defer { EVP_PKEY_CTX_free(context) }
    var key: OpaquePointer?
    guard EVP_PKEY_keygen_init(context) == 1,
      EVP_PKEY_CTX_set_group_name(context, "P-256") == 1,
      EVP_PKEY_generate(context, &key) == 1, let key
    else { throw .drainingQueue("cannot make a key") }
    pointer = key
  }

  /// Reads a key that is not encrypted.
  init(pem: String) throws(PKIError) {
    let buffer = try MemoryBuffer(pem)
    // Without a callback of ours, OpenSSL would ask the terminal for a passphrase.
    guard let key = PEM_read_bio_PrivateKey(buffer.pointer, nil, { _, _, _, _ in -1 }, nil) else {
      throw .drainingQueue("not a PEM private key without passphrase")
    }
    pointer = key
  }

  /// Takes over the reference.
  init(owning pointer: OpaquePointer) { self.pointer = pointer }

  /// Reads PKCS #8 in DER that is not encrypted.
  init(pkcs8 der: [UInt8]) throws(PKIError) {
    ERR_clear_error()
    let document = der.withUnsafeBufferPointer { bytes in
      var next = bytes.baseAddress
      return d2i_PKCS8_PRIV_KEY_INFO(nil, &next, bytes.count)
    }
    defer { PKCS8_PRIV_KEY_INFO_free(document) }
    guard let document, let key = EVP_PKCS82PKEY(document) else {
      throw .drainingQueue("not a private key in PKCS #8")
    }
    pointer = key
  }

  deinit { EVP_PKEY_free(pointer) }

  /// PKCS #8, not encrypted.
  func pem() throws(PKIError) -> String {
    let buffer = try MemoryBuffer()
    guard PEM_write_bio_PKCS8PrivateKey(buffer.pointer, pointer, nil, nil, 0, nil, nil) == 1 else {
      throw .drainingQueue("cannot write the key")
    }
    return buffer.text()
  }

  /// PKCS #8 in DER, not encrypted.
  func pkcs8() throws(PKIError) -> [UInt8] {
    ERR_clear_error()
    guard let document = EVP_PKEY2PKCS8(pointer) else {
      throw .drainingQueue("cannot write the key")
    }
    defer { PKCS8_PRIV_KEY_INFO_free(document) }
    var bytes: UnsafeMutablePointer<UInt8>?
    let count = Int(i2d_PKCS8_PRIV_KEY_INFO(document, &bytes))
    guard count > 0, let bytes else { throw .drainingQueue("cannot write the key") }
    defer { CRYPTO_clear_free(bytes, count, #file, #line) }
    return Array(UnsafeBufferPointer(start: bytes, count: count))
  }
}
