internal import CTenancyOpenSSL

/// A key on P-256 for an authority of workloads, and what is said of it: a root's certificate, or a request for another
/// CA to sign.
package struct NewAuthorityKey: Sendable {
  /// PEM.
  package let document: String
  /// PKCS #8 in DER, not encrypted.
  package let privateKey: [UInt8]
  /// Seconds since 1970, of a root.
  package let notAfter: Int64

  /// A root, for a trust domain and nothing else.
  /// - Parameter seconds: how long it lasts.
  /// - Throws: `PKIError`.
  package static func root(
    commonName: String, trustDomain: String, seconds: Int64
  ) throws(PKIError) -> NewAuthorityKey {
    let domain = try NameRules.trustDomainURI(trustDomain)
    let key = try PrivateKey()
    let builder = try CertificateBuilder(commonName: commonName, key: key, days: 1)
    try builder.end(in: seconds)
    try builder.add(NID_basic_constraints, basicConstraints)
    try builder.add(NID_key_usage, keyUsage)
    try builder.add(NID_subject_key_identifier, "hash")
    // A signing certificate names the trust domain, without a path (X509-SVID §4.2).
    try builder.add([.uri(domain)])
    try builder.sign()
    return NewAuthorityKey(
      document: try builder.certificate.pem(), privateKey: try key.pkcs8(),
      notAfter: try builder.certificate.notAfter())
  }

  /// A request (PKCS #10) that asks for what a root says of itself: that the CA which signs it takes that over is for
  /// it to decide.
  /// - Throws: `PKIError`.
  package static func request(
    commonName: String, trustDomain: String
  ) throws(PKIError) -> NewAuthorityKey {
    let domain = try NameRules.trustDomainURI(trustDomain)
    let (name, key) = (Array(commonName.utf8), try PrivateKey())
    guard (1...NameRules.maximumCommonName).contains(name.count) else {
      throw PKIError(
        .invalidName, "a common name is 1 to \(NameRules.maximumCommonName) bytes: \(commonName)")
    }
    ERR_clear_error()
    guard let request = X509_REQ_new() else { throw .drainingQueue("cannot make a request") }
    defer { X509_REQ_free(request) }
    guard
      X509_REQ_set_version(request, 0) == 1,
      X509_NAME_add_entry_by_txt(
        X509_REQ_get_subject_name(request), "CN", MBSTRING_UTF8, name, Int32(name.count), -1, 0)
        == 1,
      X509_REQ_set_pubkey(request, key.pointer) == 1
    else { throw .drainingQueue("cannot fill a request") }
    try ask(request, domain)
    guard X509_REQ_sign(request, key.pointer, EVP_sha256()) > 0 else {
      throw .drainingQueue("cannot sign a request")
    }
    let buffer = try MemoryBuffer()
    guard PEM_write_bio_X509_REQ(buffer.pointer, request) == 1 else {
      throw .drainingQueue("cannot write a request")
    }
    return NewAuthorityKey(document: buffer.text(), privateKey: try key.pkcs8(), notAfter: 0)
  }

  private static let basicConstraints = "critical,CA:TRUE,pathlen:0"
  private static let keyUsage = "critical,keyCertSign,cRLSign"

  private static func ask(_ request: OpaquePointer, _ domain: String) throws(PKIError) {
    guard let list = OPENSSL_sk_new_null() else { throw .drainingQueue("cannot make a request") }
    var extensions: [OpaquePointer] = []
    defer {
      OPENSSL_sk_free(list)
      for one in extensions { X509_EXTENSION_free(one) }
    }
    var context = X509V3_CTX()
    X509V3_set_ctx(&context, nil, nil, request, nil, 0)
    for (id, value) in [(NID_basic_constraints, basicConstraints), (NID_key_usage, keyUsage)] {
      guard let made = X509V3_EXT_nconf_nid(nil, &context, id, value) else {
        throw .drainingQueue("cannot make the extension \(value)")
      }
      extensions.append(made)
    }
    let names = try CertificateBuilder.generalNames([.uri(domain)])
    defer { GENERAL_NAMES_free(names) }
    guard let made = X509V3_EXT_i2d(NID_subject_alt_name, 0, UnsafeMutableRawPointer(names)) else {
      throw .drainingQueue("cannot add the names")
    }
    extensions.append(made)
    for one in extensions {
      guard OPENSSL_sk_push(list, UnsafeRawPointer(one)) > 0 else {
        throw .drainingQueue("cannot make a request")
      }
    }
    guard X509_REQ_add_extensions(request, list) == 1 else {
      throw .drainingQueue("cannot add extensions")
    }
  }
}
