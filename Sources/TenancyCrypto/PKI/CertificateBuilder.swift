internal import CTenancyOpenSSL

/// Fills a new certificate, step by step, and signs it.
struct CertificateBuilder {
  /// Clocks of peers may be this many seconds behind ours.
  static let backdating = 300
  /// And those of workloads, whose certificates are short of life.
  static let workloadBackdating = 30
  /// Longest lifetime.
  static let maximumDays = 36_500

  let certificate: Certificate
  let key: PrivateKey

  /// A certificate for `key` with what all of ours have.
  init(commonName: String, key: PrivateKey, days: Int) throws(PKIError) {
    guard (1...Self.maximumDays).contains(days) else {
      throw PKIError(.invalidLifetime, "a lifetime is 1 to \(Self.maximumDays) days")
    }
    self.key = key
    certificate = try Certificate()
    let pointer = certificate.pointer
    let name = Array(commonName.utf8)
    guard (1...NameRules.maximumCommonName).contains(name.count) else {
      throw PKIError(
        .invalidName, "a common name is 1 to \(NameRules.maximumCommonName) bytes: \(commonName)")
    }
    let serial = Self.serialNumber()
    guard X509_set_version(pointer, Int(X509_VERSION_3)) == 1,
      ASN1_STRING_set(X509_get_serialNumber(pointer), serial, Int32(serial.count)) == 1,
      X509_time_adj_ex(X509_getm_notBefore(pointer), 0, -Self.backdating, nil) != nil,
      X509_time_adj_ex(X509_getm_notAfter(pointer), Int32(days), 0, nil) != nil,
      X509_NAME_add_entry_by_txt(
        X509_get_subject_name(pointer), "CN", MBSTRING_UTF8, name, Int32(name.count), -1, 0) == 1,
      X509_set_pubkey(pointer, key.pointer) == 1
    else { throw .drainingQueue("cannot fill the certificate") }
  }

  /// One for a workload: its serial number is 16 random bytes, and its subject says nothing but that (X.509-SVIDs
  /// have their name in the subjectAltName).
  init(workloadKey key: PrivateKey, seconds: Int64) throws(PKIError) {
    guard (1...86_400 * Int64(Self.maximumDays)).contains(seconds) else {
      throw PKIError(.invalidLifetime, "a lifetime is 1 second to \(Self.maximumDays) days")
    }
    self.key = key
    certificate = try Certificate()
    let (pointer, label) = (certificate.pointer, Array("workload".utf8))
    let serial = Self.serialNumber(bytes: 16)
    let (days, rest) = seconds.quotientAndRemainder(dividingBy: 86_400)
    guard X509_set_version(pointer, Int(X509_VERSION_3)) == 1,
      ASN1_STRING_set(X509_get_serialNumber(pointer), serial, Int32(serial.count)) == 1,
      X509_time_adj_ex(X509_getm_notBefore(pointer), 0, -Self.workloadBackdating, nil) != nil,
      X509_time_adj_ex(X509_getm_notAfter(pointer), Int32(days), Int(rest), nil) != nil,
      X509_NAME_add_entry_by_txt(
        X509_get_subject_name(pointer), "O", MBSTRING_UTF8, label, Int32(label.count), -1, 0) == 1,
      X509_set_pubkey(pointer, key.pointer) == 1
    else { throw .drainingQueue("cannot fill the certificate") }
  }

  /// 20 bytes are the most that RFC 5280 allows (§4.1.2.2). All bits but two are random: the number is positive and
  /// has no leading zeros.
  private static func serialNumber(bytes count: Int = 20) -> [UInt8] {
    var bytes = (0..<count).map { _ in UInt8.random(in: .min ... .max) }
    bytes[0] = bytes[0] & 0x3F | 0x40
    return bytes
  }

