internal import Synchronization
package import Tenancy
public import TenancyRPC
internal import TenancyTokens

/// The SPIFFE Workload API, as methods for the RPC runtime. Thread-safe.
public final class WorkloadService: Sendable {
  /// What calls must carry (SPIFFE Workload Endpoint §5): a browser or a proxy that was tricked does not.
  static let metadataName = "workload.spiffe.io"

  private let plane: ControlPlane
  private let issuer: WorkloadIssuer
  let streams: WorkloadStreams
  /// What it has done, for metrics.
  package let tally = WorkloadTally()
  private let calls: UserPace

  private let tokens: Mutex<TokenAuthority?>
  private let signatures: UserPace

  /// - Parameters:
  ///   - tokens: nil: the JWT-SVID profile is not served.
  ///   - report: is told what operators should know, in words.
  package init(
    plane: ControlPlane, terms: WorkloadTerms, authority: WorkloadAuthorities,
    tokens: TokenAuthority? = nil, report: @escaping @Sendable (String) -> Void
  ) {
    self.plane = plane
    self.tokens = Mutex(tokens)
    signatures = UserPace(terms.signatures)
    issuer = WorkloadIssuer(
      plane: plane, terms: terms, authority: authority, tally: tally, report: report)
    streams = WorkloadStreams(plane, terms)
    calls = UserPace(terms.calls)
  }

  /// Every method that is served.
  public var methods: [ServiceMethod<WorkloadDelegate>] {
    x509Methods + (tokens.withLock { $0 == nil } ? [] : tokenMethods) + secretMethods
  }

  private var x509Methods: [ServiceMethod<WorkloadDelegate>] {
    typealias API = SPIFFE.SpiffeWorkloadAPI
    return [
      .serverStreaming(API.fetchX509SVID) { [self] call, _, responses in
        try await serve(call, .fetchX509SVID, API.fetchX509SVID.path, signing: true) {
          answer, last in
          let answer = SPIFFE.X509SVIDResponse(answer)
          if answer != last { try await responses.send(answer) }
          return answer
        }
      },
      .serverStreaming(API.fetchX509Bundles) { [self] call, _, responses in
        try await serve(call, .fetchX509Bundles, API.fetchX509Bundles.path, signing: false) {
          answer, last in
          let answer = SPIFFE.X509BundlesResponse(answer)
          if answer != last { try await responses.send(answer) }
          return answer
        }
      },
    ]
  }

  /// Has streams told of what changes, and of their time. Until it runs, and after it was cancelled or the control
  /// plane is closed, they are told the first answer and no more.
  public func run() async { await streams.run() }

  /// Makes certificates by another authority from now on, or has them verified by others; streams are told.
  /// - Returns: whether anything is different.
  @discardableResult
  package func replace(_ authority: WorkloadAuthorities) -> Bool {
    guard issuer.replace(authority) else { return false }
    streams.wakeAll()
    return true
  }

  /// The same of tokens.
  @discardableResult
  package func replace(_ authority: TokenAuthority) -> Bool {
    let isOther = tokens.withLock { tokens in
      if tokens?.isSame(as: authority) ?? true { return false }
      tokens = authority
      return true
    }
    if isOther { streams.wakeAll() }
    return isOther
  }

  // MARK: Tokens

  /// The keys that verify tokens by now, as a JWK set; nil: the JWT-SVID profile is not served.
  package var tokenBundle: [UInt8]? { tokens.withLock { $0?.bundle } }

