internal import COpenSSL

/// Reads what we use of an X.509 certificate.
enum CertificateReader {
  /// Fails on a certificate whose names can't be read beyond doubt.
  static func read(_ certificate: OpaquePointer) -> Result<PeerCertificate, TLSError> {
    var digest = [UInt8](repeating: 0, count: 32)
    var length: UInt32 = 0
    guard X509_digest(certificate, EVP_sha256(), &digest, &length) == 1, length == 32,
      let notBefore = seconds(X509_get0_notBefore(certificate)),
      let notAfter = seconds(X509_get0_notAfter(certificate))
    else { return .failure(.drainingQueue("unreadable certificate")) }
    // Extensions that contradict themselves or can't be parsed leave errors in the thread's queue.
    guard X509_get_extension_flags(certificate) & UInt32(EXFLAG_INVALID) == 0 else {
      return .failure(.drainingQueue("a certificate with invalid extensions"))
    }
    return uriNames(certificate).map { names in
      PeerCertificate(
        uriNames: names, fingerprint: digest, notBefore: notBefore, notAfter: notAfter,
        isAuthority: X509_check_ca(certificate) != 0)
    }
  }

  private static func uriNames(_ certificate: OpaquePointer) -> Result<[String], TLSError> {
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
      guard name.pointee.type == GEN_URI, let text = name.pointee.d.uniformResourceIdentifier
      else { continue }
      let bytes = UnsafeBufferPointer(
        start: ASN1_STRING_get0_data(text), count: Int(ASN1_STRING_length(text)))
      // An IA5String of printable ASCII; a NUL would cut the name short for other readers.
      guard bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
        return .failure(TLSError("a URI name with forbidden characters"))
      }
      found.append(String(decoding: bytes, as: UTF8.self))
    }
    return .success(found)
  }

  private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
    var parts = tm()
    guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
    let moment = timegm(&parts)
    return moment == -1 ? nil : Int64(moment)
  }
}
