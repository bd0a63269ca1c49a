internal import CTenancyOpenSSL
import Synchronization

/// Judges the certificates of peers by one loaded set of CAs and CRLs. Thread-safe.
final class PeerTrust: Sendable {
  private let stores: TLSFiles.Stores
  /// Of CAs besides those in files, by trust domain.
  private let added: [String: TrustStore]
  /// Of CAs that are never trusted: SHA-256 of their keys.
  private let refused: Set<[UInt8]>
  private let configuration: TLSContext.Configuration
  /// Of the peers.
  private let side: TLSContext.Side
  /// Peers that were verified already, by `PeerEvidence.digest`. Refusals are not remembered.
  private let verified: Mutex<BoundedCache<[UInt8], VerifiedPeer>>

  /// - Parameters:
  ///   - stores: of files.
  ///   - side: which side the peers are.
  /// - Throws: `TLSError` when a CA besides those in files can't be used.
  init(
    _ configuration: TLSContext.Configuration, _ stores: TLSFiles.Stores,
    peers side: TLSContext.Side
  ) throws(TLSError) {
    self.stores = stores
    self.configuration = configuration
    self.side = side
    verified = Mutex(BoundedCache(capacity: configuration.limits.maximumVerifiedPeers))
    // In this order: one that is revoked meanwhile is in both.
    added = try Self.added(configuration.addedAuthorities())
    refused = try Self.keys(of: configuration.refusedAuthorities())
  }

  /// All the CAs.
  var authorities: [X509Object] {
    let named: [X509Object] =
      switch stores {
      case .any(let store): store.authorities
      case .domains(let stores): stores.values.flatMap(\.authorities)
      }
    return named + added.values.flatMap(\.authorities)
  }

  private static func added(_ all: [AddedAuthority]) throws(TLSError) -> [String: TrustStore] {
    var certificates: [String: [X509Object]] = [:]
    for authority in all {
      guard let certificate = OpenSSLObjects.certificate(pem: authority.certificate) else {
        continue
      }
      certificates[authority.domain, default: []].append(X509Object(certificate))
    }
    var stores: [String: TrustStore] = [:]
    for (domain, found) in certificates {
      stores[domain] = try TrustStore(found, isPartial: true)
    }
    return stores
  }

  private static func keys(of refused: [String]) throws(TLSError) -> Set<[UInt8]> {
    var keys: Set<[UInt8]> = []
    for pem in refused {
      guard let certificate = OpenSSLObjects.certificate(pem: pem).map(X509Object.init),
        let key = CertificateReader.keyDigest(certificate.pointer)
      else { throw .drainingQueue("cannot read the certificate of a revoked CA") }
      keys.insert(key)
    }
    return keys
  }

  /// Judges a peer by what it presented: `leaf` an `X509`, `untrusted` a stack of them.
  func judge(
    leaf: OpaquePointer, untrusted: OpaquePointer?
  ) -> Result<VerifiedPeer, PeerRefusal> {
    guard let evidence = PeerEvidence(leaf: leaf, untrusted: untrusted) else {
      return .failure(PeerRefusal("unreadable certificate"))
    }
    return judge(evidence) { verify(leaf, untrusted, evidence) }
  }

  /// Judges a peer that was verified before, maybe by other CAs and CRLs.
  func judge(_ evidence: PeerEvidence) -> Result<VerifiedPeer, PeerRefusal> {
    judge(evidence) {
      evidence.withCertificates { verify($0, $1, evidence) }
        ?? .failure(PeerRefusal("unreadable certificate"))
    }
  }

  /// Judges a peer whose session is resumed. Its chain was verified by these CAs.
  func refusalToResume(_ peer: VerifiedPeer) -> PeerRefusal? {
    guard isFresh(peer) else { return PeerRefusal(code: X509_V_ERR_CERT_HAS_EXPIRED) }
    return configuration.refusal(of: peer.certificate).map { PeerRefusal($0) }
  }

  /// Why the CAs and CRLs of files refuse a peer for good, or nil: they don't know its issuer, or its trust domain, and
  /// others may vouch for it. Remembers nothing.
  func refusalByFiles(leaf: OpaquePointer, untrusted: OpaquePointer?) -> PeerRefusal? {
    guard case .success(let certificate) = CertificateReader.read(leaf),
      case .success(let found) = store(for: certificate, leaf),
      case .failure(let refusal) = verify(leaf, untrusted, by: found.0, found.domain),
      !Self.unknownIssuer.contains(refusal.code)
    else { return nil }
    return refusal
  }

  /// How many peers' chains are remembered.
  var rememberedPeers: Int { verified.withLock { $0.count } }

  /// Forgets the peers that were verified: this is not the newest set of CAs and CRLs any more.
  func retire() { verified.withLock { $0 = BoundedCache(capacity: 0) } }

  private func judge(
    _ evidence: PeerEvidence, _ verify: () -> Result<VerifiedPeer, PeerRefusal>
  ) -> Result<VerifiedPeer, PeerRefusal> {
    let known = verified.withLock { $0[evidence.digest] }
    let outcome: Result<VerifiedPeer, PeerRefusal>
    if let known, isFresh(known) {
      outcome = .success(known)
    } else {
      outcome = verify()
      if case .success(let peer) = outcome {
        _ = verified.withLock { $0.insert(peer, for: evidence.digest) }
      }
    }
    return outcome.flatMap { peer in
      if let reason = configuration.refusal(of: peer.certificate) {
        return .failure(PeerRefusal(reason))
      }
      return .success(peer)
    }
  }

