internal import CTenancyOpenSSL

/// The CAs of one bundle and their CRLs. Owns an `X509_STORE`.
final class TrustStore: @unchecked Sendable {  // Never changed once loaded; OpenSSL locks it.
  private let store: OpaquePointer
  let authorities: [X509Object]
  /// When the first of the CRLs ends, in seconds since 1970.
  private var revocationsEnd = Int64.max

  /// - Parameter domain: the trust domain that the CAs vouch for, if it is one.
  init(authorities path: String, revocations: [String], domain: String?) throws(TLSError) {
    authorities = try OpenSSLObjects.certificates(path, "CA bundle")
    guard let store = X509_STORE_new() else { throw .drainingQueue("cannot make a trust store") }
    self.store = store
    for authority in authorities {
      if let domain, let other = try Self.otherDomain(of: authority.pointer, than: domain).get() {
        throw TLSError("a CA in \(path) is for \(other), not for \(domain)", code: .configuration)
      }
      guard X509_STORE_add_cert(store, authority.pointer) == 1 else {
        throw .drainingQueue("cannot use the CA bundle \(path)", code: .configuration)
      }
    }
    for list in revocations {
      revocationsEnd = min(revocationsEnd, try OpenSSLObjects.addRevocations(list, to: store))
    }
    if !revocations.isEmpty {
      X509_STORE_set_flags(store, TENANCY_X509_V_FLAG_CRL_CHECK | TENANCY_X509_V_FLAG_CRL_CHECK_ALL)
    }
  }

  /// Of certificates in memory.
  /// - Parameter isPartial: whether a chain may end at one that is no root.
  init(_ certificates: [X509Object], isPartial: Bool = false) throws(TLSError) {
    authorities = certificates
    guard let store = X509_STORE_new() else { throw .drainingQueue("cannot make a trust store") }
    self.store = store
    for authority in certificates {
      guard X509_STORE_add_cert(store, authority.pointer) == 1 else {
        throw .drainingQueue("cannot use a CA's certificate", code: .configuration)
      }
    }
    if isPartial { X509_STORE_set_flags(store, TENANCY_X509_V_FLAG_PARTIAL_CHAIN) }
  }

  deinit { X509_STORE_free(store) }

  /// Of which other trust domain than `domain` a CA's certificate says that it is for (X509-SVID §4.2).
  private static func otherDomain(
    of authority: OpaquePointer, than domain: String
  ) -> Result<String?, TLSError> {
    CertificateReader.uriNames(authority).map { names in
      names.first { $0.hasPrefix("spiffe://") && $0 != "spiffe://\(domain)" }
    }
  }

  /// What of a chain is good from when to when.
  struct Chain {
    var validFrom = Int64.min
    var validUntil = Int64.max
    var freshUntil = Int64.max
    /// Of each certificate: SHA-256 of its key. Empty where nobody asks for them.
    var keyDigests: [[UInt8]] = []
  }

  /// Verifies the chain from `leaf` to one of the CAs.
  ///
  /// - Parameters:
  ///   - leaf: an `X509`.
  ///   - untrusted: a stack of `X509`.
  ///   - domain: the trust domain that the CAs must be able to vouch for, if it is to be one.
  ///   - digestsKeys: whether the chain's keys are told.
  ///   - now: seconds since 1970.
  func verify(
    _ leaf: OpaquePointer, untrusted: OpaquePointer?, of side: TLSContext.Side,
    domain: String?, maximumIntermediates: Int, digestsKeys: Bool, now: Int64
  ) -> Result<Chain, PeerRefusal> {
    defer { ERR_clear_error() }
    guard let context = X509_STORE_CTX_new_ex(LeanLibrary.context, nil) else {
      return .failure(PeerRefusal(code: X509_V_ERR_OUT_OF_MEM))
    }
    defer { X509_STORE_CTX_free(context) }
    guard X509_STORE_CTX_init(context, store, leaf, untrusted) == 1,
      X509_STORE_CTX_set_default(context, side == .server ? "ssl_server" : "ssl_client") == 1,
      let parameters = X509_STORE_CTX_get0_param(context)
    else { return .failure(PeerRefusal(code: X509_V_ERR_UNSPECIFIED)) }
    X509_VERIFY_PARAM_set_auth_level(parameters, TLSSnapshot.securityLevel)
    X509_VERIFY_PARAM_set_depth(parameters, Int32(clamping: maximumIntermediates))
    X509_VERIFY_PARAM_set_time(parameters, time_t(now))
    guard X509_verify_cert(context) == 1 else {
      let code = X509_STORE_CTX_get_error(context)
      return .failure(PeerRefusal(code: code == X509_V_OK ? X509_V_ERR_UNSPECIFIED : code))
    }
    return read(X509_STORE_CTX_get0_chain(context), domain: domain, digestsKeys: digestsKeys)
  }

  private func read(
    _ certificates: OpaquePointer?, domain: String?, digestsKeys: Bool
  ) -> Result<Chain, PeerRefusal> {
    var chain = Chain()
    for index in 0..<max(0, OPENSSL_sk_num(certificates)) {
      guard let value = OPENSSL_sk_value(certificates, index),
        let from = CertificateReader.notBefore(OpaquePointer(value)),
        let until = CertificateReader.notAfter(OpaquePointer(value))
      else { return .failure(PeerRefusal(code: X509_V_ERR_UNSPECIFIED)) }
      if CertificateReader.hasWeakKey(OpaquePointer(value)) {
        let code = index == 0 ? X509_V_ERR_EE_KEY_TOO_SMALL : X509_V_ERR_CA_KEY_TOO_SMALL
        return .failure(PeerRefusal(code: code))
      }
      if let domain, index > 0 {
        switch Self.otherDomain(of: OpaquePointer(value), than: domain) {
        case .success(nil): break
        case .success(let other?):
          return .failure(PeerRefusal("a CA of its chain is for \(other), not for \(domain)"))
        case .failure(let error):
          return .failure(PeerRefusal("a CA of its chain: \(error.description)"))
        }
      }
      if digestsKeys {
        guard let digest = CertificateReader.keyDigest(OpaquePointer(value)) else {
          return .failure(PeerRefusal(code: X509_V_ERR_UNSPECIFIED))
        }
        chain.keyDigests.append(digest)
      }
      chain.validFrom = max(chain.validFrom, from)
      chain.validUntil = min(chain.validUntil, until)
    }
    chain.freshUntil = min(chain.validUntil, revocationsEnd)
    return .success(chain)
  }
}
