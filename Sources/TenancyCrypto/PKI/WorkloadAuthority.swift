internal import CTenancyOpenSSL

/// A key of a workload, and the certificate that says whose it is.
package struct WorkloadCredential: Sendable {
  /// DER: the certificate, and behind it those of its issuers without the root.
  package let chain: [UInt8]
  /// PKCS #8 in DER.
  package let privateKey: [UInt8]
  /// Seconds since 1970.
  package let notBefore, notAfter: Int64
}

/// The authority of workloads' certificates: ECDSA on P-256 with SHA-256, whatever its own key is. It may be an
/// intermediate one under another. Immutable and thread-safe.
package final class WorkloadAuthority: Sendable {
  /// The trust domain of all it issues.
  package let trustDomain: String
  /// DER of the root, which all that is issued is verified by.
  package let bundle: [UInt8]
  /// Behind each certificate: DER of this authority's own and those up to the root, without that; empty for a root.
  private let intermediates: [UInt8]
  // Neither is changed after `init`; OpenSSL locks what it caches in them.
  private nonisolated(unsafe) let certificate: Certificate
  // Likewise.
  private nonisolated(unsafe) let chain: [Certificate]
  // Likewise.
  private nonisolated(unsafe) let key: PrivateKey
  /// What `key` is in, which must outlive it.
  private let token: HardwareKey?

  /// Certificates of a chain, at most.
  private static let longestChain = 8

  /// Reads the chain, the authority's own certificate first and the root last, and its key.
  /// - Throws: `PKIError` when files can't be read, or don't fit each other or the trust domain.
  package convenience init(
    certificates path: String, key keyPath: String, trustDomain: String
  ) throws(PKIError) {
    try self.init(
      Self.chain(try PEMFile.read(path), path), PrivateKey(file: keyPath), trustDomain,
      path: path, keyPath: keyPath)
  }

  /// The same of a key in a token.
  package convenience init(
    certificates path: String, key: HardwareKey, trustDomain: String
  ) throws(PKIError) {
    try self.init(
      Self.chain(try PEMFile.read(path), path), key.key, trustDomain, path: path,
      keyPath: "the token's", token: key)
  }

  /// The same in memory.
  /// - Parameters:
  ///   - chain: PEM.
  ///   - key: PKCS #8 in DER.
  package convenience init(
    chain: String, key: [UInt8], trustDomain: String
  ) throws(PKIError) {
    try self.init(
      Self.chain(chain, "the chain"), PrivateKey(pkcs8: key), trustDomain, path: "the chain",
      keyPath: "the authority's key")
  }

  private init(
    _ chain: [Certificate], _ key: PrivateKey, _ trustDomain: String, path: String,
    keyPath: String, token: HardwareKey? = nil
  ) throws(PKIError) {
    _ = try NameRules.trustDomainURI(trustDomain)
    guard let own = chain.first, let root = chain.last else {
      throw PKIError(.authority, "\(path): no certificate")
    }
    guard own.fits(key) else {
      throw PKIError(.authority, "\(keyPath) is not the key of the first certificate in \(path)")
    }
    for (certificate, issuer) in zip(chain, chain.dropFirst() + [root]) {
      guard certificate.isAuthority else {
        throw PKIError(.authority, "\(path): a certificate there is not a CA's")
      }
      guard certificate.isSigned(by: issuer) else {
        throw PKIError(
          .authority,
          "\(path): the signing CA's certificate comes first, then that of whoever signed it, and so on to "
            + "the root, which signs itself")
      }
    }
    if let named = try own.namedTrustDomain(), named != trustDomain {
      throw PKIError(.authority, "\(path) is for the trust domain \(named), not \(trustDomain)")
    }
    var (intermediates, bundle) = ([UInt8](), [UInt8]())
    for certificate in chain.dropLast() { intermediates += try certificate.der() }
    bundle = try root.der()
    (self.trustDomain, self.bundle, self.intermediates) = (trustDomain, bundle, intermediates)
    (certificate, self.chain, self.key) = (own, chain, key)
    self.token = token
  }

  /// DER of the root of a chain in PEM.
  package static func bundle(ofChain pem: String) throws(PKIError) -> [UInt8] {
    guard let root = try chain(pem, "the chain").last else {
      throw PKIError(.authority, "no certificate")
    }
    return try root.der()
  }

  /// Seconds since 1970: when the first certificate of a chain in PEM ends, whatever becomes of those above it.
  package static func notAfter(ofFirst pem: String) throws(PKIError) -> Int64 {
    guard let own = try chain(pem, "the chain").first else {
      throw PKIError(.authority, "no certificate")
    }
    return try own.notAfter()
  }

  /// Seconds since 1970: when the first of the chain ends.
  package func notAfter() throws(PKIError) -> Int64 {
    var end = Int64.max
    for certificate in chain { end = min(end, try certificate.notAfter()) }
    return end
  }

  /// The chain as PEM and nothing else.
  package func pem() throws(PKIError) -> String {
    var text = ""
    for certificate in chain { text += try certificate.pem() }
    return text
  }

  /// Proves that what it signs is taken, as servers' and as clients': signs one, and verifies that as every listener
  /// does. So keys and signatures that are too weak, lengths of paths, constraints of names, usages and dates of the
  /// whole chain are judged by who judges them later.
  /// - Parameter listener: who must not refuse it by the CAs and CRLs of its files; that it does not know the issuer yet
  ///   is no refusal.
  /// - Throws: `PKIError`, with what is wrong.
  package func prove(to listener: TLSContext? = nil) throws(PKIError) {
    guard chain.count <= Self.longestProvenChain else {
      throw PKIError(
        .authority,
        "at most \(Self.longestProvenChain) certificates: verifiers take no longer chains")
    }
    guard X509_get_key_usage(certificate.pointer) != UInt32.max,
      chain.allSatisfy({ issuer in
        X509_get_key_usage(issuer.pointer) & UInt32(KU_KEY_CERT_SIGN) != 0
      })
    else {
      throw PKIError(.authority, "a certificate there may sign no others (keyCertSign)")
    }
    // By their names alone two of one name are not told apart, and verifiers try one of them.
    guard X509_get0_subject_key_id(certificate.pointer) != nil else {
      throw PKIError(
        .authority,
        "the authority's certificate has no subjectKeyIdentifier (RFC 5280 section 4.2.1.2)")
    }
    guard let root = OpenSSLObjects.certificate(der: bundle).map(X509Object.init) else {
      throw .drainingQueue("cannot verify")
    }
    let store: TrustStore
    do throws(TLSError) {
      store = try TrustStore([root])
    } catch {
      throw PKIError(.authority, error.description)
    }
    let refusal = try withProbe { (leaf, others) -> String? in
      for side in [TLSContext.Side.client, .server] {
        let outcome = store.verify(
          leaf, untrusted: others, of: side, domain: trustDomain,
          maximumIntermediates: Self.longestProvenChain - 1, digestsKeys: false,
          now: Clock.now())
        if case .failure(let refusal) = outcome {
          return "certificates that it signs would not be accepted: \(refusal.reason)"
        }
      }
      return listener?.snapshot.trust.refusalByFiles(leaf: leaf, untrusted: others).map {
        "listeners of this server would refuse what it signs, by the CAs and CRLs that they read from "
          + "files: \($0.reason)"
      }
    }
    if let refusal { throw PKIError(.authority, refusal) }
  }

  /// - Parameter body: is lent a certificate that it has signed, and a stack of those of its issuers without the root.
  private func withProbe<Value>(
    _ body: (_ leaf: OpaquePointer, _ others: OpaquePointer) -> Value
  ) throws(PKIError) -> Value {
    let probe = try issue(path: ["probe"], seconds: 60)
    var ders: [[UInt8]] = []
    var rest = probe.chain[...]
    while let length = DERLength.first(rest) {
      ders.append(Array(rest.prefix(length)))
      rest = rest.dropFirst(length)
    }
    guard let leaf = ders.first.flatMap(OpenSSLObjects.certificate(der:)).map(X509Object.init),
      let untrusted = OPENSSL_sk_new_null()
    else { throw .drainingQueue("cannot verify") }
    defer { OPENSSL_sk_free(untrusted) }
    let others = ders.dropFirst().compactMap(OpenSSLObjects.certificate(der:)).map(X509Object.init)
    for other in others { OPENSSL_sk_push(untrusted, UnsafeRawPointer(other.pointer)) }
    // `others` lives until here: the stack only points to them.
    return withExtendedLifetime((leaf, others)) { body(leaf.pointer, untrusted) }
  }

  /// As `TLSLimits.maximumIntermediates` has it by default, and the root.
  private static let longestProvenChain = 5

  /// Whether both issue the same.
  package func isSame(as other: WorkloadAuthority) -> Bool {
    bundle == other.bundle && intermediates == other.intermediates
      && X509_cmp(certificate.pointer, other.certificate.pointer) == 0
  }

  /// Makes a key, and a certificate for it: of one SPIFFE ID and nothing else, for servers and clients. It ends no
  /// later than any of the chain.
  /// - Parameters:
  ///   - path: behind the trust domain in the SPIFFE ID.
  ///   - seconds: how long it lasts.
  ///   - registration: the id of the registration entry that it is issued by; nil: of none.
  /// - Throws: `PKIError`, also when the authority's own certificate has ended.
  package func issue(
    path: [String], seconds: Int64, registration: String? = nil
  ) throws(PKIError) -> WorkloadCredential {
    for issuer in chain where try issuer.notAfter() <= Clock.now() {
      throw PKIError(.authority, "the CA's certificate, or one of its issuers', has expired")
    }
    let id = try NameRules.spiffeID(trustDomain, path)
    let key = try PrivateKey()
    let builder = try CertificateBuilder(workloadKey: key, seconds: seconds)
    for issuer in chain { try builder.limitLifetime(to: issuer) }
    try builder.add(NID_basic_constraints, "critical,CA:FALSE")
    try builder.add(NID_key_usage, "critical,digitalSignature")
    try builder.add(NID_ext_key_usage, "serverAuth,clientAuth")
    try builder.add(NID_subject_key_identifier, "hash")
    // Of a CA that does not say how its key is called, there is no telling.
    if X509_get0_subject_key_id(certificate.pointer) != nil {
      try builder.add(NID_authority_key_identifier, "keyid:always", issuer: certificate)
    }
    try builder.add([.uri(id)])
    if let registration {
      try RegistrationExtension.add(registration, to: builder.certificate)
    }
    try builder.sign(issuer: certificate, key: self.key)
    let made = builder.certificate
    return WorkloadCredential(
      chain: try made.der() + intermediates, privateKey: try key.pkcs8(),
      notBefore: try made.notBefore(), notAfter: try made.notAfter())
  }

  private static func chain(_ pem: String, _ path: String) throws(PKIError) -> [Certificate] {
    let buffer = try MemoryBuffer(pem)
    var chain: [Certificate] = []
    while let pointer = PEM_read_bio_X509(buffer.pointer, nil, { _, _, _, _ in -1 }, nil) {
      chain.append(Certificate(owning: pointer))
      guard chain.count <= longestChain else {
        throw PKIError(.authority, "\(path): more than \(longestChain) certificates")
      }
    }
    // At the end there is no further one, which OpenSSL takes for an error.
    ERR_clear_error()
    return chain
  }
}

extension Certificate {
  fileprivate func der() throws(PKIError) -> [UInt8] {
    ERR_clear_error()
    var bytes: UnsafeMutablePointer<UInt8>?
    let count = Int(i2d_X509(pointer, &bytes))
    guard count > 0, let bytes else { throw .drainingQueue("cannot write the certificate") }
    defer { CRYPTO_free(bytes, #file, #line) }
    return Array(UnsafeBufferPointer(start: bytes, count: count))
  }
}
