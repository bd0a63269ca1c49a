internal import NIOCore

/// Who waits at the `ReplyGate`: peers have their turns one after the other, of each its connections, and
/// of each of these whoever came first. So nobody waits behind all that another has sent.
struct ReplyTurns {
  private typealias Line = CircularBuffer<UInt64>
  private typealias Connections = Round<ObjectIdentifier, Line>

  private var peers = Round<PeerKey, Connections>()

  mutating func append(_ waiter: UInt64, of peer: PeerKey, _ connection: ObjectIdentifier) {
    peers.add(to: peer, Connections()) { connections in
      connections.add(to: connection, Line()) { $0.append(waiter) }
    }
  }

  mutating func next() -> UInt64? {
    let found = peers.next { connections -> (UInt64?, hasMore: Bool) in
      let waiter = connections.next { line -> (UInt64?, hasMore: Bool) in
        (line.popFirst(), !line.isEmpty)
      }
      return (waiter ?? nil, !connections.isEmpty)
    }
    return found ?? nil
  }
}
