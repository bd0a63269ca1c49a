package import Tenancy
package import TenancyCrypto
public import TenancyRPC

/// The SPIFFE Workload API, as methods for the RPC runtime. Thread-safe.
public final class WorkloadService: Sendable {
  /// What calls must carry (SPIFFE Workload Endpoint §5): a browser or a proxy that was tricked does not.
  static let metadataName = "workload.spiffe.io"

  private let plane: ControlPlane
  private let issuer: WorkloadIssuer
  let streams: WorkloadStreams
  private let calls: UserPace

  /// - Parameter report: is told what operators should know, in words.
  package init(
    plane: ControlPlane, terms: WorkloadTerms, authority: WorkloadAuthority,
    report: @escaping @Sendable (String) -> Void
  ) {
    self.plane = plane
    issuer = WorkloadIssuer(plane: plane, terms: terms, authority: authority, report: report)
    streams = WorkloadStreams(plane, terms)
    calls = UserPace(terms.calls)
  }

  /// Every method that is served.
  public var methods: [ServiceMethod<WorkloadDelegate>] {
    [
      .serverStreaming(SPIFFE.SpiffeWorkloadAPI.fetchX509SVID) { [self] call, _, responses in
        try await serve(call, signing: true) { answer, last in
          let answer = SPIFFE.X509SVIDResponse(answer)
          if answer != last { try await responses.send(answer) }
          return answer
        }
      },
      .serverStreaming(SPIFFE.SpiffeWorkloadAPI.fetchX509Bundles) { [self] call, _, responses in
        try await serve(call, signing: false) { answer, last in
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

  /// Makes certificates by another authority from now on; streams are told.
  /// - Returns: whether it is another.
  @discardableResult
  package func replace(_ authority: WorkloadAuthority) -> Bool {
    guard !issuer.authority.isSame(as: authority) else { return false }
    issuer.replace(authority)
    streams.wakeAll()
    return true
  }

  // MARK: Streams

  /// Tells at once, and again whenever something else is to be told.
  /// - Parameter tell: is given what was told last, and returns what is told now.
  private func serve<Message: Sendable>(
    _ call: AsyncCall<WorkloadDelegate>, signing: Bool,
    _ tell: @escaping @Sendable (WorkloadIssuer.Answer, Message?) async throws -> Message
  ) async throws {
    guard call.metadata[Self.metadataName] == ["true"] else {
      throw RPCStatus(.invalidArgument, "the metadata \(Self.metadataName): true is required")
    }
    let peer = call.context
    guard calls.take(for: peer.userID, at: plane.now) else {
      throw RPCStatus(.resourceExhausted, "too many calls of the user", retryAfter: .seconds(1))
    }
    try streams.enter(peer.userID)
    defer { streams.leave(peer.userID) }
    let ended: Void? = try await call.drain.cancelling { [self] in
      var last: Message?
      while !Task.isCancelled {
        let changes = streams.changes
        let answer = try await answer(for: peer, signing: signing)
        last = try await tell(answer, last)
        await streams.wait(for: answer.term(of: peer), after: changes)
      }
      throw CancellationError()
    }
    if ended == nil {
      throw RPCStatus(.unavailable, "the server is stopping", retryAfter: .seconds(1))
    }
  }

  private func answer(
    for peer: WorkloadPeer, signing: Bool
  ) async throws(RPCStatus) -> WorkloadIssuer.Answer {
    do throws(RPCStatus) {
      return try await issuer.answer(for: peer, signing: signing)
    } catch {
      if error.code == .permissionDenied {
        let method =
          signing
          ? SPIFFE.SpiffeWorkloadAPI.fetchX509SVID.path
          : SPIFFE.SpiffeWorkloadAPI.fetchX509Bundles.path
        plane.noteDenial(
          by: WorkloadAudit.origin(of: peer), action: method, named: "", target: nil,
          reason: "NO_IDENTITY")
      }
      throw error
    }
  }
}

extension WorkloadIssuer.Answer {
  fileprivate func term(of peer: WorkloadPeer) -> WorkloadStreams.Term {
    WorkloadStreams.Term(
      userID: peer.userID, entries: Set(entries), tenants: tenants, end: nextTime)
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
