internal import Synchronization
internal import Tenancy
internal import TenancyCrypto
internal import TenancyRPC

/// Finds out which identities a process has, and makes its certificates. Thread-safe.
final class WorkloadIssuer: Sendable {
  /// What a process is told.
  struct Answer: Sendable {
    let identities: [WorkloadIdentity]
    /// By which the process has them.
    let entries: [WorkloadEntry]
    /// What all of it is verified by.
    let authority: WorkloadAuthorities
    /// When it is to be asked again, whatever happens.
    let nextTime: Timestamp
    /// Of the entries that match, each tenant and whether its workloads are served: where that changes, so does this.
    let tenants: [TenantID: Bool]
  }

  /// Which entries a process is by, and the tenants that would be.
  private struct Matches: Sendable {
    var entries: [WorkloadEntry] = []
    var tenants: [TenantID: Bool] = [:]
    var omitted = 0
  }

  private enum Finding: Sendable {
    case gone
    case failed(String)
    case exhausted
    case identities([WorkloadIdentity], Matches)
  }

  /// Between two reports that say the same.
  private static let quiet = Duration.seconds(60)
  /// Between two certificates by the same entry, at least: an authority that is about to end gives short ones.
  private static let shortestInterval = Duration.seconds(5)

  private let plane: ControlPlane
  private let terms: WorkloadTerms
  private let current: Mutex<WorkloadAuthorities>
  private let work: BlockingWork
  private let signatures: UserPace
  private let report: @Sendable (String) -> Void
  private let reported = Mutex<(what: String, time: Timestamp)?>(nil)

  /// - Parameter report: is told what operators should know, in words.
  init(
    plane: ControlPlane, terms: WorkloadTerms, authority: WorkloadAuthorities,
    report: @escaping @Sendable (String) -> Void
  ) {
    self.plane = plane
    self.terms = terms
    current = Mutex(authority)
    work = BlockingWork(timeout: terms.attestationTimeout)
    signatures = UserPace(terms.signatures)
    self.report = report
  }

  var authority: WorkloadAuthorities { current.withLock { $0 } }

  /// - Returns: whether anything is different.
  func replace(_ authority: WorkloadAuthorities) -> Bool {
    current.withLock { current in
      guard !current.isSame(as: authority) else { return false }
      current = authority.keepingSigner(of: current)
      return true
    }
  }

  /// What a process is told now. Certificates that it has by its connection are given again until half of their life
  /// is over.
  /// - Parameter signing: whether certificates are made.
  /// - Throws: PERMISSION_DENIED if it has no identity, or has ended; UNAVAILABLE and RESOURCE_EXHAUSTED.
  func answer(for peer: WorkloadPeer, signing: Bool) async throws(RPCStatus) -> Answer {
    guard !plane.isStale(at: plane.now) else {
      throw RPCStatus(.unavailable, "the node has not seen its database for too long")
    }
    let authority = authority
    guard
      let finding = await work.run(
        for: peer.userID, { [self] in find(peer, authority, signing) })
    else {
      throw RPCStatus(
        .unavailable, "finding out what the process is takes too long", retryAfter: .seconds(1))
    }
    let now = plane.now
    switch finding {
    case .gone:
      throw RPCStatus(.permissionDenied, "the process that has opened the connection is not known")
    case .failed(let why):
      tell("a certificate can't be made: \(why)")
      throw RPCStatus(.unavailable, "certificates can't be made now", retryAfter: .seconds(5))
    case .exhausted:
      throw RPCStatus(
        .resourceExhausted, "the user was given too many certificates", retryAfter: .seconds(1))
    case .identities(let identities, let matches):
      guard !matches.entries.isEmpty else { throw Self.noIdentity }
      if matches.omitted > 0 {
        tell("\(peer.label()) has \(matches.omitted) identities more than are given")
      }
      let look = now + terms.attestationInterval
      return Answer(
        identities: identities, entries: matches.entries, authority: authority,
        nextTime: max(
          identities.map { $0.authority === authority.signing ? $0.rotateTime : now }.reduce(
            look, min),
          now + Self.shortestInterval),
        tenants: matches.tenants)
    }
  }

