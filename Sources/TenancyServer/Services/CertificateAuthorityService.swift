import Tenancy
import TenancyCrypto
import TenancyRPC
import TenancyWire

/// `tenancy.v1.CertificateAuthorities`.
struct CertificateAuthorityService: Sendable {
  /// Of an authority's name: it is not taken apart if it is longer.
  static let maximumNameBytes = 128
  /// Seconds, of a root.
  static let lifetimes: ClosedRange<Int64> = 3_600...36_500 * 86_400
  private static let defaultLifetime: Int64 = 3_650 * 86_400
  private static let maximumCommonName = 64
  static let collection = "certificateAuthorities/"

  let plane: ControlPlane
  /// Nil where no master key is configured.
  let vault: SecretVault?
  /// Of those that are prepared without one; nil: it is to be given.
  let trustDomain: String?
  /// Where what authorities sign has to be taken; nil: nowhere.
  var listener: TLSContext?

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.CertificateAuthorities
    return [
      gate.async(
        API.prepareCertificateAuthority,
        again: { (_, _, earlier) throws(TenancyError) in
          try told(earlier.resource)
        }, prepare),
      gate.async(
        API.importCertificateAuthority,
        again: { (_, request, _) throws(TenancyError) in
          try told(Self.id(in: request.name))
        }, complete),
      gate.async(
        API.activateCertificateAuthority,
        again: { (_, request, _) throws(TenancyError) in
          try told(Self.id(in: request.name))
        }
      ) { (access, request) throws(TenancyError) in
        let id = try Self.id(in: request.name)
        return V1.CertificateAuthority(
          try await commands(access, validateOnly: request.validateOnly).activate(
            id, force: request.force, etag: request.etag))
      },
      gate.async(
        API.retireCertificateAuthority,
        again: { (_, request, _) throws(TenancyError) in
          let left = plane.state.authorities.find(try Self.id(in: request.name))
          return V1.RetireCertificateAuthorityResponse(
            authority: left.map { V1.CertificateAuthority($0) })
        }
      ) { (access, request) throws(TenancyError) in
        let id = try Self.id(in: request.name)
        let left = try await commands(access, validateOnly: request.validateOnly).retire(
          id, force: request.force, etag: request.etag, end: Self.end(ofFirst:))
        return V1.RetireCertificateAuthorityResponse(
          authority: left.map { V1.CertificateAuthority($0) })
      },
      gate.inline(API.getCertificateAuthority) { (access, request) throws(TenancyError) in
        let id = try Self.id(in: request.name)
        guard let authority = access.snapshot.state.authorities.find(id) else {
          throw AuthorityCommands.notFound
        }
        return V1.CertificateAuthority(authority)
      },
      gate.inline(API.listCertificateAuthorities) { (access, _) throws(TenancyError) in
        V1.ListCertificateAuthoritiesResponse(
          authorities: access.snapshot.state.authorities.all.map { V1.CertificateAuthority($0) })
      },
    ]
  }

  private func commands(
    _ access: Access, validateOnly: Bool
  ) throws(TenancyError) -> AuthorityCommands {
    AuthorityCommands(
      plane, actor: access.caller.subject,
      judge: try access.requireJudge().validating(only: validateOnly))
  }

  /// An authority as it is by now.
  private func told(_ id: String) throws(TenancyError) -> V1.CertificateAuthority {
    guard let authority = plane.state.authorities.find(id) else {
      throw AuthorityCommands.notFound
    }
    return V1.CertificateAuthority(authority)
  }

  // MARK: Preparing

  private func prepare(
    _ access: Access, _ request: V1.PrepareCertificateAuthorityRequest
  ) async throws(TenancyError) -> V1.CertificateAuthority {
    var checks = FieldChecks()
    let domain = request.trustDomain.isEmpty ? trustDomain ?? "" : request.trustDomain
    if !SigningAuthority.isTrustDomain(domain) {
      checks.note(.invalid("trust_domain", "the name of a SPIFFE trust domain: a-z 0-9 . - _"))
    }
    let name = request.commonName
    if name.utf8.count > Self.maximumCommonName || name.utf8.contains(where: { $0 < 0x20 }) {
      checks.note(
        .invalid(
          "common_name", "at most \(Self.maximumCommonName) bytes without control characters"))
    }
    let lifetime = try checks.value { () throws(TenancyError) in
      try Self.seconds(request.lifetime, "lifetime", Self.lifetimes)
    }
    let propagation = try checks.value { () throws(TenancyError) in
      try Self.seconds(request.propagation, "propagation", SigningAuthority.propagations)
    }
    if request.external, request.lifetime != nil {
      checks.note(.invalid("lifetime", "is for the CA to say that signs the request"))
    }
    let kind = SigningAuthority.Kind(request.kind)
    switch kind {
    case nil: checks.note(.invalid("kind", "KIND_X509 or KIND_JWT"))
    case .x509?: break
    case .jwt?: Self.checkKey(request, &checks)
    }
    try checks.finish()
    // Before the work of making a key.
    guard vault != nil else { throw Self.notConfigured }
    let seconds = (propagation ?? nil) ?? SigningAuthority.defaultPropagation
    let new =
      kind == .jwt
      ? try Self.makeKey(domain, propagation: seconds)
      : try Self.make(
        name.isEmpty ? Self.commonName(at: plane.now) : name, domain,
        seconds: request.external ? nil : (lifetime ?? nil) ?? Self.defaultLifetime,
        propagation: seconds)
    return V1.CertificateAuthority(
      try await commands(access, validateOnly: request.validateOnly).prepare(new))
  }

  /// A key of tokens has nothing that a certificate has.
  private static func checkKey(
    _ request: V1.PrepareCertificateAuthorityRequest, _ checks: inout FieldChecks
  ) {
    let what = "is of certificates: a key of tokens has none"
    if !request.commonName.isEmpty { checks.note(.invalid("common_name", what)) }
    if request.external { checks.note(.invalid("external", what)) }
    if request.lifetime != nil { checks.note(.invalid("lifetime", what)) }
  }

  private static func makeKey(
    _ domain: String, propagation: Int64
  ) throws(TenancyError) -> NewAuthority {
    let made = try TokenSigners.make(.es256)
    return NewAuthority(
      kind: .jwt, trustDomain: domain, publicKey: made.publicKey, propagation: propagation,
      privateKey: made.privateKey)
  }

  /// Those of a trust domain are told apart by their names as well: verifiers look for issuers by them.
  private static func commonName(at now: Timestamp) -> String {
    "Workload CA \(TenantID.generate(atMilliseconds: now.milliseconds))"
  }

  /// - Parameter seconds: of a root; nil: a request is made.
  private static func make(
    _ name: String, _ domain: String, seconds: Int64?, propagation: Int64
  ) throws(TenancyError) -> NewAuthority {
    do throws(PKIError) {
      guard let seconds else {
        let made = try NewAuthorityKey.request(commonName: name, trustDomain: domain)
        return NewAuthority(
          trustDomain: domain, request: made.document, propagation: propagation,
          privateKey: ClearSecret(bytes: made.privateKey))
      }
      let made = try NewAuthorityKey.root(
        commonName: name, trustDomain: domain, seconds: seconds)
      return NewAuthority(
        trustDomain: domain, chain: made.document,
        expireTime: Timestamp(seconds: made.notAfter, subsecondNanoseconds: 0),
        propagation: propagation, privateKey: ClearSecret(bytes: made.privateKey))
    } catch {
      throw TenancyError(.internalError, .secretsFailed, "a key can't be made: \(error)")
    }
  }

  // MARK: Importing

  private func complete(
    _ access: Access, _ request: V1.ImportCertificateAuthorityRequest
  ) async throws(TenancyError) -> V1.CertificateAuthority {
    let id = try Self.id(in: request.name)
    guard (1...SigningAuthority.maximumPEMBytes).contains(request.certificateChain.utf8.count)
    else {
      throw .invalid("certificate_chain", "1 to \(SigningAuthority.maximumPEMBytes) bytes")
    }
    guard let authority = access.snapshot.state.authorities.find(id) else {
      throw AuthorityCommands.notFound
    }
    // As the command judges it, without the work.
    guard authority.state == .awaitingCertificate else {
      return V1.CertificateAuthority(
        try await commands(access, validateOnly: request.validateOnly).complete(
          id, chain: request.certificateChain, expireTime: access.now, etag: request.etag))
    }
    let key = try await key(of: authority)
    let (chain, end) = try prove(request.certificateChain, key, authority.trustDomain)
    return V1.CertificateAuthority(
      try await commands(access, validateOnly: request.validateOnly).complete(
        id, chain: chain, expireTime: Timestamp(seconds: end, subsecondNanoseconds: 0),
        etag: request.etag))
  }

  private func key(of authority: SigningAuthority) async throws(TenancyError) -> ClearSecret {
    guard let vault else { throw Self.notConfigured }
    do throws(StoreError) {
      let place = authority.keyPlace
      guard let key = try await vault.open(place.purpose, of: place.tenant) else {
        throw StoreError(.conflict, "it is gone")
      }
      return key
    } catch {
      throw TenancyError(
        .unavailable, .storeUnavailable, "the authority's key can't be read now",
        retryAfterSeconds: 1)
    }
  }

  /// - Returns: the chain without what may be between certificates, and when the first of them ends.
  private func prove(
    _ chain: String, _ key: ClearSecret, _ domain: String
  ) throws(TenancyError) -> (String, Int64) {
    do throws(PKIError) {
      let authority = try WorkloadAuthority(
        chain: chain, key: key.reveal(), trustDomain: domain)
      try authority.prove(to: listener)
      return (try authority.pem(), try authority.notAfter())
    } catch {
      throw .invalid(
        "certificate_chain", error.description, reason: .authorityChainRefused)
    }
  }

  /// When the first certificate of a chain ends; that may be later than the first of the chain does.
  private static func end(ofFirst chain: String) -> Timestamp? {
    (try? WorkloadAuthority.notAfter(ofFirst: chain))  // The first of all ends counts then.
      .map { Timestamp(seconds: $0, subsecondNanoseconds: 0) }
  }

  // MARK: Fields

  private static func seconds(
    _ sent: GoogleProtobuf.Duration?, _ field: String, _ range: ClosedRange<Int64>
  ) throws(TenancyError) -> Int64? {
    guard let sent else { return nil }
    guard sent.nanos == 0, range.contains(sent.seconds) else {
      throw .invalid(field, "\(range.lowerBound) to \(range.upperBound) whole seconds")
    }
    return sent.seconds
  }

  private static func id(in name: String) throws(TenancyError) -> String {
    guard name.utf8.count <= maximumNameBytes, name.hasPrefix(collection) else {
      throw .invalid("name", "must be \(collection){id}")
    }
    return String(name.dropFirst(collection.count))
  }

  private static let notConfigured = TenancyError(
    .failedPrecondition, .secretsNotConfigured,
    "the server has no master key to seal keys with (secrets.master_key in its configuration)")
}

