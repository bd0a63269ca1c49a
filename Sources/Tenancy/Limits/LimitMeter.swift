/// What a node may let through of one limit, and has: its share of what all may.
///
/// The share is what was left when the ledger was asked last, divided by the nodes there are, and goes on growing by
/// that part of the rate. So all shares together never grow faster than the limit allows, also when the ledger does not
/// answer. Where one node has all requests it asks again before its share is used up, and gets half of the rest each
/// time: it comes to the whole rate. Where the ledger is no other node's the share is all, and the bucket exact.
struct LimitMeter {
  private(set) var limit: RequestLimit
  /// In the ledger.
  let key: String
  /// What may be let through at `time`.
  private(set) var level: Double
  /// Nanoseconds of the steady clock.
  private var time: Int64
  /// Whether the ledger is told of it.
  private let isTold: Bool
  /// Let through and not told to the ledger.
  private(set) var spent = 0.0
  /// Told, and not answered.
  private var telling = 0.0
  /// What the share was when the ledger was asked last.
  private var share: Double
  private var settledAt: Int64
  /// Whether the ledger was never asked.
  private var isNew: Bool
  /// Whether something was not let through since the ledger was asked: there may be more by now.
  private var isWanted = false
  /// The calendar's period that a quota's level is of; 0 of buckets.
  private var calendar: Int64

  /// Asked no sooner than this again, in nanoseconds.
  static let pause: Int64 = 100_000_000
  /// And not later, where anything was let through.
  static let patience: Int64 = 2_000_000_000
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
    share = Self.share(limit, of: max(0, Double(limit.burst) - used), nodes)
    level = share
  }

  /// What a node may let through of what is left. Less than one can't be shared: whoever needs it first has it.
  ///
  /// Others may still have shares of what was left before. What a bucket lets through too much by that comes back from
  /// what it lets through later; a quota's does not, and so half of it is held back.
  private static func share(_ limit: RequestLimit, of left: Double, _ nodes: Int) -> Double {
    let parts = limit.period.isCalendar && nodes > 1 ? 2 * nodes : nodes
    return min(left, max(1, left / Double(parts)))
  }

  /// Goes on by another limit of the same requests and period.
  mutating func change(to new: RequestLimit, nodes: Int) {
    if limit.period.isCalendar { level += Double(new.burst - limit.burst) / Double(nodes) }
    limit = new
    level = min(level, capacity(nodes))
    isNew = isTold
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
      share = Self.share(limit, of: Double(limit.burst), nodes)
      level = share
      isNew = true
      return
    }
    let elapsed = Double(max(0, now.steady - time)) / 1e9
    time = max(time, now.steady)
    level = min(capacity(nodes), level + elapsed * limit.rate / Double(nodes))
  }

  private func capacity(_ nodes: Int) -> Double { max(1, Double(limit.burst) / Double(nodes)) }

  mutating func allows(_ hits: Double) -> Bool {
    if level >= hits { return true }
    isWanted = isTold
    return false
  }

  mutating func take(_ hits: Double) {
    level -= hits
    if isTold { spent += hits }
  }

  mutating func giveBack(_ hits: Double) {
    level += hits
    spent = max(0, spent - hits)
  }

  // MARK: Telling the ledger

  /// Whether there is anything to tell or to ask.
  func isOpen(nodes: Int) -> Bool { isNew || spent > 0 || (isWanted && nodes > 1) }

  /// Whether the ledger is to be told now.
  func isDue(at now: LimitTime, nodes: Int) -> Bool {
    guard telling == 0, isOpen(nodes: nodes) else { return false }
    let waited = now.steady - settledAt
    if waited >= Self.patience { return true }
    guard waited >= Self.pause else { return false }
    if isNew { return true }
    guard nodes > 1 else { return false }
    // Where one comes only now and then, nothing is gained by asking more often than that.
    return spent > 0 ? level <= share / 2 : Double(waited) / 1e9 * limit.rate >= 0.5
  }

  mutating func beginTelling(at now: LimitTime) -> Double {
    telling = spent
    spent = 0
    isWanted = false
    settledAt = now.steady
    return telling
  }

  /// - Parameter used: what counts by the ledger.
  mutating func told(_ used: Double, nodes: Int, at now: LimitTime) {
    telling = 0
    isNew = false
    let left = max(0, Double(limit.burst) - used)
    share = Self.share(limit, of: left, nodes)
    level = min(capacity(nodes), share) - spent
    time = now.steady
  }

  mutating func couldNotTell() {
    spent += telling
    telling = 0
  }

  // MARK: Answers

  /// What is left, of all nodes' by this node's share.
  func remaining(_ nodes: Int) -> Int64 {
    Int64(max(0, min(Double(limit.burst), (level * Double(nodes)).rounded(.down))))
  }

  /// Seconds until so many may be let through; until the bucket is full for none.
  func wait(for hits: Double, at now: LimitTime, nodes: Int) -> Double {
    if let end = limit.period.end(of: now.wall) {
      return Double(end - now.wall.nanoseconds) / 1e9
    }
    let goal = hits > 0 ? min(hits, capacity(nodes)) : capacity(nodes)
    return max(0, goal - level) * Double(nodes) / limit.rate
  }

  /// Whether nothing is lost by forgetting it.
  func isIdle(at now: LimitTime, nodes: Int) -> Bool {
    guard spent == 0, telling == 0 else { return false }
    // Of one of which much is used that must be known.
    if limit.period.isCalendar {
      return now.steady - settledAt > 300_000_000_000 && level >= 0.9 * capacity(nodes)
    }
    var later = self
    later.advance(to: now, nodes: nodes)
    return later.level >= capacity(nodes)
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
