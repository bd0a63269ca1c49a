/// What a node may let through of one limit, and has: its share of what all may.
///
/// The share is what was left when the ledger was asked last, divided by the nodes there are, and goes on growing by
/// that part of the rate. So all shares together never grow faster than the limit allows, also when the ledger does not
/// answer. Where nobody else has had any of the tenant's requests lately the share is all, and the bucket exact.
struct LimitMeter {
  private(set) var limit: RequestLimit
  /// In the ledger.
  let key: String
  /// What may be let through at `time`.
  private(set) var level: Double
  /// What all nodes together may, as far as is known.
  private var left: Double
  /// Nanoseconds of the steady clock.
  private var time: Int64
  /// Whether the ledger is told of it.
  private let isTold: Bool
  /// Let through and not told to the ledger; below zero: told too much.
  private(set) var spent = 0.0
  /// When the first of that was let through.
  private var spentSince: Int64 = 0
  /// Told, and not answered.
  private var telling = 0.0
  /// What the share was when the ledger was asked last.
  private var share: Double
  private var settledAt: Int64
  /// Whether the ledger was never asked.
  private var isNew: Bool
  /// Whether no other node tells of it.
  private var isAlone = false
  /// Whether something was not let through since the ledger was asked: there may be more by now.
  private var isWanted = false
  /// The calendar's period that a quota's level is of; 0 of buckets.
  private var calendar: Int64

  /// Asked no sooner than this again, in nanoseconds.
  static let pause: Int64 = 100_000_000
  /// And not later, where anything was let through; sooner by who is alone, for others may come.
  static let patience: Int64 = 2_000_000_000
  private static let patienceAlone: Int64 = 500_000_000
  /// What is kept to be told: beyond it nothing makes a difference.
  private static let mostSpent = 1e12
  /// Of a quota whose others' use is not known, the part that may be let through before the ledger was asked; and so
  /// many at least.
  private static let advance = (part: 1.0 / 16, least: 10.0)

  /// - Parameter used: what the ledger had when the node began; later it will be asked anew.
  init(
    _ limit: RequestLimit, key: String, used: Double = 0, nodes: Int, isShared: Bool,
    at now: LimitTime
  ) {
    self.limit = limit
    self.key = key
    time = now.steady
    settledAt = now.steady - Self.pause
    calendar = limit.period.begin(of: now.wall)
    // A file's buckets are this node's alone.
    isTold = isShared || limit.period.isCalendar
    isNew = isTold
    left = max(0, Double(limit.burst) - used)
    share = Self.share(limit, of: left, nodes)
    level = share
    if limit.period.isCalendar, nodes > 1 {
      level = min(share, max(Self.advance.least, share * Self.advance.part))
    }
  }

  /// What a node may let through of what is left. Less than one can't be shared: whoever needs it first has it.
  ///
  /// Others may still have shares of what was left before. What a bucket lets through too much by that comes back from
  /// what it lets through later; a quota's does not, and so half of it is held back.
  private static func share(_ limit: RequestLimit, of left: Double, _ nodes: Int) -> Double {
    let parts = limit.period.isCalendar && nodes > 1 ? 2 * nodes : nodes
    // Each pays back its part.
    if left < 0 { return left / Double(nodes) }
    return min(left, max(1, left / Double(parts)))
  }

  /// Goes on by another limit of the same requests and period.
  mutating func change(to new: RequestLimit, nodes: Int) {
    if limit.period.isCalendar {
      let more = Double(new.burst - limit.burst)
      left += more
      level += more / Double(sharing(nodes))
    }
    limit = new
    level = min(level, capacity(nodes))
    isNew = isTold
  }

  /// Those that have a share.
  private func sharing(_ nodes: Int) -> Int { isAlone ? 1 : nodes }

  private func capacity(_ nodes: Int) -> Double {
    max(1, Double(limit.burst) / Double(sharing(nodes)))
  }

  /// What the ledger remembers at most: what was let through beyond a bucket is paid back, and not for ever.
  var most: Double {
    limit.period.isCalendar
      ? Double(RequestLimit.maximumRequests) * 1000 : 2 * Double(limit.burst) + 64
  }

  // MARK: Requests

  /// Brings the level to now.
  mutating func advance(to now: LimitTime, nodes: Int) {
    if limit.period.isCalendar {
      let begin = limit.period.begin(of: now.wall)
      guard begin > calendar else { return }
      // A new one: what was not told is of the former.
      calendar = begin
      spent = 0
      left = Double(limit.burst)
      share = Self.share(limit, of: left, sharing(nodes))
      level = share
      isNew = true
      return
    }
    let elapsed = Double(max(0, now.steady - time)) / 1e9
    time = max(time, now.steady)
    let more = elapsed * limit.rate / Double(sharing(nodes))
    level = min(capacity(nodes), level + more)
    left = min(Double(limit.burst), left + more)
  }

  /// More than a share may be let through at once where so much is left.
  mutating func allows(_ hits: Double) -> Bool {
    if level >= hits || (hits > capacity(sharing: hits) && !isNew && left >= hits) { return true }
    isWanted = isTold
    return false
  }

  /// What a share holds at most, where that matters.
  private func capacity(sharing hits: Double) -> Double { isAlone ? hits : max(1, share) }

  mutating func take(_ hits: Double) {
    level -= hits
    left -= hits
    guard isTold else { return }
    // A bucket's time is that of what was let through.
    if spent <= 0 { spentSince = limit.period.isCalendar ? settledAt : time }
    spent = min(spent + hits, Self.mostSpent)
  }

  mutating func giveBack(_ hits: Double) {
    level += hits
    left += hits
    if isTold { spent -= hits }
  }