  private var tokenMethods: [ServiceMethod<WorkloadDelegate>] {
    typealias API = SPIFFE.SpiffeWorkloadAPI
    return [
      .unary(API.fetchJWTSVID) { [self] call, request in
        let found = try await once(call, .fetchJWTSVID, API.fetchJWTSVID.path)
        return SPIFFE.JWTSVIDResponse(svids: try issue(request, found, to: call.context))
      },
      .serverStreaming(API.fetchJWTBundles) { [self] call, _, responses in
        try await serve(call, .fetchJWTBundles, API.fetchJWTBundles.path, signing: false) {
          [self] _, last in
          let authority = try requireTokens()
          let answer = SPIFFE.JWTBundlesResponse(
            bundles: ["spiffe://\(authority.trustDomain)": authority.bundle])
          if answer != last { try await responses.send(answer) }
          return answer
        }
      },
      .unary(API.validateJWTSVID) { [self] call, request in
        _ = try await once(call, .validateJWTSVID, API.validateJWTSVID.path)
        try check([request.audience])
        let authority = try requireTokens()
        do throws(TokenRefusal) {
          let found = try authority.validate(
            request.svid, audience: request.audience, at: plane.now)
          if let entry = found.registration, plane.state.workloads.find(entry) == nil {
            throw TokenRefusal(.claims, "the registration entry that it was issued by is gone")
          }
          return SPIFFE.ValidateJWTSVIDResponse(spiffeId: found.subject, claims: found.claims)
        } catch {
          throw tally.refused(
            .token, RPCStatus(.invalidArgument, "svid: \(error.detail)"))
        }
      },
    ]
  }

  /// - Throws: never: the methods are served only where there is one.
  private func requireTokens() throws(RPCStatus) -> TokenAuthority {
    guard let authority = tokens.withLock({ $0 }) else {
      throw RPCStatus(.unimplemented, "the JWT-SVID profile is not served")
    }
    return authority
  }

  private func issue(
    _ request: SPIFFE.JWTSVIDRequest, _ found: WorkloadIssuer.Answer, to peer: WorkloadPeer
  ) throws(RPCStatus) -> [SPIFFE.JWTSVID] {
    try check(request.audience)
    let authority = try requireTokens()
    var svids: [SPIFFE.JWTSVID] = []
    for entry in found.entries {
      let id = "spiffe://\(authority.trustDomain)/\(entry.identityPath)"
      guard request.spiffeId.isEmpty || request.spiffeId == id else { continue }
      guard signatures.take(for: peer.userID, at: plane.now) else {
        throw tally.refused(
          .signatures,
          RPCStatus(
            .resourceExhausted, "the user was given too many tokens", retryAfter: .seconds(1)))
      }
      do {
        guard
          let token = try authority.issue(
            subject: id, audiences: request.audience, seconds: entry.lifetime,
            registration: entry.id, at: plane.now)
        else {
          throw tally.refused(
            .signing,
            RPCStatus(.unavailable, "no key of tokens is active", retryAfter: .seconds(5)))
        }
        svids.append(SPIFFE.JWTSVID(spiffeId: id, svid: token, hint: entry.hint))
      } catch let status as RPCStatus {
        throw status
      } catch {
        throw tally.refused(
          .signing,
          RPCStatus(.unavailable, "tokens can't be made now", retryAfter: .seconds(5)))
      }
      tally.note(issued: .jwt)
      plane.noteAllowed(
        by: WorkloadAudit.origin(of: peer), action: "workloads.issueToken", target: entry.tenant,
        remark: "as \(id)")
    }
    guard !svids.isEmpty else { throw tally.refused(.identity, WorkloadIssuer.noIdentity) }
    return svids
  }

  /// Of one request, at most.
  private static let maximumAudiences = 8
  private static let maximumAudienceBytes = 256

  private func check(_ audiences: [String]) throws(RPCStatus) {
    guard (1...Self.maximumAudiences).contains(audiences.count),
      Set(audiences).count == audiences.count,
      audiences.allSatisfy({ audience in
        (1...Self.maximumAudienceBytes).contains(audience.utf8.count)
          && audience.utf8.allSatisfy { (0x21...0x7E).contains($0) }
      })
    else {
      throw tally.refused(
        .request,
        RPCStatus(
          .invalidArgument,
          "audience: 1 to \(Self.maximumAudiences), each once, of 1 to \(Self.maximumAudienceBytes) "
            + "bytes of visible ASCII"))
    }
  }

