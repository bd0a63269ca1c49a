internal import CTenancyOpenSSL

/// What a certificate says, whoever has made it, for people.
package struct CertificateReport: Sendable {
  /// RFC 4514, without what a terminal would take for a command.
  package let subject, issuer: String
  /// Lower-case hex.
  package let serialNumber: String
  /// Of the subjectAltName. Nil: it can't be read beyond doubt, and nobody accepts it.
  package let uriNames: [String]?
  /// Seconds since 1970.
  package let notBefore, notAfter: Int64
  /// Such as `EC prime256v1` and `RSA 2048 bits`.
  package let key: String
  package let isAuthority: Bool
  /// Whether it has signed itself, or whoever has its name.
  package let isSelfIssued: Bool
  /// SHA-256, lower-case hex.
  package let fingerprint: String

  /// The SPIFFE ID, if it is one certificate's and the only URI name.
  package var spiffeID: SPIFFEID? {
    guard let uriNames, uriNames.count == 1 else { return nil }
    return uriNames.first.flatMap(SPIFFEID.init(parsing:))
  }
}

/// What a CRL says.
package struct RevocationReport: Sendable {
  package let issuer: String
  /// Seconds since 1970. Nil: it has no end, and nobody accepts it.
  package let thisUpdate, nextUpdate: Int64?
  /// Certificates that are revoked.
  package let count: Int
}

