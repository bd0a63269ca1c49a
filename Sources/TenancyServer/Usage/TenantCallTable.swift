import TenancyRPC

/// Calls of one event loop, by tenant: of so many tenants at most. One that comes when it is full has the place of one
/// that has not called for long, whose calls are forgotten. Confined to its loop; what is read of it shares its memory
/// with it until that changes, some tenants at a time.
struct TenantCallTable: Sendable {
  struct Entry: Sendable {
    var tag = CallTag()
    /// When the first call was counted that is.
    var since: UInt64 = 0
    var counts = CallCounts()
  }

  /// Tenants that are copied together, when one of them has a call after the table was read.
  private static let chunkSize = 128
  /// Of how many the one is forgotten that has not called for longest.
  private static let candidates = 8

  /// Tenants that may be counted.
  static let maximumLimit = 100_000

  let limit: Int
  private(set) var count = 0
  /// Of all tenants, those that are forgotten included.
  private(set) var calls: UInt64 = 0
  /// Tenants of whom calls were forgotten, as often as they were.
  private(set) var forgotten: UInt64 = 0
  /// When the last of them was; nil: none was.
  private(set) var lastForgotten: UInt64?
  private var chunks: [[Entry]] = []
  /// The places of tenants, by their tags: those that are not where they should be are behind it. -1: none.
  private var slots: [Int32]
  /// Where the last call was counted: the next is often of the same.
  private var last = 0
  /// Whose turn it is to be looked at.
  private var hand = 0

  /// - Parameter limit: at most `maximumLimit`. Room for as many slots is taken at once: to make it while calls are
  ///   served would hold them up.
  init(limit: Int) {
    self.limit = min(limit, Self.maximumLimit)
    var slots = 64
    while slots < self.limit * 2 { slots *= 2 }
    self.slots = Array(repeating: -1, count: slots)
  }

  @inline(__always)
  mutating func add(_ tag: CallTag, _ outcome: CallOutcome, at time: UInt64) {
    guard !tag.isZero, limit > 0 else { return }
    calls &+= 1
    let place = place(of: tag, at: time)
    // In range: a place is one of an entry's.
    chunks[place / Self.chunkSize][place % Self.chunkSize].counts.add(outcome, at: time)
  }

  @inline(__always)
  private mutating func place(of tag: CallTag, at time: UInt64) -> Int {
    if last < count, entry(last).tag == tag { return last }
    if let known = find(tag) {
      last = known
    } else {
      last = insert(tag, at: time)
    }
    return last
  }

  @inline(__always)
  private func entry(_ place: Int) -> Entry {
    // In range: as above.
    chunks[place / Self.chunkSize][place % Self.chunkSize]
  }

  // MARK: Reading

  /// What is known of a tenant; nil: nothing.
  subscript(tag: CallTag) -> Entry? { find(tag).map(entry) }

  /// Of all, in no order.
  func forEach(_ body: (Entry) -> Void) {
    for chunk in chunks { for entry in chunk { body(entry) } }
  }

  // MARK: Places

  private func find(_ tag: CallTag) -> Int? {
    var slot = home(of: tag)
    // In range: slots are masked, and there are always free ones.
    while slots[slot] >= 0 {
      let place = Int(slots[slot])
      if entry(place).tag == tag { return place }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  private func home(of tag: CallTag) -> Int {
    // Ids have random bits, but not everywhere (RFC 9562).
    let product = (tag.high ^ tag.low).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
    return Int(truncatingIfNeeded: product.high ^ product.low) & (slots.count - 1)
  }

  private mutating func insert(_ tag: CallTag, at time: UInt64) -> Int {
    guard count < limit else { return replace(by: tag, at: time) }
    let place = count
    count += 1
    if place % Self.chunkSize == 0 {
      var chunk: [Entry] = []
      chunk.reserveCapacity(min(Self.chunkSize, limit - place))
      chunks.append(chunk)
    }
    chunks[chunks.count - 1].append(Entry(tag: tag, since: time))
    occupy(tag, place)
    return place
  }

  private mutating func occupy(_ tag: CallTag, _ place: Int) {
    var slot = home(of: tag)
    while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = Int32(place)  // In range: below the limit.
  }

  /// Forgets one of the next few.
  private mutating func replace(by tag: CallTag, at time: UInt64) -> Int {
    var oldest = hand
    for _ in 0..<Self.candidates {
      if entry(hand).counts.latest < entry(oldest).counts.latest { oldest = hand }
      hand = (hand + 1) % count
    }
    vacate(entry(oldest).tag)
    forgotten &+= 1
    lastForgotten = time
    chunks[oldest / Self.chunkSize][oldest % Self.chunkSize] = Entry(tag: tag, since: time)
    occupy(tag, oldest)
    return oldest
  }

  /// Those that are behind it because it was there move up.
  private mutating func vacate(_ tag: CallTag) {
    var hole = home(of: tag)
    while slots[hole] >= 0, entry(Int(slots[hole])).tag != tag {
      hole = (hole + 1) & (slots.count - 1)
    }
    slots[hole] = -1
    var next = (hole + 1) & (slots.count - 1)
    while slots[next] >= 0 {
      let home = home(of: entry(Int(slots[next])).tag)
      // Whether its home is not between the hole, which is left out, and where it is.
      if (next - home) & (slots.count - 1) >= (next - hole) & (slots.count - 1) {
        slots[hole] = slots[next]
        slots[next] = -1
        hole = next
      }
      next = (next + 1) & (slots.count - 1)
    }
  }
}