  /// Once in a while, if it is always the same.
  private func tell(_ what: String) {
    let now = plane.now
    let isNews = reported.withLock { last in
      if let last, last.what == what, last.time <= now, now < last.time + Self.quiet {
        return false
      }
      last = (what, now)
      return true
    }
    if isNews { report(what) }
  }

  static let noIdentity = RPCStatus(.permissionDenied, "no identity issued")

  // MARK: On the thread that may block

  private func find(
    _ peer: WorkloadPeer, _ authorities: WorkloadAuthorities, _ signing: Bool
  ) -> Finding {
    let before = plane.state.workloads
    let process = peer.source?.attest(userID: peer.userID, groupID: peer.groupID) { path in
      before.candidates(userID: peer.userID, binaryPath: path).contains { entry in
        entry.selectors.binaryPath?.utf8.elementsEqual(path.utf8) ?? false
      }
    }
    guard let process else { return .gone }
    // Not before: what has changed until here counts.
    let matches = match(process, plane.state)
    guard signing, !matches.entries.isEmpty else { return .identities([], matches) }
    guard let authority = authorities.signing else {
      return .failed("no certificate authority is active")
    }
    var identities: [WorkloadIdentity] = []
    for entry in matches.entries {
      let (now, had) = (plane.now, peer.identity(of: entry.id))
      let same = had.flatMap { $0.authority === authority ? $0 : nil }
      if let same, same.isFresh(at: now) {
        identities.append(same)
        continue
      }
      guard signatures.take(for: peer.userID, at: now) else {
        // What the process has is good for as long again, by the former authority maybe: its stream need not end.
        guard let had, had.isGood(at: now) else { return .exhausted }
        identities.append(had)
        continue
      }
      do throws(PKIError) {
        let made = try issue(entry, authority, to: peer)
        // At once: if the others can't be made now, this one need not be made again.
        peer.add(made)
        identities.append(made)
      } catch {
        return .failed("\(error)")
      }
    }
    peer.keep(identities)
    return .identities(identities, matches)
  }

  private func match(_ process: AttestedProcess, _ state: ControlState) -> Matches {
    var matches = Matches()
    let candidates = state.workloads.candidates(
      userID: process.userID, binaryPath: process.program?.path)
    for entry in candidates
    where process.matches(entry.selectors, node: terms.node, file: ProcDirectory.file) {
      if let id = entry.tenant {
        let isServed = state.servesWorkloads(of: id)
        matches.tenants[id] = isServed
        guard isServed else { continue }
      }
      if matches.entries.count < terms.identities {
        matches.entries.append(entry)
      } else {
        matches.omitted += 1
      }
    }
    return matches
  }

  private func issue(
    _ entry: WorkloadEntry, _ authority: WorkloadAuthority, to peer: WorkloadPeer
  ) throws(PKIError) -> WorkloadIdentity {
    let now = plane.now
    let seconds = min(entry.lifetime, Int64(terms.maximumLife))
    let credential = try authority.issue(
      path: entry.identityPath.split(separator: "/").map(String.init), seconds: seconds)
    // It may end before, with the authority.
    let life = min(seconds, max(0, credential.notAfter - now.seconds))
    let identity = WorkloadIdentity(
      entry: entry, credential: credential, authority: authority,
      rotateTime: now + max(.seconds(life) / 2, Self.shortestInterval))
    plane.noteAllowed(
      by: WorkloadAudit.origin(of: peer), action: "workloads.issue", target: entry.tenant,
      remark: "as \(identity.spiffeID)")
    return identity
  }
}

extension ControlState {
  /// Whether a tenant's workloads are given certificates.
  func servesWorkloads(of id: TenantID) -> Bool {
    guard let tenant = find(id)?.tenant else { return false }
    return tenant.state == .active
  }
}

/// What the audit trail is told.
enum WorkloadAudit {
  static func origin(of peer: WorkloadPeer) -> AuditOrigin {
    AuditOrigin(
      subject: "uid:\(peer.userID)", credential: .unixUser, source: peer.label())
  }
}
