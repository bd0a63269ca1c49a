internal import CTenancyOpenSSL

/// Owns an `EVP_PKEY` that signs or verifies messages. Thread-safe.
final class KeyObject: Sendable {
  // OpenSSL counts references and locks what it caches in a key; nothing else changes it.
  nonisolated(unsafe) let pointer: OpaquePointer

  /// Takes over the reference.
  private init(owning pointer: OpaquePointer) { self.pointer = pointer }

  deinit { EVP_PKEY_free(pointer) }

  // MARK: Public keys

  /// - Throws: `.key` for a point that is not on its curve.
  static func of(_ key: PublicKey) throws(CryptoError) -> KeyObject {
    ERR_clear_error()
    let made: OpaquePointer? =
      switch key.numbers {
      case .elliptic(let curve, let x, let y): elliptic(curve, [0x04] + x + y)
      case .rsa(let modulus, let exponent): rsa(modulus, exponent)
      case .ed25519(let point):
        EVP_PKEY_new_raw_public_key_ex(nil, "ED25519", nil, point, point.count)
      }
    guard let made else { throw .drainingQueue("these numbers are no public key", .key) }
    let object = KeyObject(owning: made)
    switch key.kind {
    // A point of these curves is of their order, as the cofactor is 1: it is not multiplied by that.
    case .elliptic: try object.check(EVP_PKEY_public_check_quick)
    // Beyond what `PublicKey` has looked at, OpenSSL has nothing to check of an Ed25519 key. Of an RSA
    // modulus it asks whether it is prime, which takes 100 ms at 8192 bits, and seconds for a set of such
    // keys. A modulus that can be factored harms only whoever publishes it.
    case .ed25519, .rsa: break
    }
    return object
  }

  private static func elliptic(_ curve: EllipticCurve, _ point: [UInt8]) -> OpaquePointer? {
    var (name, point) = (Array(curve.rawValue.utf8CString), point)
    return name.withUnsafeMutableBufferPointer { name in
      point.withUnsafeMutableBytes { point in
        made(
          "EC",
          [
            // 0: as long as the text is.
            OSSL_PARAM_construct_utf8_string(TENANCY_PARAM_GROUP_NAME, name.baseAddress, 0),
            OSSL_PARAM_construct_octet_string(
              TENANCY_PARAM_PUB_KEY, point.baseAddress, point.count),
          ])
      }
    }
  }

  private static func rsa(_ modulus: [UInt8], _ exponent: [UInt8]) -> OpaquePointer? {
    // Parameters hold numbers as the machine does.
    var (modulus, exponent) = (native(modulus), native(exponent))
    return modulus.withUnsafeMutableBufferPointer { modulus in
      exponent.withUnsafeMutableBufferPointer { exponent in
        made(
          "RSA",
          [
            OSSL_PARAM_construct_BN(TENANCY_PARAM_RSA_N, modulus.baseAddress, modulus.count),
            OSSL_PARAM_construct_BN(TENANCY_PARAM_RSA_E, exponent.baseAddress, exponent.count),
          ])
      }
    }
  }

  /// The parameters' memory must be there during the call.
  private static func made(_ type: String, _ parameters: [OSSL_PARAM]) -> OpaquePointer? {
    guard let context = EVP_PKEY_CTX_new_from_name(nil, type, nil) else { return nil }
    defer { EVP_PKEY_CTX_free(context) }
    var parameters = parameters + [OSSL_PARAM_construct_end()]
    var key: OpaquePointer?
    guard EVP_PKEY_fromdata_init(context) == 1,
      EVP_PKEY_fromdata(context, &key, TENANCY_EVP_PKEY_PUBLIC_KEY, &parameters) == 1
    else { return nil }
    return key
  }

  // MARK: Private keys

  /// - Throws: `.library` where OpenSSL fails, and for RSA: no key of ours is one.
  static func generated(_ kind: SignatureKeyKind) throws(CryptoError) -> KeyObject {
    ERR_clear_error()
    let (type, curve): (String, EllipticCurve?)
    switch kind {
    case .elliptic(let of): (type, curve) = ("EC", of)
    case .ed25519: (type, curve) = ("ED25519", nil)
    case .rsa: throw CryptoError(.library, "RSA keys are not made here")
    }
    guard let context = EVP_PKEY_CTX_new_from_name(nil, type, nil) else {
      throw .drainingQueue("cannot make a key")
    }
    defer { EVP_PKEY_CTX_free(context) }
    var key: OpaquePointer?
    guard EVP_PKEY_keygen_init(context) == 1,
      curve.map({ EVP_PKEY_CTX_set_group_name(context, $0.rawValue) == 1 }) ?? true,
      EVP_PKEY_generate(context, &key) == 1, let key
    else { throw .drainingQueue("cannot make a key") }
    return KeyObject(owning: key)
  }

