internal import Synchronization
internal import Tenancy
internal import TenancyCrypto
internal import TenancyRPC

/// The process at the other end of a connection, and the certificates that it was given by that. Thread-safe.
public final class WorkloadPeer: Sendable {
  let userID, groupID: UInt32
  /// Nil if the process can't be told from others: it is given nothing.
  let source: (any ProcessSource)?
  /// The connection, for logs and the audit trail.
  let label: @Sendable () -> String
  /// By entry.
  private let issued = Mutex<[String: WorkloadIdentity]>([:])

  init(
    userID: UInt32, groupID: UInt32, source: (any ProcessSource)?,
    label: @escaping @Sendable () -> String = { "" }
  ) {
    self.userID = userID
    self.groupID = groupID
    self.source = source
    self.label = label
  }

  /// - Returns: nil where the peer is no process of this machine.
  convenience init?(_ connection: Connection, _ terms: WorkloadTerms) {
    guard case .unixProcess(let found) = connection.peer else { return nil }
    self.init(
      userID: found.userID, groupID: found.groupID,
      source: connection.process.flatMap { ProcDirectory(of: $0, provenAge: terms.provenAge) },
      label: { connection.label })
  }

  func identity(of entry: String) -> WorkloadIdentity? { issued.withLock { $0[entry] } }

  /// Adds one, which takes the place of the former of its entry.
  func add(_ identity: WorkloadIdentity) {
    issued.withLock { $0[identity.entry.id] = identity }
  }

  /// These and no others are kept.
  func keep(_ identities: [WorkloadIdentity]) {
    let kept = Dictionary(
      identities.map { ($0.entry.id, $0) }, uniquingKeysWith: { first, _ in first })
    issued.withLock { $0 = kept }
  }
}

/// A certificate that a process has by an entry.
struct WorkloadIdentity: Sendable {
  let entry: WorkloadEntry
  let credential: WorkloadCredential
  let authority: WorkloadAuthority
  /// When another takes its place: half of its life.
  let rotateTime: Timestamp

  /// Whether it is not to be made anew yet. One that was made while the clock was ahead is no good.
  func isFresh(at now: Timestamp) -> Bool {
    rotateTime > now && credential.notBefore <= now.seconds
  }

  /// Whether whoever has it can use it for a while.
  func isGood(at now: Timestamp) -> Bool {
    credential.notBefore <= now.seconds && now.seconds + Self.spare < credential.notAfter
  }

  /// Seconds.
  private static let spare: Int64 = 10

  var spiffeID: String { "spiffe://\(authority.trustDomain)/\(entry.identityPath)" }
}
