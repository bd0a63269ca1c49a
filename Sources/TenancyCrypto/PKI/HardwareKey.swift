internal import CTenancyOpenSSL

/// A private key in a PKCS #11 token, which signs and is not to be had: by OpenSSL's engine of libp11. Thread-safe; a
/// signature may take as long as the token does.
///
/// Opened once: a token counts PINs that are wrong, and locks.
package final class HardwareKey: Sendable {
  /// What such a key is named by (RFC 7512).
  package static let scheme = "pkcs11:"
  /// Bytes of a URI, at most.
  package static let maximumURIBytes = 1024

  // Neither is changed after `init`, and the engine locks its sessions.
  private nonisolated(unsafe) let engine: OpaquePointer
  // Likewise.
  nonisolated(unsafe) let key: PrivateKey

  /// - Parameters:
  ///   - uri: of the key, such as `pkcs11:token=ca;object=issuing`, without a PIN.
  ///   - module: the token's PKCS #11 library.
  ///   - pinFile: the user's PIN, with a newline behind it or without.
  /// - Throws: `PKIError` if there is no such engine, module, token or key, or the PIN is wrong.
  package init(uri: String, module: String, pinFile: String) throws(PKIError) {
    guard Self.isURI(uri) else {
      throw PKIError(
        .authority, "\(Self.scheme) and attributes of the key are expected, without a PIN")
    }
    var pin = Array(try PEMFile.read(pinFile).utf8)
    if pin.last == UInt8(ascii: "\n") { pin.removeLast() }
    guard !pin.isEmpty, !pin.contains(0) else {
      throw PKIError(.file, "\(pinFile) holds no PIN")
    }
    defer { pin.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) } }
    pin.append(0)
    ERR_clear_error()
    let opened = pin.withUnsafeBytes { bytes in
      tenancy_token_engine_open(module, bytes.baseAddress?.assumingMemoryBound(to: CChar.self))
    }
    guard let opened else {
      throw .drainingQueue(
        "cannot use the PKCS #11 module \(module), or OpenSSL has no engine for it")
    }
    guard let found = tenancy_token_engine_key(opened, uri) else {
      let error = PKIError.drainingQueue("cannot use the key \(uri)")
      tenancy_token_engine_close(opened)
      throw error
    }
    engine = opened
    key = PrivateKey(owning: found)
  }

  deinit { tenancy_token_engine_close(engine) }

  /// Whether it can be one, and says no PIN: who reads the configuration must not have it.
  package static func isURI(_ text: String) -> Bool {
    text.hasPrefix(scheme) && text.utf8.count <= maximumURIBytes
      && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
      && !text.lowercased().contains("pin-value") && !text.lowercased().contains("pin-source")
  }
}
