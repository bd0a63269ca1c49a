internal import CTenancyOpenSSL
import Synchronization

/// Sessions that may be resumed (RFC 8446 §2.2), each with the peer that it was made with. It lives and dies
/// with the CAs and CRLs that the peers were verified by. Thread-safe.
///
/// A server's have the names that are its tickets: what is kept can be taken back, and OpenSSL decodes no
/// certificate anew. A client's have the names of their servers: the newest of each, which is good once, so that
/// nobody can tell its connections by it (RFC 8446 appendix C.4).
final class SessionCache: Sendable {
  private final class Entry: @unchecked Sendable {  // OpenSSL counts references and locks sessions.
    /// An `SSL_SESSION`; one reference is ours.
    let session: OpaquePointer
    let peer: VerifiedPeer?
    /// Seconds since 1970.
    let end: Int64
    /// A client's. Read and set with the cache's lock.
    var isUsed = false

    init(_ session: OpaquePointer, _ peer: VerifiedPeer?, end: Int64) {
      self.session = session
      self.peer = peer
      self.end = end
    }

    deinit { SSL_SESSION_free(session) }
  }

  private let entries: Mutex<BoundedCache<[UInt8], Entry>>
  private let configuration: TLSContext.Configuration

  init(_ configuration: TLSContext.Configuration) {
    self.configuration = configuration
    entries = Mutex(BoundedCache(capacity: configuration.limits.maximumSessions))
  }

  /// Seconds that a session with `peer` may be resumed for.
  func lifetime(with peer: VerifiedPeer?) -> Int64 {
    let most = max(0, configuration.limits.sessionLifetime.components.seconds)
    guard let peer else { return most }
    return max(0, min(most, peer.freshUntil - configuration.clock()))
  }

  /// Takes over a reference to a server's `session`.
  func add(_ session: OpaquePointer, with peer: VerifiedPeer?) {
    add(session, with: peer, named: Self.name(session))
  }

  /// Takes over a reference to a client's `session` with the server of that name.
  func add(_ session: OpaquePointer, with peer: VerifiedPeer?, server: String) {
    add(session, with: peer, named: Array(server.utf8))
  }

  private func add(_ session: OpaquePointer, with peer: VerifiedPeer?, named name: [UInt8]) {
    let entry = Entry(session, peer, end: configuration.clock() + lifetime(with: peer))
    // What is dropped is freed when the lock is open again.
    _ = entries.withLock { $0.insert(entry, for: name) }
  }

  /// A client's session with the server of that name, with a reference for the caller, unless it was taken before or
  /// is too old, or its peer is not acceptable any more.
  func take(
    server: String, by trust: PeerTrust
  ) -> (session: OpaquePointer, peer: VerifiedPeer?)? {
    let key = Array(server.utf8)
    let entry = entries.withLock { entries -> Entry? in
      guard let entry = entries[key], !entry.isUsed else { return nil }
      entry.isUsed = true
      return entry
    }
    return entry.flatMap { lend($0, by: trust) }
  }

  /// The session of that name, with a reference for the caller, unless it is too old or its peer is
  /// not acceptable any more.
  func find(
    _ name: UnsafeBufferPointer<UInt8>, by trust: PeerTrust
  ) -> (session: OpaquePointer, peer: VerifiedPeer?)? {
    let key = Array(name)
    return entries.withLock { $0[key] }.flatMap { lend($0, by: trust) }
  }

  private func lend(
    _ entry: Entry, by trust: PeerTrust
  ) -> (session: OpaquePointer, peer: VerifiedPeer?)? {
    guard configuration.clock() < entry.end else { return nil }
    if let peer = entry.peer, trust.refusalToResume(peer) != nil { return nil }
    SSL_SESSION_up_ref(entry.session)
    return (entry.session, entry.peer)
  }

  /// Forgets all sessions, for good.
  func retire() {
    // What is dropped is freed when the lock is open again.
    _ = entries.withLock { entries in
      defer { entries = BoundedCache(capacity: 0) }
      return entries
    }
  }

  var count: Int { entries.withLock { $0.count } }

  private static func name(_ session: OpaquePointer) -> [UInt8] {
    var length: UInt32 = 0
    let bytes = SSL_SESSION_get_id(session, &length)
    return Array(UnsafeBufferPointer(start: bytes, count: Int(length)))
  }
}