  private func isFresh(_ peer: VerifiedPeer) -> Bool {
    (peer.validFrom...max(peer.validFrom, peer.freshUntil)).contains(configuration.clock())
  }

  private func verify(
    _ leaf: OpaquePointer, _ untrusted: OpaquePointer?, _ evidence: PeerEvidence
  ) -> Result<VerifiedPeer, PeerRefusal> {
    let certificate: PeerCertificate
    switch CertificateReader.read(leaf) {
    case .success(let found): certificate = found
    case .failure(let error): return .failure(PeerRefusal(error.description))
    }
    if !refused.isEmpty, hasRefusedKey(leaf, untrusted) { return .failure(Self.revoked) }
    return store(for: certificate, leaf).flatMap { store, domain in
      verify(leaf, untrusted, by: store, domain).flatMapError { refusal in
        // Who is refused for another reason than that its issuer is not known stays refused: revoked, for one.
        guard let domain, let added = added[domain], Self.unknownIssuer.contains(refusal.code)
        else { return .failure(refusal) }
        return verify(leaf, untrusted, by: added, domain).mapError { other in
          Self.unknownIssuer.contains(other.code) ? refusal : other
        }
      }
    }.map { chain in
      VerifiedPeer(
        certificate: certificate, evidence: evidence, validFrom: chain.validFrom,
        validUntil: chain.validUntil, freshUntil: chain.freshUntil,
        keyDigests: chain.keyDigests)
    }
  }

  private func verify(
    _ leaf: OpaquePointer, _ untrusted: OpaquePointer?, by store: TrustStore, _ domain: String?
  ) -> Result<TrustStore.Chain, PeerRefusal> {
    store.verify(
      leaf, untrusted: untrusted, of: side, domain: domain,
      maximumIntermediates: configuration.limits.maximumIntermediates,
      digestsKeys: configuration.pinsKeys || !refused.isEmpty, now: configuration.clock()
    ).flatMap { chain in
      refused.isDisjoint(with: chain.keyDigests) ? .success(chain) : .failure(Self.revoked)
    }
  }

  /// Whether what a peer presented has the key of a CA that is refused, or one that can't be told.
  private func hasRefusedKey(_ leaf: OpaquePointer, _ untrusted: OpaquePointer?) -> Bool {
    let others = (0..<max(0, OPENSSL_sk_num(untrusted))).map { OPENSSL_sk_value(untrusted, $0) }
    return ([UnsafeMutableRawPointer(leaf)] + others).contains { value in
      guard let value, let key = CertificateReader.keyDigest(OpaquePointer(value)) else {
        return true
      }
      return refused.contains(key)
    }
  }

  /// With the code of a certificate that is revoked: no other CA is asked then.
  private static let revoked = PeerRefusal(
    "a CA of its chain was retired by force", code: X509_V_ERR_CERT_REVOKED)

  private static let unknownIssuer: Set<Int32> = [
    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
    X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
    X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_CERT_SIGNATURE_FAILURE,
  ]

  /// Which CAs may vouch for a certificate, by its names, and in which trust domain it is.
  private func store(
    for certificate: PeerCertificate, _ leaf: OpaquePointer
  ) -> Result<(TrustStore, domain: String?), PeerRefusal> {
    if side == .client, certificate.isAuthority {
      return .failure(PeerRefusal("a CA's certificate is no identity"))
    }
    if side == .client, !CertificateReader.namesItsUse(leaf) {
      return .failure(PeerRefusal("a certificate without extended key usage"))
    }
    let isSPIFFE = certificate.uriNames.contains { $0.lowercased().hasPrefix("spiffe:") }
    switch stores {
    case .any(let store) where !isSPIFFE: return .success((store, nil))
    case .any(let store):
      return spiffeID(of: certificate, leaf).map { (store, $0.trustDomain) }
    case .domains(let stores):
      return spiffeID(of: certificate, leaf).flatMap { id in
        stores[id.trustDomain].map { .success(($0, id.trustDomain)) }
          ?? .failure(PeerRefusal("foreign trust domain \(id.trustDomain)"))
      }
    }
  }

  /// The rules for leaves of X509-SVID (§2, §4 and §5).
  private func spiffeID(
    of certificate: PeerCertificate, _ leaf: OpaquePointer
  ) -> Result<SPIFFEID, PeerRefusal> {
    guard !certificate.isAuthority, !CertificateReader.maySign(leaf) else {
      return .failure(PeerRefusal("a CA's certificate is no identity"))
    }
    guard certificate.uriNames.count == 1, let name = certificate.uriNames.first else {
      return .failure(
        PeerRefusal("\(certificate.uriNames.count) URI names where there must be one"))
    }
    guard let id = SPIFFEID(parsing: name) else {
      return .failure(PeerRefusal("the URI name is not a SPIFFE ID"))
    }
    return .success(id)
  }
}