/// Reads PEM for people.
package enum CertificateReports {
  /// Certificates, and CRLs, of one file that are looked at.
  package static let maximumObjects = 1_000

  /// All certificates and CRLs in a text, each kind in its order. What else is there is passed over.
  /// - Throws: `PKIError` where there are none, or more than `maximumObjects`.
  package static func read(
    _ pem: String
  ) throws(PKIError) -> (certificates: [CertificateReport], revocations: [RevocationReport]) {
    let certificates = try each(pem, { PEM_read_bio_X509($0, nil, refuse, nil) }, X509_free) {
      (certificate) throws(PKIError) in try report(on: certificate)
    }
    let revocations = try each(pem, { PEM_read_bio_X509_CRL($0, nil, refuse, nil) }, X509_CRL_free)
    { (list) throws(PKIError) in
      RevocationReport(
        issuer: try text(X509_CRL_get_issuer(list)),
        thisUpdate: CertificateReader.seconds(X509_CRL_get0_lastUpdate(list)),
        nextUpdate: CertificateReader.seconds(X509_CRL_get0_nextUpdate(list)),
        count: Int(max(0, OPENSSL_sk_num(X509_CRL_get_REVOKED(list)))))
    }
    guard !certificates.isEmpty || !revocations.isEmpty else {
      throw PKIError(.file, "neither a certificate nor a CRL in PEM is there")
    }
    return (certificates, revocations)
  }

  /// Why servers refuse the first certificate of a text, with those behind it, as a client's; nil: they accept it.
  /// - Parameters:
  ///   - authorities: PEM file: who is trusted.
  ///   - revocations: PEM files of CRLs; with any, each of a chain needs one.
  /// - Throws: `TLSError` where a file can't be used.
  package static func refusal(
    ofChain pem: String, authorities: String, revocations: [String]
  ) throws(TLSError) -> String? {
    let configuration = TLSContext.Configuration(
      certificateChain: nil, privateKey: nil,
      trust: .authorities(authorities, revocations: revocations))
    let trust = try PeerTrust(
      configuration, TLSFiles.stores(configuration.trust), peers: .client)
    let chain: [X509Object]
    do throws(PKIError) {
      let buffer = try MemoryBuffer(pem)
      var found: [X509Object] = []
      while found.count <= maximumObjects,
        let certificate = PEM_read_bio_X509(buffer.pointer, nil, refuse, nil)
      { found.append(X509Object(certificate)) }
      ERR_clear_error()
      chain = found
    } catch {
      throw TLSError(error.description)
    }
    guard let leaf = chain.first else { return "there is no certificate" }
    guard let untrusted = OPENSSL_sk_new_null() else { throw .drainingQueue("cannot verify") }
    defer { OPENSSL_sk_free(untrusted) }
    for one in chain.dropFirst() { OPENSSL_sk_push(untrusted, UnsafeRawPointer(one.pointer)) }
    // The stack only points to them.
    let outcome = withExtendedLifetime(chain) {
      trust.judge(leaf: leaf.pointer, untrusted: untrusted)
    }
    switch outcome {
    case .success: return nil
    case .failure(let refusal): return refusal.reason
    }
  }

  // MARK: Details

  private static let refuse:
    @convention(c) (UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?) -> Int32 =
      { _, _, _, _ in -1 }

  private static func each<Report>(
    _ pem: String, _ read: (OpaquePointer) -> OpaquePointer?, _ free: (OpaquePointer?) -> Void,
    _ report: (OpaquePointer) throws(PKIError) -> Report
  ) throws(PKIError) -> [Report] {
    let buffer = try MemoryBuffer(pem)
    var reports: [Report] = []
    while let object = read(buffer.pointer) {
      defer { free(object) }
      guard reports.count < maximumObjects else {
        throw PKIError(.file, "more than \(maximumObjects) certificates or CRLs")
      }
      reports.append(try report(object))
    }
    // At the end there is no further one, which OpenSSL takes for an error.
    ERR_clear_error()
    return reports
  }

  private static func report(
    on certificate: OpaquePointer
  ) throws(PKIError) -> CertificateReport {
    guard let notBefore = CertificateReader.notBefore(certificate),
      let notAfter = CertificateReader.notAfter(certificate)
    else { throw .drainingQueue("unreadable date in a certificate") }
    let subject = X509_get_subject_name(certificate)
    let issuer = X509_get_issuer_name(certificate)
    var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
    guard X509_digest(certificate, EVP_sha256(), &digest, nil) == 1 else {
      throw .drainingQueue("cannot make the digest of a certificate")
    }
    let number = X509_get0_serialNumber(certificate)
    let serial = UnsafeBufferPointer(
      start: ASN1_STRING_get0_data(number), count: Int(ASN1_STRING_length(number)))
    let names = CertificateReader.uriNames(certificate)
    return CertificateReport(
      subject: try text(subject), issuer: try text(issuer),
      serialNumber: HexText.encode(Array(serial)), uriNames: try? names.get(),
      notBefore: notBefore, notAfter: notAfter, key: key(of: certificate),
      isAuthority: X509_check_ca(certificate) == 1,
      isSelfIssued: X509_NAME_cmp(subject, issuer) == 0, fingerprint: HexText.encode(digest))
  }

  private static func text(_ name: OpaquePointer?) throws(PKIError) -> String {
    let buffer = try MemoryBuffer()
    // UTF-8, and control characters escaped.
    let flags = TENANCY_XN_FLAG_RFC2253 & ~TENANCY_ASN1_STRFLGS_ESC_MSB
    guard X509_NAME_print_ex(buffer.pointer, name, 0, flags) >= 0 else {
      throw .drainingQueue("unreadable name in a certificate")
    }
    return buffer.text()
  }

  private static func key(of certificate: OpaquePointer) -> String {
    defer { ERR_clear_error() }
    guard let key = X509_get0_pubkey(certificate) else { return "unknown" }
    let kind = EVP_PKEY_get0_type_name(key).map { String(cString: $0) } ?? "unknown"
    var group = [CChar](repeating: 0, count: 64)
    if EVP_PKEY_get_group_name(key, &group, group.count, nil) == 1 {
      let end = group.firstIndex(of: 0) ?? group.count
      let name = group[..<end].map { UInt8(bitPattern: $0) }
      return "\(kind) \(String(decoding: name, as: UTF8.self))"
    }
    return "\(kind) \(EVP_PKEY_get_bits(key)) bits"
  }
}