  /// Reads PKCS #8 (RFC 5208) in DER, not encrypted.
  /// - Throws: `.key` for anything else, for bytes behind it, and for halves that don't belong together.
  static func reading(pkcs8 der: UnsafeRawBufferPointer) throws(CryptoError) -> KeyObject {
    ERR_clear_error()
    var next = der.assumingMemoryBound(to: UInt8.self).baseAddress
    let end = next.map { $0 + der.count }
    guard let document = d2i_PKCS8_PRIV_KEY_INFO(nil, &next, der.count) else {
      throw .drainingQueue("no private key in PKCS #8", .key)
    }
    defer { PKCS8_PRIV_KEY_INFO_free(document) }
    guard next == end, let key = EVP_PKCS82PKEY_ex(document, nil, nil) else {
      throw .drainingQueue("no private key in PKCS #8", .key)
    }
    let object = KeyObject(owning: key)
    try object.check(EVP_PKEY_check)
    return object
  }

  /// Gives the key as PKCS #8 in DER, which is wiped afterwards.
  func withPKCS8<Result>(
    _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    ERR_clear_error()
    guard let document = EVP_PKEY2PKCS8(pointer) else {
      throw CryptoError.drainingQueue("cannot write the key")
    }
    defer { PKCS8_PRIV_KEY_INFO_free(document) }
    var bytes: UnsafeMutablePointer<UInt8>?
    let count = Int(i2d_PKCS8_PRIV_KEY_INFO(document, &bytes))
    guard count > 0, let bytes else { throw CryptoError.drainingQueue("cannot write the key") }
    defer { CRYPTO_clear_free(bytes, count, #file, #line) }
    return try body(UnsafeRawBufferPointer(start: bytes, count: count))
  }

  // MARK: What is in a key

  /// - Throws: `.key` for a key that is not fit to sign messages.
  func publicKey() throws(CryptoError) -> PublicKey {
    ERR_clear_error()
    defer { ERR_clear_error() }
    let numbers: PublicKey.Numbers? =
      if EVP_PKEY_is_a(pointer, "ED25519") == 1 {
        octets(TENANCY_PARAM_PUB_KEY, Ed25519Points.byteCount).map { .ed25519($0) }
      } else if EVP_PKEY_is_a(pointer, "EC") == 1 {
        ellipticNumbers()
      } else if EVP_PKEY_is_a(pointer, "RSA") == 1 {
        rsaNumbers()
      } else {
        nil
      }
    guard let numbers else { throw CryptoError(.key, "a key that signs no messages here") }
    return try PublicKey(numbers)
  }

  private func ellipticNumbers() -> PublicKey.Numbers? {
    var name = [CChar](repeating: 0, count: 80)
    guard EVP_PKEY_get_group_name(pointer, &name, name.count, nil) == 1 else { return nil }
    let text = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    let curve: EllipticCurve
    switch text {
    case "prime256v1", "P-256": curve = .p256
    case "secp384r1", "P-384": curve = .p384
    default: return nil
    }
    guard let x = number(TENANCY_PARAM_EC_PUB_X, curve.coordinateBytes),
      let y = number(TENANCY_PARAM_EC_PUB_Y, curve.coordinateBytes)
    else { return nil }
    return .elliptic(curve, x: x, y: y)
  }

  private func rsaNumbers() -> PublicKey.Numbers? {
    guard let modulus = number(TENANCY_PARAM_RSA_N, PublicKey.modulusBits.upperBound / 8),
      let exponent = number(TENANCY_PARAM_RSA_E, PublicKey.maximumExponentBytes)
    else { return nil }
    return .rsa(
      modulus: Array(modulus.drop { $0 == 0 }), exponent: Array(exponent.drop { $0 == 0 }))
  }

  /// Big-endian, with zeros before it; nil if it takes more bytes.
  private func number(_ name: UnsafePointer<CChar>?, _ count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    let isThere = bytes.withUnsafeMutableBufferPointer { bytes in
      var parameters = [
        OSSL_PARAM_construct_BN(name, bytes.baseAddress, count), OSSL_PARAM_construct_end(),
      ]
      return EVP_PKEY_get_params(pointer, &parameters) == 1
    }
    return isThere ? Self.native(bytes) : nil
  }

  private func octets(_ name: UnsafePointer<CChar>?, _ count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var length = 0
    guard EVP_PKEY_get_octet_string_param(pointer, name, &bytes, count, &length) == 1,
      length == count
    else { return nil }
    return bytes
  }

  /// Between big-endian and what the machine has.
  private static func native(_ bytes: [UInt8]) -> [UInt8] {
    1.littleEndian == 1 ? bytes.reversed() : bytes
  }

  private func check(_ judge: (OpaquePointer) -> Int32) throws(CryptoError) {
    guard let context = EVP_PKEY_CTX_new_from_pkey(nil, pointer, nil) else {
      throw .drainingQueue("cannot check a key")
    }
    defer { EVP_PKEY_CTX_free(context) }
    guard judge(context) == 1 else { throw .drainingQueue("the key is none", .key) }
  }
}
