internal import CTenancyOpenSSL

/// What a `TLSContext` has read from files at one time: our own certificate and key, and the CAs and CRLs that peers
/// are judged by. Owns the key. Thread-safe.
final class TLSFiles: @unchecked Sendable {  // Never changed; OpenSSL locks what it caches in them.
  /// Which CAs of files vouch for whom.
  enum Stores {
    case any(TrustStore)
    case domains([String: TrustStore])
  }

  /// Newer ones have greater numbers.
  let number: UInt64
  /// Ours first; empty only for a client.
  let chain: [X509Object]
  /// An `EVP_PKEY`.
  let key: OpaquePointer?
  let stores: Stores

  /// - Throws: `TLSError` when a file can't be used.
  init(
    _ side: TLSContext.Side, _ configuration: TLSContext.Configuration, number: UInt64
  ) throws(TLSError) {
    ERR_clear_error()
    if let reason = configuration.fileRule() { throw TLSError(reason, code: .configuration) }
    self.number = number
    stores = try Self.stores(configuration.trust)
    guard let path = configuration.certificateChain, let keyPath = configuration.privateKey else {
      guard side == .client, configuration.certificateChain == nil, configuration.privateKey == nil
      else { throw TLSError("a certificate and its key are needed", code: .configuration) }
      (chain, key) = ([], nil)
      return
    }
    let chain = try OpenSSLObjects.certificates(path)
    guard !chain.contains(where: { CertificateReader.hasWeakKey($0.pointer) }) else {
      throw .drainingQueue(
        "an RSA key in \(path) has less than \(CertificateReader.minimumRSABits) bits",
        code: .configuration)
    }
    self.chain = chain
    key = try OpenSSLObjects.privateKey(keyPath)
  }

  deinit { EVP_PKEY_free(key) }

  /// - Throws: `TLSError` when a file can't be used.
  static func stores(_ trust: TLSContext.Trust) throws(TLSError) -> Stores {
    switch trust {
    case .authorities(let path, let revocations):
      return .any(try TrustStore(authorities: path, revocations: revocations, domain: nil))
    case .domains(let bundles):
      var made: [String: TrustStore] = [:]
      for bundle in bundles {
        guard SPIFFEID(parsing: "spiffe://\(bundle.domain)/x") != nil, made[bundle.domain] == nil
        else {
          throw TLSError(
            "\(bundle.domain) is not a trust domain, or is there twice", code: .configuration)
        }
        made[bundle.domain] = try TrustStore(
          authorities: bundle.authorities, revocations: bundle.revocations, domain: bundle.domain)
      }
      return .domains(made)
    }
  }
}
