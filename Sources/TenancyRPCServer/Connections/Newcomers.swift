internal import NIOCore

/// Connections that have not proven anything yet, in order of arrival: all of them, and those of each
/// origin. To add one, to take out any, and to find the oldest costs the same however many there are.
struct Newcomers: ~Copyable {
  typealias Close = @Sendable () -> Void

  /// What has just come may have said something that nobody has looked at yet: it stays for so long, until
  /// there are half as many again as there may be.
  static let grace = TimeAmount.milliseconds(20)
  /// That many have to go at most when one comes.
  private static let evictionsPerArrival = 2

  /// Names a connection that is here, for good: places are used again, numbers are not.
  struct Ticket: Hashable, Sendable {
    fileprivate let place: Int
    fileprivate let number: UInt64
  }

  private struct Entry {
    let number: UInt64
    let origin: Origin
    let since: NIODeadline
    let close: Close
  }

  private let maximum: Int
  private let maximumPerOrigin: Int
  private var entries: [Entry?] = []
  private var freePlaces: [Int] = []
  private var added: UInt64 = 0
  private var line = Line()
  private var links = LineLinks()
  private var lineOfOrigin: [Origin: Line] = [:]
  private var linksOfOrigin = LineLinks()
  /// The origins that have so many, up to the most that one has.
  private var originsByCount: [Set<Origin>] = [[]]

  init(maximum: Int, maximumPerOrigin: Int) {
    self.maximum = maximum
    self.maximumPerOrigin = maximumPerOrigin
  }

  var count: Int { line.count }

  /// Adds the newest. Over a limit, the oldest of its origin has to go, or of the origin that has the most:
  /// `close` is how. Those go a moment later that have only just come, unless they are far too many.
  mutating func add(
    from origin: Origin, at now: NIODeadline, _ close: @escaping Close
  ) -> (Ticket, evicted: [Close]) {
    var evicted: [Close] = []
    while evicted.count < Self.evictionsPerArrival, let close = removeExcess(of: origin, at: now) {
      evicted.append(close)
    }
    added += 1
    let place = freePlaces.popLast() ?? entries.count
    let entry = Entry(number: added, origin: origin, since: now, close: close)
    if place == entries.count { entries.append(entry) } else { entries[place] = entry }
    links.append(place, to: &line)
    linksOfOrigin.append(place, to: &lineOfOrigin[origin, default: Line()])
    count(origin, lineOfOrigin[origin]?.count ?? 0, before: -1)
    return (Ticket(place: place, number: added), evicted)
  }

  /// Takes one out. Nil if it had to go before.
  mutating func remove(_ ticket: Ticket) -> Close? {
    guard let entry = entries[ticket.place], entry.number == ticket.number else { return nil }
    return remove(at: ticket.place)
  }

  /// Takes out the oldest of the origin that has the most, of all where none has two; the caller closes
  /// it.
  ///
  /// - Parameter now: nil: even if it has only just come. Nil is returned if there is none to take.
  mutating func removeOldest(at now: NIODeadline? = nil) -> Close? {
    guard originsByCount.count > 2, let greedy = originsByCount.last?.first,
      let own = lineOfOrigin[greedy]
    else { return removeFirst(of: line, at: now) }
    return removeFirst(of: own, at: now)
  }

  /// One that must go before another of `origin` comes.
  private mutating func removeExcess(of origin: Origin, at now: NIODeadline) -> Close? {
    if let own = lineOfOrigin[origin], own.count >= maximumPerOrigin {
      return removeFirst(of: own, at: Self.isFar(own.count, over: maximumPerOrigin) ? nil : now)
    }
    guard line.count >= maximum else { return nil }
    return removeOldest(at: Self.isFar(line.count, over: maximum) ? nil : now)
  }

  private static func isFar(_ count: Int, over limit: Int) -> Bool { count - limit > limit / 2 }

  private mutating func removeFirst(of line: Line, at now: NIODeadline?) -> Close? {
    guard let place = line.first, let entry = entries[place] else { return nil }
    if let now, now - entry.since < Self.grace { return nil }
    return remove(at: place)
  }

  private mutating func remove(at place: Int) -> Close? {
    guard let entry = entries[place] else { return nil }
    entries[place] = nil
    freePlaces.append(place)
    links.remove(place, from: &line)
    var own = lineOfOrigin[entry.origin] ?? Line()
    linksOfOrigin.remove(place, from: &own)
    lineOfOrigin[entry.origin] = own.count == 0 ? nil : own
    count(entry.origin, own.count, before: 1)
    return entry.close
  }

  /// An origin has so many now, and `difference` more before.
  private mutating func count(_ origin: Origin, _ count: Int, before difference: Int) {
    originsByCount[count + difference].remove(origin)
    if count == originsByCount.count { originsByCount.append([]) }
    if count > 0 { originsByCount[count].insert(origin) }
    if originsByCount.last?.isEmpty == true, originsByCount.count > 1 {
      originsByCount.removeLast()
    }
  }
}

/// A line of places. Their links are kept in `LineLinks`, where each place is in one line at most.
private struct Line {
  fileprivate(set) var count = 0
  fileprivate(set) var first: Int?
  fileprivate var last: Int?
}

private struct LineLinks {
  private var links: [(before: Int?, behind: Int?)] = []

  mutating func append(_ place: Int, to line: inout Line) {
    if place >= links.count {
      links += Array(repeating: (nil, nil), count: place + 1 - links.count)
    }
    links[place] = (line.last, nil)
    if let last = line.last { links[last].behind = place } else { line.first = place }
    line.last = place
    line.count += 1
  }

  mutating func remove(_ place: Int, from line: inout Line) {
    let (before, behind) = links[place]
    if let before { links[before].behind = behind } else { line.first = behind }
    if let behind { links[behind].before = before } else { line.last = before }
    links[place] = (nil, nil)
    line.count -= 1
  }
}
