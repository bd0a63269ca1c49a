internal import NIOCore

/// Who waits at the `ReplyGate`: peers have their turns one after the other, of each its connections, and
/// of each of these whoever came first. So nobody waits behind all that another has sent.
struct ReplyTurns {
  /// Things that have their turns one after the other.
  private struct Round<Key: Hashable, Line> {
    private var lines: [Key: Line] = [:]
    private var order = CircularBuffer<Key>()

    /// - Parameter change: adds somebody to a line.
    mutating func add(to key: Key, _ new: @autoclosure () -> Line, _ change: (inout Line) -> Void) {
      if lines[key] == nil { order.append(key) }
      change(&lines[key, default: new()])
    }

    /// - Parameter take: the first of a line, and whether others are left in it.
    mutating func next<Waiter>(_ take: (inout Line) -> (Waiter, hasMore: Bool)) -> Waiter? {
      guard let key = order.popFirst(), var line = lines.removeValue(forKey: key) else {
        return nil
      }
      let (waiter, hasMore) = take(&line)
      if hasMore {
        lines[key] = line
        order.append(key)
      }
      return waiter
    }

    var isEmpty: Bool { order.isEmpty }
  }

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