  // MARK: Telling the ledger

  /// Whether there is anything to tell or to ask.
  func isOpen(nodes: Int) -> Bool {
    isNew || spent > 0 || (isWanted && (limit.period.isCalendar || sharing(nodes) > 1))
  }

  /// Whether the ledger is to be told now.
  func isDue(at now: LimitTime, nodes: Int) -> Bool {
    guard telling == 0, isOpen(nodes: nodes) else { return false }
    let waited = now.steady - settledAt
    if waited >= Self.patience { return true }
    guard waited >= Self.pause else { return false }
    if isNew { return true }
    guard nodes > 1 else { return false }
    if isAlone { return waited >= Self.patienceAlone }
    // Where one comes only now and then, nothing is gained by asking more often than that.
    return spent > 0 ? level <= max(1, share / 2) : Double(waited) / 1e9 * limit.rate >= 0.5
  }

  /// - Returns: what was let through, and since when: milliseconds.
  mutating func beginTelling(at now: LimitTime) -> (spent: Double, age: Int64) {
    let age = spent > 0 ? max(0, now.steady - spentSince) / 1_000_000 : 0
    telling = max(0, spent)
    spent = min(0, spent)
    isWanted = false
    settledAt = now.steady
    return (telling, age)
  }

  mutating func told(_ count: LimitCount, nodes: Int, at now: LimitTime) {
    telling = 0
    // Of a period that has ended here, and not there yet: it is asked again.
    guard !limit.period.isCalendar || count.begin >= calendar else { return }
    defer { isNew = false }
    // It knows better than the ledger then.
    if isAlone, count.isAlone, !isNew, !limit.period.isCalendar { return }
    isAlone = count.isAlone
    left = Double(limit.burst) - count.used - spent
    share = Self.share(limit, of: left, sharing(nodes))
    level = min(capacity(nodes), share)
    time = now.steady
  }

  mutating func couldNotTell() {
    // When it was begun is when it was told last: what is told too old is taken for less.
    if spent <= 0 { spentSince = settledAt }
    spent = min(spent + telling, Self.mostSpent)
    telling = 0
  }

  // MARK: Answers

  /// What is left, of all nodes' as far as is known.
  var remaining: Int64 {
    Int64(max(0, min(Double(limit.burst), max(level, left).rounded(.down))))
  }

  /// Seconds until so many may be let through; until nothing is used for none.
  func wait(for hits: Double, at now: LimitTime, nodes: Int) -> Double {
    // It is only this node's share that is used up: the ledger has more for it.
    if hits > 0, isTold, left >= hits { return Double(Self.pause) / 1e9 }
    if let end = limit.period.end(of: now.wall) {
      return Double(end - now.wall.nanoseconds) / 1e9
    }
    let goal = hits > 0 ? min(hits, Double(limit.burst)) : Double(limit.burst)
    return max(0, goal - max(level, left)) / limit.rate
  }

  /// Whether nothing is lost by forgetting it.
  func isIdle(at now: LimitTime, nodes: Int) -> Bool {
    guard spent == 0, telling == 0 else { return false }
    var later = self
    later.advance(to: now, nodes: nodes)
    guard limit.period.isCalendar else { return later.level >= capacity(nodes) }
    // Of one of which much is used that must be known.
    return now.steady - settledAt > 300_000_000_000 && later.left >= 0.9 * Double(limit.burst)
  }
}

/// A moment, by both clocks.
public struct LimitTime: Sendable {
  /// Nanoseconds, never set.
  let steady: Int64
  /// The calendar's.
  let wall: Timestamp

  /// - Parameter steady: nanoseconds of a clock that is never set.
  public init(steady: Int64, wall: Timestamp) {
    self.steady = steady
    self.wall = wall
  }
}

extension RequestLimit.Period {
  private static let secondsOfDay: Int64 = 86_400

  /// When the calendar's period of a moment has begun: seconds since 1970; 0 for buckets.
  func begin(of moment: Timestamp) -> Int64 {
    let days = moment.seconds / Self.secondsOfDay
    switch self {
    case .second, .minute, .hour: return 0
    case .day: return days * Self.secondsOfDay
    case .month:
      let date = CivilDate(day: days)
      return CivilDate.days(year: date.year, month: date.month) * Self.secondsOfDay
    case .year: return CivilDate.days(year: CivilDate(day: days).year, month: 1) * Self.secondsOfDay
    }
  }

  /// When it ends: nanoseconds since 1970; nil for buckets.
  func end(of moment: Timestamp) -> Int64? {
    let days = moment.seconds / Self.secondsOfDay
    let date = CivilDate(day: days)
    let end: Int64
    switch self {
    case .second, .minute, .hour: return nil
    case .day: end = days + 1
    case .month:
      end = CivilDate.days(
        year: date.month == 12 ? date.year + 1 : date.year, month: date.month % 12 + 1)
    case .year: end = CivilDate.days(year: date.year + 1, month: 1)
    }
    return end * Self.secondsOfDay * 1_000_000_000
  }
}

/// A month of the Gregorian calendar, in UTC.
struct CivilDate: Equatable {
  let year: Int64
  let month: Int64

  /// - Parameter day: since 1970-01-01, not negative.
  init(day: Int64) {
    // Of the 400 years that repeat, counted from the first of March of the year 0.
    let shifted = day + 719_468
    let (era, ofEra) = (shifted / 146_097, shifted % 146_097)
    let yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
    let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let fromMarch = (5 * ofYear + 2) / 153
    month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }

  /// Days from 1970-01-01 to the first of a month.
  static func days(year: Int64, month: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let (era, ofEra) = (shifted / 400, shifted % 400)
    let ofYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5
    return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
  }
}