  /// Adds an extension in the notation of x509v3_config(5). Never for names from outside.
  func add(_ id: Int32, _ value: String, issuer: Certificate? = nil) throws(PKIError) {
    var context = X509V3_CTX()
    X509V3_set_ctx(
      &context, issuer?.pointer ?? certificate.pointer, certificate.pointer, nil, nil, 0)
    guard let made = X509V3_EXT_nconf_nid(nil, &context, id, value) else {
      throw .drainingQueue("cannot make the extension \(value)")
    }
    defer { X509_EXTENSION_free(made) }
    guard X509_add_ext(certificate.pointer, made, -1) == 1 else {
      throw .drainingQueue("cannot add the extension \(value)")
    }
  }

  /// Adds the subjectAltName, from values rather than text, so that no name can smuggle in another.
  func add(_ names: [AlternativeName]) throws(PKIError) {
    let list = try Self.generalNames(names)
    defer { GENERAL_NAMES_free(list) }
    guard
      X509_add1_ext_i2d(
        certificate.pointer, NID_subject_alt_name, UnsafeMutableRawPointer(list), 0,
        UInt(X509V3_ADD_DEFAULT)) == 1
    else { throw .drainingQueue("cannot add the names") }
  }

  /// The caller frees it.
  static func generalNames(_ names: [AlternativeName]) throws(PKIError) -> OpaquePointer {
    guard let list = OPENSSL_sk_new_null() else { throw .drainingQueue("cannot make names") }
    do throws(PKIError) {
      for name in names {
        let made = try generalName(name)
        guard OPENSSL_sk_push(list, made) > 0 else {
          GENERAL_NAME_free(made)
          throw .drainingQueue("cannot add a name")
        }
      }
      return list
    } catch {
      GENERAL_NAMES_free(list)
      throw error
    }
  }

  /// The caller frees it.
  private static func generalName(
    _ name: AlternativeName
  ) throws(PKIError) -> UnsafeMutablePointer<GENERAL_NAME> {
    let (kind, type, bytes) =
      switch name {
      case .dns(let text): (GEN_DNS, V_ASN1_IA5STRING, Array(text.utf8))
      case .uri(let text): (GEN_URI, V_ASN1_IA5STRING, Array(text.utf8))
      case .address(let bytes): (GEN_IPADD, V_ASN1_OCTET_STRING, bytes)
      }
    guard let made = GENERAL_NAME_new(), let content = ASN1_STRING_type_new(type) else {
      throw .drainingQueue("cannot make a name")
    }
    // From here `made` owns `content`.
    GENERAL_NAME_set0_value(made, kind, content)
    guard ASN1_STRING_set(content, bytes, Int32(clamping: bytes.count)) == 1 else {
      GENERAL_NAME_free(made)
      throw .drainingQueue("cannot make a name")
    }
    return made
  }

  /// Ends the lifetime so many seconds from now.
  func end(in seconds: Int64) throws(PKIError) {
    let (days, rest) = seconds.quotientAndRemainder(dividingBy: 86_400)
    guard (1...Int64(Self.maximumDays)).contains(days + (rest > 0 ? 1 : 0)),
      X509_time_adj_ex(
        X509_getm_notAfter(certificate.pointer), Int32(clamping: days), Int(rest), nil) != nil
    else {
      throw PKIError(.invalidLifetime, "a lifetime is 1 second to \(Self.maximumDays) days")
    }
  }

  /// Ends the lifetime no later than that of `issuer`, whose end would break the chain anyway.
  func limitLifetime(to issuer: Certificate) throws(PKIError) {
    let end = X509_get0_notAfter(issuer.pointer)
    guard ASN1_TIME_compare(X509_get0_notAfter(certificate.pointer), end) > 0 else { return }
    guard X509_set1_notAfter(certificate.pointer, end) == 1 else {
      throw .drainingQueue("cannot set the lifetime")
    }
  }

  /// Names the issuer and signs; without an issuer, by itself.
  func sign(issuer: Certificate? = nil, key issuerKey: PrivateKey? = nil) throws(PKIError) {
    let subject = X509_get_subject_name((issuer ?? certificate).pointer)
    guard X509_set_issuer_name(certificate.pointer, subject) == 1,
      X509_sign(certificate.pointer, (issuerKey ?? key).pointer, EVP_sha256()) > 0
    else { throw .drainingQueue("cannot sign the certificate") }
  }
}
