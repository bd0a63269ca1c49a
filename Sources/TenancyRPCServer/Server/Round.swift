internal import NIOCore

/// Lines of waiters that have their turns one after the other.
struct Round<Key: Hashable, Line> {
  private var lines: [Key: Line] = [:]
  private var order = CircularBuffer<Key>()

  var isEmpty: Bool { order.isEmpty }

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
}
