internal import CTenancyOpenSSL

/// Owns an `X509`.
final class Certificate {
  let pointer: OpaquePointer

  /// An empty one, for `CertificateBuilder` to fill.
  init() throws(PKIError) {
    ERR_clear_error()
    guard let certificate = X509_new() else { throw .drainingQueue("cannot make a certificate") }
    pointer = certificate
  }

  /// Takes over the reference.
  init(owning pointer: OpaquePointer) { self.pointer = pointer }

  /// Reads the first certificate in `pem`.
  init(pem: String) throws(PKIError) {
    let buffer = try MemoryBuffer(pem)
    guard let certificate = PEM_read_bio_X509(buffer.pointer, nil, nil, nil) else {
      throw .drainingQueue("not a PEM certificate")
    }
    pointer = certificate
  }

  deinit { X509_free(pointer) }

  func pem() throws(PKIError) -> String {
    let buffer = try MemoryBuffer()
    guard PEM_write_bio_X509(buffer.pointer, pointer) == 1 else {
      throw .drainingQueue("cannot write the certificate")
    }
    return buffer.text()
  }

  // MARK: Reading

  /// SHA-256 of its DER, 32 bytes.
  func sha256() throws(PKIError) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
    guard X509_digest(pointer, EVP_sha256(), &digest, nil) == 1 else {
      throw .drainingQueue("cannot make the digest of a certificate")
    }
    return digest
  }

  /// Seconds since 1970.
  func notBefore() throws(PKIError) -> Int64 { try Self.seconds(X509_get0_notBefore(pointer)) }

  /// Seconds since 1970.
  func notAfter() throws(PKIError) -> Int64 { try Self.seconds(X509_get0_notAfter(pointer)) }

  var isAuthority: Bool { X509_check_ca(pointer) == 1 }

  /// Whether `key` is this certificate's.
  func fits(_ key: PrivateKey) -> Bool {
    defer { ERR_clear_error() }
    return X509_check_private_key(pointer, key.pointer) == 1
  }

  /// Whether `authority` signed this certificate. Says nothing of validity.
  func isSigned(by authority: Certificate) -> Bool {
    defer { ERR_clear_error() }
    return X509_check_issued(authority.pointer, pointer) == X509_V_OK
      && X509_verify(pointer, X509_get0_pubkey(authority.pointer)) == 1
  }

  /// The subjectAltName's entries of the kinds that we issue.
  func names() throws(PKIError) -> [AlternativeName] {
    var critical: Int32 = 0
    guard let raw = X509_get_ext_d2i(pointer, NID_subject_alt_name, &critical, nil) else {
      ERR_clear_error()
      // -1: there is no such extension.
      if critical == -1 { return [] }
      throw PKIError(.openSSL, "unreadable subjectAltName")
    }
    let list = OpaquePointer(raw)
    defer { GENERAL_NAMES_free(list) }
    return (0..<OPENSSL_sk_num(list)).compactMap { index in
      guard let value = OPENSSL_sk_value(list, index) else { return nil }
      return Self.name(value.assumingMemoryBound(to: GENERAL_NAME.self).pointee)
    }
  }

  private static func name(_ name: GENERAL_NAME) -> AlternativeName? {
    // IA5String and OCTET STRING are the same struct.
    guard [GEN_DNS, GEN_URI, GEN_IPADD].contains(name.type), let content = name.d.ia5 else {
      return nil
    }
    let bytes = UnsafeBufferPointer(
      start: ASN1_STRING_get0_data(content), count: Int(ASN1_STRING_length(content)))
    switch name.type {
    case GEN_DNS: return .dns(String(decoding: bytes, as: UTF8.self))
    case GEN_URI: return .uri(String(decoding: bytes, as: UTF8.self))
    default: return .address(Array(bytes))
    }
  }

  private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) throws(PKIError) -> Int64 {
    var parts = tm()
    guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else {
      throw .drainingQueue("unreadable date in a certificate")
    }
    return Int64(timegm(&parts))
  }
}
