internal import CTenancyOpenSSL

/// A certificate authority that signs leaves directly: ECDSA on P-256 with SHA-256.
///
/// It vouches for one SPIFFE trust domain, which its certificate names.
package final class CertificateAuthority {
  /// The lifetime of an authority, unless told otherwise.
  package static let defaultDays = 3_650
  /// The lifetime of what it issues, unless told otherwise.
  package static let defaultLeafDays = 90

  /// The trust domain of all it issues.
  package let trustDomain: String
  let certificate: Certificate
  let key: PrivateKey

  private init(certificate: Certificate, key: PrivateKey, trustDomain: String) {
    self.certificate = certificate
    self.key = key
    self.trustDomain = trustDomain
  }

  /// Makes a new authority.
  /// - Throws: `PKIError`.
  package static func create(
    commonName: String, trustDomain: String, days: Int = defaultDays
  ) throws -> CertificateAuthority {
    let domainURI = try NameRules.trustDomainURI(trustDomain)
    let key = try PrivateKey()
    let builder = try CertificateBuilder(commonName: commonName, key: key, days: days)
    try builder.add(NID_basic_constraints, "critical,CA:TRUE,pathlen:0")
    try builder.add(NID_key_usage, "critical,keyCertSign,cRLSign")
    try builder.add(NID_subject_key_identifier, "hash")
    // A signing certificate names the trust domain, without a path (X509-SVID §4.2).
    try builder.add([.uri(domainURI)])
    try builder.sign()
    return CertificateAuthority(
      certificate: builder.certificate, key: key, trustDomain: trustDomain)
  }

  /// Reads an authority that `save` wrote, or one made elsewhere; when that one's certificate names
  /// no trust domain, `trustDomain` has to.
  /// - Throws: `PKIError` when files can't be read or don't fit each other or `trustDomain`.
  package static func load(
    _ files: CredentialFiles, trustDomain: String? = nil
  ) throws -> CertificateAuthority {
    let certificate = try Certificate(file: files.certificate)
    let key = try PrivateKey(file: files.privateKey)
    guard certificate.isAuthority else {
      throw PKIError(.authority, "\(files.certificate) is not a CA's certificate")
    }
    guard certificate.fits(key) else {
      throw PKIError(.authority, "\(files.privateKey) is not the key of \(files.certificate)")
    }
    let named = try certificate.namedTrustDomain()
    guard let domain = named ?? trustDomain else {
      throw PKIError(.authority, "\(files.certificate) names no trust domain; say which")
    }
    if let trustDomain, trustDomain != domain {
      throw PKIError(
        .authority, "\(files.certificate) is for the trust domain \(domain), not \(trustDomain)")
    }
    return CertificateAuthority(certificate: certificate, key: key, trustDomain: domain)
  }

  /// Writes the certificate, and the key so that only its owner can read it.
  /// - Throws: `PKIError`; with the code `exists` when a file is there and `replacing` is false.
  package func save(_ files: CredentialFiles, replacing: Bool = false) throws {
    try Credential(certificatePEM: try certificate.pem(), privateKeyPEM: try key.pem())
      .save(files, replacing: replacing)
  }

  /// The certificate, for those who shall trust what this authority issues.
  package func certificatePEM() throws -> String { try certificate.pem() }

  /// Makes a key, and a certificate for it that ends no later than the authority's own.
  /// - Throws: `PKIError`.
  package func issue(
    _ profile: CertificateProfile, days: Int = defaultLeafDays
  ) throws -> Credential {
    guard try certificate.notAfter() > Clock.now() else {
      throw PKIError(.authority, "the CA's certificate has expired")
    }
    let names = try profile.names(trustDomain: trustDomain)
    let key = try PrivateKey()
    // For people only: who the certificate is for stands in subjectAltName.
    let label = Self.shortened(profile.commonName)
    let builder = try CertificateBuilder(commonName: label, key: key, days: days)
    try builder.limitLifetime(to: certificate)
    try builder.add(NID_basic_constraints, "critical,CA:FALSE")
    try builder.add(NID_key_usage, "critical,digitalSignature")
    try builder.add(NID_ext_key_usage, profile.purpose.rawValue)
    try builder.add(NID_subject_key_identifier, "hash")
    try builder.add(NID_authority_key_identifier, "keyid:always", issuer: certificate)
    try builder.add(names)
    try builder.sign(issuer: certificate, key: self.key)
    return Credential(certificatePEM: try builder.certificate.pem(), privateKeyPEM: try key.pem())
  }

  /// `text` cut so that it fits a common name. Names that reach here are ASCII.
  private static func shortened(_ text: String) -> String {
    String(decoding: text.utf8.prefix(NameRules.maximumCommonName), as: UTF8.self)
  }
}

extension Certificate {
  /// The domain in `spiffe://{domain}`, if the certificate has exactly one such name.
  func namedTrustDomain() throws(PKIError) -> String? {
    let scheme = "spiffe://"
    let domains = try names().compactMap { name -> String? in
      guard case .uri(let uri) = name, uri.hasPrefix(scheme) else { return nil }
      return String(uri.dropFirst(scheme.count))
    }
    guard domains.count == 1, let domain = domains.first else { return nil }
    _ = try NameRules.trustDomainURI(domain)
    return domain
  }
}
