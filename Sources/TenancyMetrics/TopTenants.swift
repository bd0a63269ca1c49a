import TenancyRPC

/// The busiest of many, in bounded memory: the space-saving sketch (Metwally et al., 2005), whose estimate
/// decides who is kept; beside it what was counted since. Confined to its event loop.
struct TopTenants: Sendable {
  struct Entry: Sendable {
    var tag: CallTag
    /// At least as many as there were.
    var estimate: UInt64
    /// Since it is kept.
    var calls: UInt64 = 0
    var errors: UInt64 = 0
  }

  let capacity: Int
  private(set) var entries: [Entry] = []
  private var places: [CallTag: Int] = [:]
  /// Where the last call was found: the next is often about the same.
  private var last = 0
  /// Of all tenants.
  private(set) var calls: UInt64 = 0
  private(set) var errors: UInt64 = 0

  init(capacity: Int) { self.capacity = max(1, capacity) }

  mutating func add(_ tag: CallTag, isError: Bool) {
    guard !tag.isZero else { return }
    calls &+= 1
    if isError { errors &+= 1 }
    let place = find(tag)
    entries[place].estimate &+= 1  // In range: see `find`.
    entries[place].calls &+= 1
    if isError { entries[place].errors &+= 1 }
  }

  private mutating func find(_ tag: CallTag) -> Int {
    if last < entries.count, entries[last].tag == tag { return last }
    if let place = places[tag] {
      last = place
      return place
    }
    if entries.count < capacity {
      last = entries.count
      entries.append(Entry(tag: tag, estimate: 0))
    } else {
      // The least takes the newcomer's name and keeps its estimate.
      last = entries.indices.min { entries[$0].estimate < entries[$1].estimate } ?? 0
      places[entries[last].tag] = nil
      entries[last] = Entry(tag: tag, estimate: entries[last].estimate)
    }
    places[tag] = last
    return last
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
        estimates[entry.tag, default: 0] &+= entry.estimate
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
