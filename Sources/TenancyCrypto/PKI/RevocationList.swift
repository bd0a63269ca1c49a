internal import CTenancyOpenSSL

/// Owns an `X509_CRL`: which certificates of a CA are revoked.
final class RevocationList {
  private let pointer: OpaquePointer

  private init(owning pointer: OpaquePointer) { self.pointer = pointer }

  deinit { X509_CRL_free(pointer) }

  /// Revokes nothing, and is not signed yet.
  /// - Parameter days: until when there is to be another.
  init(of issuer: Certificate, number: Int64, days: Int) throws(PKIError) {
    ERR_clear_error()
    guard let list = X509_CRL_new() else { throw .drainingQueue("cannot make a CRL") }
    pointer = list
    // Clocks of those who read it may be behind ours.
    guard let begin = X509_time_adj_ex(nil, 0, -CertificateBuilder.backdating, nil) else {
      throw .drainingQueue("cannot tell the time")
    }
    defer { ASN1_TIME_free(begin) }
    guard let end = X509_time_adj_ex(nil, Int32(clamping: days), 0, nil) else {
      throw .drainingQueue("cannot tell the time")
    }
    defer { ASN1_TIME_free(end) }
    guard let value = ASN1_INTEGER_new() else { throw .drainingQueue("cannot number a CRL") }
    defer { ASN1_INTEGER_free(value) }
    guard X509_CRL_set_version(list, Int(X509_CRL_VERSION_2)) == 1,
      X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer.pointer)) == 1,
      X509_CRL_set1_lastUpdate(list, begin) == 1, X509_CRL_set1_nextUpdate(list, end) == 1,
      ASN1_INTEGER_set_int64(value, number) == 1,
      X509_CRL_add1_ext_i2d(list, NID_crl_number, UnsafeMutableRawPointer(value), 0, 0) == 1
    else { throw .drainingQueue("cannot fill a CRL") }
    // Of a CA that does not say how its key is called, there is no telling.
    guard X509_get0_subject_key_id(issuer.pointer) != nil else { return }
    var context = X509V3_CTX()
    X509V3_set_ctx(&context, issuer.pointer, nil, nil, list, 0)
    guard
      let made = X509V3_EXT_nconf_nid(nil, &context, NID_authority_key_identifier, "keyid:always")
    else { throw .drainingQueue("cannot name the issuer of a CRL") }
    defer { X509_EXTENSION_free(made) }
    guard X509_CRL_add_ext(list, made, -1) == 1 else {
      throw .drainingQueue("cannot name the issuer of a CRL")
    }
  }

  /// Reads one, which must be `issuer`'s.
  /// - Parameter path: for errors.
  init(pem: String, of issuer: Certificate, path: String) throws(PKIError) {
    let buffer = try MemoryBuffer(pem)
    guard let list = PEM_read_bio_X509_CRL(buffer.pointer, nil, { _, _, _, _ in -1 }, nil) else {
      throw .drainingQueue("\(path) is no CRL in PEM")
    }
    pointer = list
    defer { ERR_clear_error() }
    guard
      X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(issuer.pointer)) == 0,
      X509_CRL_verify(list, X509_get0_pubkey(issuer.pointer)) == 1
    else { throw PKIError(.authority, "\(path) is not a CRL of this CA") }
  }

  /// How many certificates are revoked.
  var count: Int { Int(max(0, OPENSSL_sk_num(X509_CRL_get_REVOKED(pointer)))) }

  /// Which of the CA's it is; nil if it does not say so, or beyond what is counted here.
  var number: Int64? {
    guard let raw = X509_CRL_get_ext_d2i(pointer, NID_crl_number, nil, nil) else {
      ERR_clear_error()
      return nil
    }
    let value = raw.assumingMemoryBound(to: ASN1_INTEGER.self)
    defer { ASN1_INTEGER_free(value) }
    var number: Int64 = 0
    guard ASN1_INTEGER_get_int64(&number, value) == 1 else {
      ERR_clear_error()
      return nil
    }
    return number
  }

  /// Seconds since 1970: when there is to be another.
  var nextUpdate: Int64? { CertificateReader.seconds(X509_CRL_get0_nextUpdate(pointer)) }

  /// Whether a certificate of its CA is revoked.
  func revokes(_ certificate: Certificate) -> Bool {
    let serial = X509_get_serialNumber(certificate.pointer)
    let list = X509_CRL_get_REVOKED(pointer)
    return (0..<max(0, OPENSSL_sk_num(list))).contains { index in
      guard let entry = OPENSSL_sk_value(list, index) else { return false }
      return ASN1_INTEGER_cmp(X509_REVOKED_get0_serialNumber(OpaquePointer(entry)), serial) == 0
    }
  }

  /// Takes over all that `former` revokes.
  func add(all former: RevocationList) throws(PKIError) {
    let list = X509_CRL_get_REVOKED(former.pointer)
    for index in 0..<max(0, OPENSSL_sk_num(list)) {
      guard let entry = OPENSSL_sk_value(list, index),
        let copy = X509_REVOKED_dup(OpaquePointer(entry))
      else { throw .drainingQueue("cannot copy what a CRL revokes") }
      try add(owning: copy)
    }
  }

  /// Revokes a certificate of its CA from now on.
  func add(_ certificate: Certificate) throws(PKIError) {
    guard let entry = X509_REVOKED_new() else { throw .drainingQueue("cannot fill a CRL") }
    guard let time = X509_time_adj_ex(nil, 0, 0, nil) else {
      X509_REVOKED_free(entry)
      throw .drainingQueue("cannot tell the time")
    }
    defer { ASN1_TIME_free(time) }
    guard
      X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate.pointer)) == 1,
      X509_REVOKED_set_revocationDate(entry, time) == 1
    else {
      X509_REVOKED_free(entry)
      throw .drainingQueue("cannot fill a CRL")
    }
    try add(owning: entry)
  }

  private func add(owning entry: OpaquePointer) throws(PKIError) {
    guard X509_CRL_add0_revoked(pointer, entry) == 1 else {
      X509_REVOKED_free(entry)
      throw .drainingQueue("cannot fill a CRL")
    }
  }

  /// - Returns: PEM.
  func signed(by key: PrivateKey) throws(PKIError) -> String {
    guard X509_CRL_sort(pointer) == 1, X509_CRL_sign(pointer, key.pointer, EVP_sha256()) > 0 else {
      throw .drainingQueue("cannot sign the CRL")
    }
    let buffer = try MemoryBuffer()
    guard PEM_write_bio_X509_CRL(buffer.pointer, pointer) == 1 else {
      throw .drainingQueue("cannot write the CRL")
    }
    return buffer.text()
  }
}