  /// A call that is answered once.
  private func once(
    _ call: AsyncCall<WorkloadDelegate>, _ method: WorkloadTally.Method, _ path: String
  ) async throws(RPCStatus) -> WorkloadIssuer.Answer {
    try admit(call, method)
    let peer = call.context
    try enter(peer)
    defer { streams.leave(peer.userID) }
    return try await answer(for: peer, path, signing: false)
  }

  // MARK: Streams

  /// Streams and calls under way.
  package var underWay: Int { streams.count }

  /// Tells at once, and again whenever something else is to be told.
  /// - Parameter tell: is given what was told last, and returns what is told now.
  private func serve<Message: Sendable>(
    _ call: AsyncCall<WorkloadDelegate>, _ method: WorkloadTally.Method, _ path: String,
    signing: Bool,
    _ tell: @escaping @Sendable (WorkloadIssuer.Answer, Message?) async throws -> Message
  ) async throws {
    try admit(call, method)
    let peer = call.context
    try enter(peer)
    defer { streams.leave(peer.userID) }
    let ended: Void? = try await call.drain.cancelling { [self] in
      var last: Message?
      while !Task.isCancelled {
        let changes = streams.changes
        let answer = try await answer(for: peer, path, signing: signing)
        last = try await tell(answer, last)
        await streams.wait(for: answer.term(of: peer), after: changes)
      }
      throw CancellationError()
    }
    if ended == nil {
      throw RPCStatus(.unavailable, "the server is stopping", retryAfter: .seconds(1))
    }
  }

  private func admit(
    _ call: AsyncCall<WorkloadDelegate>, _ method: WorkloadTally.Method
  ) throws(RPCStatus) {
    tally.note(method)
    guard call.metadata[Self.metadataName] == ["true"] else {
      throw tally.refused(
        .header,
        RPCStatus(.invalidArgument, "the metadata \(Self.metadataName): true is required"))
    }
    try admit(call.context)
  }

  func admit(_ peer: WorkloadPeer) throws(RPCStatus) {
    guard calls.take(for: peer.userID, at: plane.now) else {
      throw tally.refused(
        .calls,
        RPCStatus(.resourceExhausted, "too many calls of the user", retryAfter: .seconds(1)))
    }
  }

  /// To be followed by `streams.leave`.
  func enter(_ peer: WorkloadPeer) throws(RPCStatus) {
    do throws(RPCStatus) {
      try streams.enter(peer.userID)
    } catch {
      throw tally.refused(.streams, error)
    }
  }

  func answer(
    for peer: WorkloadPeer, _ method: String, signing: Bool
  ) async throws(RPCStatus) -> WorkloadIssuer.Answer {
    do throws(RPCStatus) {
      return try await issuer.answer(for: peer, signing: signing)
    } catch {
      if error.code == .permissionDenied {
        plane.noteDenial(
          by: WorkloadAudit.origin(of: peer), action: method, named: "", target: nil,
          reason: "NO_IDENTITY")
      }
      throw error
    }
  }
}

extension WorkloadIssuer.Answer {
  func term(of peer: WorkloadPeer) -> WorkloadStreams.Term {
    WorkloadStreams.Term(
      userID: peer.userID, entries: Set(entries.map(\.id)), tenants: tenants, end: nextTime)
  }
}

extension SPIFFE.X509SVIDResponse {
  fileprivate init(_ answer: WorkloadIssuer.Answer) {
    self.init(
      svids: answer.identities.map { identity in
        SPIFFE.X509SVID(
          spiffeId: identity.spiffeID, x509Svid: identity.credential.chain,
          x509SvidKey: identity.credential.privateKey, bundle: answer.authority.bundle,
          hint: identity.entry.hint)
      })
  }
}

extension SPIFFE.X509BundlesResponse {
  fileprivate init(_ answer: WorkloadIssuer.Answer) {
    self.init(bundles: ["spiffe://\(answer.authority.trustDomain)": answer.authority.bundle])
  }
}
