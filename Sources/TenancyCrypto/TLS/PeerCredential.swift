import Synchronization

/// The identity of a TLS connection's peer, for as long as the connection is open. Thread-safe.
package final class PeerCredential: Sendable {
  /// Clocks may be set: an end that is far away is looked at again by then.
  static let longestWait = Duration.seconds(60)

  /// Seconds that a connection stays open after its peer's certificates have ended: time for an embedder
  /// who judges each call to tell the peer why.
  static let courtesy: Int64 = 2

  private struct Judgement {
    var peer: VerifiedPeer
    /// Of the snapshot whose CAs and CRLs the peer was judged by.
    var generation: UInt64
    /// Why a newer snapshot refuses the peer, and which.
    var refusal: (reason: String, generation: UInt64)?
  }

  package let certificate: PeerCertificate
  private let context: TLSContext
  private let latest: Mutex<Judgement>

  init(_ peer: VerifiedPeer, context: TLSContext, judgedBy snapshot: TLSSnapshot) {
    certificate = peer.certificate
    self.context = context
    latest = Mutex(Judgement(peer: peer, generation: snapshot.generation))
  }

  /// Judges the peer by the newest CAs, CRLs and rules: why it is refused, or nil. May verify a chain.
  package func refusal() -> String? {
    let snapshot = context.snapshot
    switch snapshot.trust.judge(latest.withLock { $0.peer.evidence }) {
    case .success(let peer):
      latest.withLock { latest in
        guard latest.generation < snapshot.generation else { return }
        latest = Judgement(peer: peer, generation: snapshot.generation)
      }
      return nil
    case .failure(let refusal):
      latest.withLock { $0.refusal = (refusal.reason, snapshot.generation) }
      return refusal.reason
    }
  }

  /// Whether the certificates have ended, the newest CAs and CRLs refuse them, or the registration entry that they were
  /// issued by is gone. Who is refused once is so until others are loaded: asking again costs nothing.
  package func refusalNow() -> String? {
    let latest = latest.withLock { $0 }
    let now = context.configuration.clock()
    if now > latest.peer.validUntil + Self.courtesy { return "certificate has expired" }
    if let reason = context.configuration.lapse(of: certificate) { return reason }
    let generation = context.snapshot.generation
    if let refusal = latest.refusal, refusal.generation == generation { return refusal.reason }
    // Where a CRL has ended nobody knows who was revoked since.
    if let end = latest.peer.revocationsUntil, now > end { return refusal() }
    return latest.generation == generation ? nil : refusal()
  }

  /// Whether the certificates have ended, which connections survive by a moment.
  package var hasEnded: Bool {
    context.configuration.clock() > latest.withLock { $0.peer.validUntil }
  }

  /// When `hasEnded` and `refusalNow` should be asked again, at the latest.
  package var timeToNextCheck: Duration {
    let peer = latest.withLock { $0.peer }
    let now = context.configuration.clock()
    // A CRL that has ended was of another CA, if the peer is still here.
    let ends = [peer.validUntil, peer.validUntil + Self.courtesy, peer.revocationsUntil]
      .compactMap(\.self)
    let left = ends.filter { $0 >= now }.min().map { $0 - now } ?? 0
    // The last second of a certificate, or of a CRL, is part of its life.
    return min(Self.longestWait, .seconds(left + 1))
  }
}