extension CertificateAuthority {
  /// Days that a CRL is good, unless told otherwise.
  package static let defaultListDays = 30
  /// And at most.
  package static let listDays = 1...366
  /// Certificates that a CRL revokes, at most.
  package static let maximumRevoked = 10_000

  /// Makes a CRL, or the next one, which revokes all that the one before does.
  /// - Parameters:
  ///   - path: the CRL's; none need be there.
  ///   - files: PEM, of certificates of this CA that are revoked from now on. Those that are already stay so.
  ///   - days: until when there is to be another: who has none by then takes no certificate of this CA.
  /// - Returns: how many certificates it revokes, and when there is to be another: seconds since 1970.
  /// - Throws: `PKIError`; the one before stays then.
  package func renewRevocations(
    at path: String, revoking files: [String], days: Int = defaultListDays
  ) throws -> (count: Int, nextUpdate: Int64) {
    guard Self.listDays.contains(days) else {
      throw PKIError(
        .invalidLifetime,
        "a CRL is good for \(Self.listDays.lowerBound) to \(Self.listDays.upperBound) days")
    }
    guard mayRevoke else {
      throw PKIError(.authority, "the CA's certificate is not for signing CRLs (cRLSign)")
    }
    // What can't be read is not begun anew: all that it revokes would be good again.
    let former =
      PEMFile.exists(path)
      ? try RevocationList(pem: PEMFile.read(path), of: certificate, path: path) : nil
    let list = try RevocationList(
      of: certificate, number: try Self.number(after: former, path), days: days)
    if let former { try list.add(all: former) }
    for file in files {
      let revoked = try Certificate(file: file)
      guard !revoked.isAuthority, revoked.isSigned(by: certificate) else {
        throw PKIError(.authority, "\(file) is no certificate that this CA has issued")
      }
      if !list.revokes(revoked) { try list.add(revoked) }
    }
    guard list.count <= Self.maximumRevoked else {
      throw PKIError(.authority, "a CRL revokes at most \(Self.maximumRevoked) certificates")
    }
    try PEMFile.write(try list.signed(by: key), to: path, mode: 0o644, replacing: true)
    return (list.count, list.nextUpdate ?? 0)
  }

  private var mayRevoke: Bool {
    X509_get_key_usage(certificate.pointer) & UInt32(KU_CRL_SIGN) != 0
  }

  private static func number(
    after former: RevocationList?, _ path: String
  ) throws(PKIError) -> Int64 {
    guard let former else { return 1 }
    guard let number = former.number, (0..<Int64.max).contains(number) else {
      throw PKIError(.authority, "\(path) has no number after which there is another")
    }
    return number + 1
  }
}
