internal import CTenancyOpenSSL

/// AES-256-GCM as this project uses it: a random nonce of 96 bits before the ciphertext, a tag of 128 bits
/// after it.
package enum AES256GCM {
  static let keyBytes = 32
  static let nonceBytes = 12
  static let tagBytes = 16
  /// What a message grows by.
  package static let overhead = nonceBytes + tagBytes
  /// Far more than any secret has, and far less than what lengths of the library count to.
  package static let maximumPlaintextBytes = 1 << 20

  /// - Parameter nonce: only tests give one.
  /// - Returns: nonce, ciphertext, tag.
  package static func encrypt(
    _ plaintext: UnsafeRawBufferPointer, under key: KeyBytes, authenticating data: [UInt8],
    nonce given: [UInt8]? = nil
  ) throws(CryptoError) -> [UInt8] {
    guard plaintext.count <= maximumPlaintextBytes else {
      throw CryptoError(.library, "more than \(maximumPlaintextBytes) bytes can't be sealed")
    }
    let nonce = if let given { given } else { try RandomBytes.make(nonceBytes) }
    let context = try CipherContext(.encrypt, key, nonce)
    try context.authenticate(data)
    var result = nonce + [UInt8](repeating: 0, count: plaintext.count + tagBytes)
    let isDone = result.withUnsafeMutableBytes { bytes in
      let body = UnsafeMutableRawBufferPointer(rebasing: bytes[nonceBytes..<bytes.count - tagBytes])
      let tag = UnsafeMutableRawBufferPointer(rebasing: bytes[(bytes.count - tagBytes)...])
      return context.transform(plaintext, into: body) && context.finish() && context.readTag(tag)
    }
    guard isDone else { throw .drainingQueue("AES-256-GCM does not encrypt") }
    return result
  }

  /// Decrypts into memory of exactly the plaintext's size, `message.count - overhead`. Unless it returns,
  /// nothing but zeros is left there.
  /// - Throws: `.damaged` unless all of it is as `encrypt` made it.
  package static func decrypt(
    _ message: ArraySlice<UInt8>, under key: KeyBytes, authenticating data: [UInt8],
    into plaintext: UnsafeMutableRawBufferPointer
  ) throws(CryptoError) {
    guard message.count == plaintext.count + overhead,
      plaintext.count <= maximumPlaintextBytes
    else { throw CryptoError(.damaged, "it has not the length of what was sealed") }
    let context = try CipherContext(.decrypt, key, Array(message.prefix(nonceBytes)))
    try context.authenticate(data)
    let body = Array(message.dropFirst(nonceBytes).dropLast(tagBytes))
    var tag = Array(message.suffix(tagBytes))
    let isGenuine =
      body.withUnsafeBytes { context.transform($0, into: plaintext) }
      && context.setTag(&tag) && context.finish()
    guard isGenuine else {
      OPENSSL_cleanse(plaintext.baseAddress, plaintext.count)
      ERR_clear_error()
      throw CryptoError(
        .damaged, "it was changed, or sealed for another place, version or key")
    }
  }
}

/// Owns an `EVP_CIPHER_CTX`, good for one message.
private final class CipherContext {
  enum Direction { case encrypt, decrypt }

  private let pointer: OpaquePointer

  init(_ direction: Direction, _ key: KeyBytes, _ nonce: [UInt8]) throws(CryptoError) {
    ERR_clear_error()
    guard let cipher = Cipher.aes256GCM?.pointer, let context = EVP_CIPHER_CTX_new() else {
      throw .drainingQueue("there is no AES-256-GCM")
    }
    pointer = context
    let isReady = key.withBytes { key in
      let key = key.assumingMemoryBound(to: UInt8.self).baseAddress
      return switch direction {
      case .encrypt: EVP_EncryptInit_ex2(context, cipher, key, nonce, nil)
      case .decrypt: EVP_DecryptInit_ex2(context, cipher, key, nonce, nil)
      }
    }
    guard isReady == 1, nonce.count == AES256GCM.nonceBytes else {
      throw .drainingQueue("AES-256-GCM does not take the key")
    }
  }

  // Also wipes the key's schedule.
  deinit { EVP_CIPHER_CTX_free(pointer) }

  /// Adds data that is authenticated and not encrypted.
  func authenticate(_ data: [UInt8]) throws(CryptoError) {
    var written: Int32 = 0
    guard EVP_CipherUpdate(pointer, nil, &written, data, Int32(clamping: data.count)) == 1 else {
      throw .drainingQueue("AES-256-GCM does not authenticate")
    }
  }

  func transform(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) -> Bool {
    guard !input.isEmpty else { return output.isEmpty }
    var written: Int32 = 0
    let result = EVP_CipherUpdate(
      pointer, output.assumingMemoryBound(to: UInt8.self).baseAddress, &written,
      input.assumingMemoryBound(to: UInt8.self).baseAddress, Int32(clamping: input.count))
    return result == 1 && Int(written) == input.count && output.count == input.count
  }

  /// When decrypting, whether the tag is right.
  func finish() -> Bool {
    // GCM is a stream: nothing is left to write.
    var nothing: UInt8 = 0
    var written: Int32 = 0
    return EVP_CipherFinal_ex(pointer, &nothing, &written) == 1 && written == 0
  }

  func readTag(_ tag: UnsafeMutableRawBufferPointer) -> Bool {
    EVP_CIPHER_CTX_ctrl(
      pointer, EVP_CTRL_AEAD_GET_TAG, Int32(clamping: tag.count), tag.baseAddress) == 1
  }

  func setTag(_ tag: inout [UInt8]) -> Bool {
    EVP_CIPHER_CTX_ctrl(pointer, EVP_CTRL_AEAD_SET_TAG, Int32(clamping: tag.count), &tag) == 1
  }
}

/// Owns a fetched `EVP_CIPHER`.
private final class Cipher: Sendable {
  /// Fetched once: a lookup costs more than sealing a password.
  static let aes256GCM = Cipher("AES-256-GCM")

  // The library counts references atomically and never changes a cipher.
  nonisolated(unsafe) let pointer: OpaquePointer

  private init?(_ name: String) {
    guard let cipher = EVP_CIPHER_fetch(nil, name, nil) else { return nil }
    pointer = cipher
  }

  deinit { EVP_CIPHER_free(pointer) }
}
