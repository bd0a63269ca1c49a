internal import CTenancyOpenSSL

/// Reads what we use of an X.509 certificate.
enum CertificateReader {
  /// Most extensions of a certificate that we look at. Real ones have about ten.
  private static let maximumExtensions: Int32 = 64

  /// Fails on a certificate whose names can't be read beyond doubt.
  static func read(_ certificate: OpaquePointer) -> Result<PeerCertificate, TLSError> {
    var digest = [UInt8](repeating: 0, count: 32)
    var length: UInt32 = 0
    guard X509_digest(certificate, EVP_sha256(), &digest, &length) == 1, length == 32,
      let notBefore = notBefore(certificate), let notAfter = notAfter(certificate)
    else { return .failure(.drainingQueue("unreadable certificate")) }
    guard hasUniqueExtensions(certificate) else {
      return .failure(TLSError("an extension is there twice, or there are too many"))
    }
    // Extensions that contradict themselves or can't be parsed leave errors in the thread's queue.
    guard X509_get_extension_flags(certificate) & UInt32(EXFLAG_INVALID) == 0 else {
      return .failure(.drainingQueue("a certificate with invalid extensions"))
    }
    return uriNames(certificate).flatMap { names in
      RegistrationExtension.read(certificate).map { registration in
        PeerCertificate(
          uriNames: names, fingerprint: digest, notBefore: notBefore, notAfter: notAfter,
          isAuthority: X509_check_ca(certificate) != 0, registration: registration)
      }
    }
  }

  /// Whether the key may sign certificates or CRLs.
  static func maySign(_ certificate: OpaquePointer) -> Bool {
    let usage = X509_get_key_usage(certificate)
    // All bits: there is no such extension.
    return usage != UInt32.max && usage & UInt32(KU_KEY_CERT_SIGN | KU_CRL_SIGN) != 0
  }

  /// Whether the certificate says what it may be used for. OpenSSL, which judges what it says, takes one
  /// that says nothing to be good for everything.
  static func namesItsUse(_ certificate: OpaquePointer) -> Bool {
    X509_get_extension_flags(certificate) & UInt32(EXFLAG_XKUSAGE) != 0
  }

  /// Bits of an RSA key, at least.
  static let minimumRSABits: Int32 = 2048

  /// Whether the key is RSA and too short. OpenSSL's security level of 112 bits lets keys from 1,984 bits
  /// on pass: it rounds their strength.
  static func hasWeakKey(_ certificate: OpaquePointer) -> Bool {
    guard let key = X509_get0_pubkey(certificate) else { return true }  // Unreadable: not trusted.
    let isRSA = [EVP_PKEY_RSA, EVP_PKEY_RSA_PSS].contains(EVP_PKEY_get_base_id(key))
    return isRSA && EVP_PKEY_get_bits(key) < minimumRSABits
  }

  /// SHA-256 of the SubjectPublicKeyInfo, as the certificate has it (RFC 7469 §2.4); nil where it can't be read.
  static func keyDigest(_ certificate: OpaquePointer) -> [UInt8]? {
    guard let key = X509_get_X509_PUBKEY(certificate) else { return nil }
    let count = i2d_X509_PUBKEY(key, nil)
    guard count > 0 else { return nil }
    let encoded = [UInt8](unsafeUninitializedCapacity: Int(count)) { buffer, written in
      var end = buffer.baseAddress
      written = max(0, Int(i2d_X509_PUBKEY(key, &end)))
    }
    return SHA256Digest.bytes(encoded)
  }

  /// Seconds since 1970.
  static func notBefore(_ certificate: OpaquePointer) -> Int64? {
    seconds(X509_get0_notBefore(certificate))
  }

  /// Seconds since 1970.
  static func notAfter(_ certificate: OpaquePointer) -> Int64? {
    seconds(X509_get0_notAfter(certificate))
  }

  /// RFC 5280 §4.2: no extension may be there twice. OpenSSL sees that of those it knows only.
  private static func hasUniqueExtensions(_ certificate: OpaquePointer) -> Bool {
    let count = X509_get_ext_count(certificate)
    guard count <= maximumExtensions else { return false }
    for index in 0..<max(0, count) {
      let id = X509_EXTENSION_get_object(X509_get_ext(certificate, index))
      if X509_get_ext_by_OBJ(certificate, id, index) >= 0 { return false }
    }
    return true
  }

  static func uriNames(_ certificate: OpaquePointer) -> Result<[String], TLSError> {
    var critical: Int32 = 0
    guard let raw = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nil) else {
      ERR_clear_error()
      // -1: there is no such extension. Anything else: it is there twice or can't be parsed.
      return critical == -1 ? .success([]) : .failure(TLSError("unreadable subjectAltName"))
    }
    let names = OpaquePointer(raw)
    defer { GENERAL_NAMES_free(names) }
    var found: [String] = []
    for index in 0..<OPENSSL_sk_num(names) {
      guard let value = OPENSSL_sk_value(names, index) else { continue }
      let name = value.assumingMemoryBound(to: GENERAL_NAME.self)
      guard let bytes = text(name.pointee) else { continue }
      // An IA5String of printable ASCII; a NUL would cut the name short for other readers.
      guard bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
        return .failure(TLSError("a name with forbidden characters"))
      }
      if name.pointee.type == GEN_URI { found.append(String(decoding: bytes, as: UTF8.self)) }
    }
    return .success(found)
  }

  /// Of a URI, DNS or e-mail name.
  private static func text(_ name: GENERAL_NAME) -> UnsafeBufferPointer<UInt8>? {
    guard [GEN_URI, GEN_DNS, GEN_EMAIL].contains(name.type), let text = name.d.ia5 else {
      return nil
    }
    return UnsafeBufferPointer(
      start: ASN1_STRING_get0_data(text), count: Int(ASN1_STRING_length(text)))
  }

  static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
    var parts = tm()
    guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
    let moment = timegm(&parts)
    return moment == -1 ? nil : Int64(moment)
  }
}
