import TenancyRPC

/// The busiest of many, in bounded memory and constant time. A tenant has one of the places of the set that its id
/// chooses. One that finds them all taken takes a vote from each, and has the place of who has none left (Misra and
/// Gries, 1982, set by set): whoever has more than a part in five of the calls of a set is there. Confined to its
/// event loop.
struct TopTenants: Sendable {
  struct Entry: Sendable {
    var tag = CallTag()
    /// Not more calls than there were.
    var votes: UInt64 = 0
    /// Since it is kept.
    var calls: UInt64 = 0
    var errors: UInt64 = 0
  }

  /// Places of a set.
  static let ways = 4
  private static let leastSets = 64

  private let mask: UInt64
  private var places: [Entry]
  /// Where the last call was found: the next is often about the same.
  private var last = 0
  /// Of all tenants.
  private(set) var calls: UInt64 = 0
  private(set) var errors: UInt64 = 0

  /// - Parameter kept: how many are to be told apart at least.
  init(kept: Int) {
    var sets = Self.leastSets
    while sets * Self.ways < kept { sets *= 2 }
    mask = UInt64(sets - 1)
    places = Array(repeating: Entry(), count: sets * Self.ways)
  }

  var entries: [Entry] { places.filter { !$0.tag.isZero } }

  @inline(__always)
  mutating func add(_ tag: CallTag, isError: Bool) {
    guard !tag.isZero else { return }
    let error: UInt64 = isError ? 1 : 0
    calls &+= 1
    errors &+= error
    let first = Int(truncatingIfNeeded: Self.mixed(tag) & mask) * Self.ways
    // In range from here on: `first` begins a set, and `last` is in one.
    unsafe places.withUnsafeMutableBufferPointer { places in
      if unsafe places[last].tag != tag {
        guard let place = unsafe Self.find(tag, in: places, from: first) else { return }
        last = place
      }
      unsafe places[last].votes &+= 1
      unsafe places[last].calls &+= 1
      unsafe places[last].errors &+= error
    }
  }

  /// - Returns: the tenant's place; nil: it has none.
  @inline(__always)
  private static func find(
    _ tag: CallTag, in places: UnsafeMutableBufferPointer<Entry>, from first: Int
  ) -> Int? {
    var free: Int?
    for place in first..<first + ways {
      if unsafe places[place].tag == tag { return place }
      if unsafe places[place].votes == 0 { free = place }
    }
    guard let free else {
      for place in first..<first + ways { unsafe places[place].votes &-= 1 }
      return nil
    }
    unsafe places[free] = Entry(tag: tag)
    return free
  }

  /// Ids have random bits, but not everywhere (RFC 9562).
  @inline(__always)
  private static func mixed(_ tag: CallTag) -> UInt64 {
    let product = (tag.high ^ tag.low).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
    return product.high ^ product.low
  }
}

/// Series of tenants that never fall, made of what the loops' sketches say from time to time: a few tenants by
/// name, and all others together.
struct TenantSeries {
  struct Count: Equatable {
    var calls: UInt64 = 0
    var errors: UInt64 = 0
  }

  let limit: Int
  private(set) var shown: [CallTag: Count] = [:]
  private(set) var others = Count()
  private var seen: [CallTag: Count] = [:]
  private var total = Count()

  init(limit: Int) { self.limit = limit }

  /// - Parameter sketches: of all loops, each with what it said before and more.
  mutating func update(_ sketches: [TopTenants]) {
    var now: [CallTag: Count] = [:]
    var estimates: [CallTag: UInt64] = [:]
    var sum = Count()
    for sketch in sketches {
      sum.calls &+= sketch.calls
      sum.errors &+= sketch.errors
      for entry in sketch.entries {
        now[entry.tag, default: Count()].calls &+= entry.calls
        now[entry.tag, default: Count()].errors &+= entry.errors
        estimates[entry.tag, default: 0] &+= entry.votes
      }
    }
    let busiest = estimates.sorted {
      ($0.value, $0.key.high, $0.key.low) > ($1.value, $1.key.high, $1.key.low)
    }
    .prefix(limit)
    var next: [CallTag: Count] = [:]
    var named = Count()
    for (tag, _) in busiest {
      let gain = Self.gain(now[tag] ?? Count(), since: seen[tag] ?? Count())
      named.calls &+= gain.calls
      named.errors &+= gain.errors
      var count = shown[tag] ?? Count()
      count.calls &+= gain.calls
      count.errors &+= gain.errors
      next[tag] = count
    }
    let gain = Self.gain(sum, since: total)
    others.calls &+= gain.calls - min(gain.calls, named.calls)
    others.errors &+= gain.errors - min(gain.errors, named.errors)
    shown = next
    seen = now
    total = sum
  }

  /// One that fell was counted anew.
  private static func gain(_ now: Count, since old: Count) -> Count {
    now.calls < old.calls || now.errors < old.errors
      ? now : Count(calls: now.calls - old.calls, errors: now.errors - old.errors)
  }
}
