/// Remembers the last so many numbers of streams.
struct RecentStreams {
  static let capacity = 1024

  private var members: Set<UInt32> = []
  /// In order of arrival; those from `next` on are the oldest once it is full.
  private var order: [UInt32] = []
  private var next = 0

  func contains(_ id: UInt32) -> Bool { members.contains(id) }

  mutating func insert(_ id: UInt32) {
    guard members.insert(id).inserted else { return }
    guard order.count == Self.capacity else { return order.append(id) }
    members.remove(order[next])
    order[next] = id
    next = (next + 1) % Self.capacity
  }

  mutating func remove(_ id: UInt32) { members.remove(id) }
}