extension V1.CertificateAuthority {
  init(_ authority: SigningAuthority) {
    func time(_ moment: Timestamp?) -> GoogleProtobuf.Timestamp? {
      moment.map { GoogleProtobuf.Timestamp($0) }
    }
    self.init(
      name: CertificateAuthorityService.collection + authority.id,
      state: V1.CertificateAuthority.State(authority.state), trustDomain: authority.trustDomain,
      certificateChain: authority.chain, certificateRequest: authority.request,
      propagation: GoogleProtobuf.Duration(seconds: authority.propagation),
      createTime: time(authority.createTime), prepareTime: time(authority.prepareTime),
      activateTime: time(authority.activateTime), retireTime: time(authority.retireTime),
      trustUntil: time(authority.trustUntil), expireTime: time(authority.expireTime),
      etag: authority.etag, kind: authority.kind == .jwt ? .jwt : .x509,
      publicKey: authority.publicKey)
  }
}

extension SigningAuthority.Kind {
  /// Nil for one that is not known.
  fileprivate init?(_ kind: V1.CertificateAuthority.Kind) {
    switch kind {
    case .unspecified, .x509: self = .x509
    case .jwt: self = .jwt
    default: return nil
    }
  }
}

extension V1.CertificateAuthority.State {
  fileprivate init(_ state: SigningAuthority.State) {
    self =
      switch state {
      case .awaitingCertificate: .awaitingCertificate
      case .prepared: .prepared
      case .active: .active
      case .retiring: .retiring
      // None is shown.
      case .revoked: .unspecified
      }
  }
}
