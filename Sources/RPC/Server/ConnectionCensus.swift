import Synchronization

/// Who a connection counts for.
enum PeerKey: Hashable, Sendable {
  /// The first URI name of a certificate, or its fingerprint when it has none.
  case workload(String)
  case user(UInt32)
  /// Without a certificate: the address that it comes from.
  case address(String)

  init(_ peer: Peer, address: @autoclosure () -> String) {
    switch peer {
    case .certificate(let certificate):
      self = .workload(certificate.uriNames.first ?? certificate.fingerprintText)
    case .unixProcess(let process): self = .user(process.userID)
    case .anonymous: self = .address(address())
    }
  }
}

/// Counts a server's connections, all and by peer. Thread-safe.
final class ConnectionCensus: Sendable {
  private struct Counts {
    var all = 0
    var byPeer: [PeerKey: Int] = [:]
    /// Listeners that wait until there is a descriptor for the next connection.
    var waiting: [@Sendable () -> Void] = []
  }

  private let counts = Mutex(Counts())
  private let maximum: Int
  private let maximumPerPeer: Int
  private let descriptors: Int

  /// - Parameter descriptors: how many connections the process has descriptors for.
  init(maximum: Int, maximumPerPeer: Int, descriptors: Int) {
    self.maximum = maximum
    self.maximumPerPeer = maximumPerPeer
    self.descriptors = descriptors
  }

  /// Whether there is a descriptor for one more connection. If not, `resume` is called once when there
  /// may be, from any thread.
  func mayAccept(_ resume: @escaping @Sendable () -> Void) -> Bool {
    counts.withLock { counts in
      if counts.all < descriptors { return true }
      counts.waiting.append(resume)
      return false
    }
  }

  /// Counts a connection that has come. False if there is no room.
  func enter() -> Bool {
    counts.withLock { counts in
      guard counts.all < maximum else { return false }
      counts.all += 1
      return true
    }
  }

  /// One that was counted has gone.
  func leave() {
    let waiting = counts.withLock { counts -> [@Sendable () -> Void] in
      counts.all -= 1
      guard counts.all < descriptors, !counts.waiting.isEmpty else { return [] }
      defer { counts.waiting = [] }
      return counts.waiting
    }
    for resume in waiting { resume() }
  }

  /// Counts a connection for its peer. False if the peer has as many as it may.
  func enter(_ peer: PeerKey) -> Bool {
    counts.withLock { counts in
      let count = counts.byPeer[peer, default: 0]
      guard count < maximumPerPeer else { return false }
      counts.byPeer[peer] = count + 1
      return true
    }
  }

  func leave(_ peer: PeerKey) {
    counts.withLock { counts in
      guard let count = counts.byPeer[peer] else { return }
      counts.byPeer[peer] = count > 1 ? count - 1 : nil
    }
  }
}
