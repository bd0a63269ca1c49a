internal import CTenancyOpenSSL

/// An Ed25519 key (RFC 8032) to sign with. Thread-safe.
package final class SigningKey: Sendable {
  // OpenSSL locks what it caches in a key, and nothing else changes it.
  private nonisolated(unsafe) let key: OpaquePointer

  /// Reads a PEM file.
  /// - Throws: `PKIError` for one that can't be read or is no Ed25519 key.
  package init(file path: String) throws(PKIError) {
    let buffer = try MemoryBuffer(try PEMFile.read(path))
    // Without a callback of ours, OpenSSL would ask the terminal for a passphrase.
    guard let key = PEM_read_bio_PrivateKey(buffer.pointer, nil, { _, _, _, _ in -1 }, nil) else {
      throw .drainingQueue("\(path): not a PEM private key without passphrase")
    }
    guard EVP_PKEY_is_a(key, "ED25519") == 1 else {
      EVP_PKEY_free(key)
      throw PKIError(.file, "\(path): not an Ed25519 key")
    }
    self.key = key
  }

  deinit { EVP_PKEY_free(key) }

  /// Makes a key file, mode 0600, and beside it the public key's, where the former is missing.
  package static func ensure(private path: String, public publicPath: String) throws(PKIError) {
    if PEMFile.exists(path) { return }
    ERR_clear_error()
    guard let context = EVP_PKEY_CTX_new_from_name(nil, "ED25519", nil) else {
      throw .drainingQueue("cannot make a key")
    }
    defer { EVP_PKEY_CTX_free(context) }
    var made: OpaquePointer?
    guard EVP_PKEY_keygen_init(context) == 1, EVP_PKEY_generate(context, &made) == 1,
      let key = made
    else { throw .drainingQueue("cannot make a key") }
    defer { EVP_PKEY_free(key) }
    let (secret, open) = (try MemoryBuffer(), try MemoryBuffer())
    guard PEM_write_bio_PKCS8PrivateKey(secret.pointer, key, nil, nil, 0, nil, nil) == 1,
      PEM_write_bio_PUBKEY(open.pointer, key) == 1
    else { throw .drainingQueue("cannot write the key") }
    try PEMFile.write(open.text(), to: publicPath, mode: 0o644, replacing: true)
    // Last: when it is there, all is.
    try PEMFile.write(secret.text(), to: path, mode: 0o600, replacing: false)
  }

  package func sign(_ message: [UInt8]) throws(PKIError) -> [UInt8] {
    ERR_clear_error()
    guard let context = EVP_MD_CTX_new() else { throw .drainingQueue("cannot sign") }
    defer { EVP_MD_CTX_free(context) }
    var signature = [UInt8](repeating: 0, count: 64)
    var count = signature.count
    guard EVP_DigestSignInit(context, nil, nil, nil, key) == 1,
      EVP_DigestSign(context, &signature, &count, message, message.count) == 1,
      count == signature.count
    else { throw .drainingQueue("cannot sign") }
    return signature
  }
}

/// An Ed25519 public key. Confined to one task.
package final class VerifyingKey {
  private let key: OpaquePointer

  /// Reads a PEM file.
  /// - Throws: `PKIError` for one that can't be read or is no Ed25519 key.
  package init(file path: String) throws(PKIError) {
    let buffer = try MemoryBuffer(try PEMFile.read(path))
    guard let key = PEM_read_bio_PUBKEY(buffer.pointer, nil, { _, _, _, _ in -1 }, nil) else {
      throw .drainingQueue("\(path): not a PEM public key")
    }
    guard EVP_PKEY_is_a(key, "ED25519") == 1 else {
      EVP_PKEY_free(key)
      throw PKIError(.file, "\(path): not an Ed25519 key")
    }
    self.key = key
  }

  deinit { EVP_PKEY_free(key) }

  package func verify(_ signature: [UInt8], of message: [UInt8]) -> Bool {
    ERR_clear_error()
    guard let context = EVP_MD_CTX_new() else { return false }
    defer {
      EVP_MD_CTX_free(context)
      ERR_clear_error()
    }
    return EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1
      && EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
  }
}
