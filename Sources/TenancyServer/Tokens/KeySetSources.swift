import Tenancy

/// All sources of keys, and whose turn it is. Times are nanoseconds of a clock that is never set.
///
/// What is due waits in a line of its owner's, and the owners have turns: who has many sources, or new ones all the time,
/// waits for himself.
struct KeySetSources {
  /// Fetches of one tenant at once, and so many more each minute.
  static let burst = 20.0
  static let perMinute = 20.0
  /// Owners whose fetches are counted. Beyond that all others are one.
  private static let maximumAccounts = 8192
  /// Nanoseconds until a source has its turn again whose tenant had something fetched when it was.
  private static let pause: Int64 = 250_000_000
  /// The same where nothing could be tried.
  private static let busyPause: Int64 = 1_000_000_000
  /// Sources that are looked at before others may ask again for keys.
  static let looks = 64
  /// Of nanoseconds: what is due is looked for in steps of an eighth of a second.
  private static let tickBits: Int64 = 27
  /// About a minute of these.
  private static let watchTicks: Int64 = 512

  /// Confined to its owner, as a reference so that looking it up is all that a look-up costs.
  private final class Entry {
    var schedule: KeySetSchedule
    var keys: [ExternalKey] = []
    /// Waits for its turn, or is being fetched.
    var isUnderWay = false
    var condition = KeySetEvent.Condition.waiting
    /// Where it is in `due`.
    var tick: Int64?

    init(_ schedule: KeySetSchedule) { self.schedule = schedule }
  }

  private struct Account {
    var left: Double
    var time: Int64
  }

  private let terms: FetchedKeySets.Terms
  private var entries: [KeySource: Entry] = [:]
  private var ofOwner: [TenantID?: [KeySource]] = [:]
  /// What is to be looked at when a tick has begun.
  private var due = KeySetAgenda()
  private var tick = Int64.min
  /// Those that wait for their turn.
  private var lines: [TenantID?: KeySetLine<KeySource>] = [:]
  private var turns = KeySetLine<TenantID?>()
  /// Whom something is being fetched for: one at a time, but for the platform.
  private var busy: Set<TenantID> = []
  private var accounts: [TenantID: Account] = [:]
  private(set) var counts: [KeySetEvent.Condition: Int] = [:]

  init(_ terms: FetchedKeySets.Terms) { self.terms = terms }

  var count: Int { entries.count }

  // MARK: Looking up

  mutating func keys(
    _ source: KeySource, _ configured: [ExternalIssuer], at now: Int64
  ) -> FetchedKeySets.Keys {
    guard let entry = entries[source] else {
      add(source, configured, at: now)
      return .notFetched
    }
    if entry.schedule.isGood(at: now) { return .good(entry.keys) }
    return entry.schedule.fetched == nil ? .notFetched : .stale
  }

  mutating func hasten(_ source: KeySource, at now: Int64) -> Bool {
    guard let entry = entries[source] else { return false }
    // While it fails nobody knows which keys there are.
    if entry.isUnderWay || entry.schedule.next <= now || entry.condition == .failing { return true }
    guard entry.schedule.hasten(at: now) else { return false }
    plan(source, entry)
    return true
  }

  private mutating func add(_ source: KeySource, _ configured: [ExternalIssuer], at now: Int64) {
    // The platform's don't change while it runs.
    if source.owner != nil {
      for other in ofOwner[source.owner] ?? [] where !other.isAmong(configured) { remove(other) }
    }
    guard entries.count < FetchedKeySets.maximumSources, isAllowed(source) != nil else { return }
    let second: Int64 = 1_000_000_000
    let entry = Entry(
      KeySetSchedule(
        refresh: Int64(terms.refreshSeconds) * second, stale: Int64(terms.staleSeconds) * second,
        at: now))
    entries[source] = entry
    ofOwner[source.owner, default: []].append(source)
    counts[.waiting, default: 0] += 1
    plan(source, entry)
  }

  private mutating func remove(_ source: KeySource) {
    guard let entry = entries.removeValue(forKey: source) else { return }
    counts[entry.condition, default: 1] -= 1
    ofOwner[source.owner]?.removeAll { $0 == source }
    if ofOwner[source.owner]?.isEmpty == true { ofOwner[source.owner] = nil }
  }

  /// The platform says itself where its issuers' keys are.
  private func isAllowed(_ source: KeySource) -> HTTPSURL? {
    guard let url = HTTPSURL(parsing: source.published.url) else { return nil }
    let isAllowed = source.owner == nil || terms.hosts.contains { $0.matches(url) }
    return isAllowed ? url : nil
  }

  // MARK: Turns

  /// Has it looked at when it is to be fetched, and when its keys end.
  private mutating func plan(_ source: KeySource, _ entry: Entry) {
    var times = entry.isUnderWay ? [] : [entry.schedule.next]
    if let end = entry.schedule.end, entry.condition != .stale {
      // What is under way is planned anew soon: looked at now and then, it leaves nothing behind for long.
      times.append(entry.isUnderWay ? min(end, (tick + Self.watchTicks) << Self.tickBits) : end)
    }
    guard let time = times.min() else { return }
    // In the tick that begins when it is over, or behind that which was looked at.
    let tick = max((time >> Self.tickBits) + 1, tick &+ 1)
    entry.tick = tick
    due.insert(KeySetAgenda.Item(tick: tick, source: source))
  }

  mutating func take(
    _ control: borrowing ControlState, at now: Int64
  ) -> (KeySetJob?, [KeySetEvent]) {
    let events = lookAtDue(at: now)
    for _ in 0..<Self.looks {
      guard let owner = turns.popFirst() else { break }
      guard let source = lines[owner]?.popFirst() else { continue }
      if lines[owner]?.isEmpty == false { turns.append(owner) } else { lines[owner] = nil }
      if let job = begin(source, control, at: now) { return (job, events) }
    }
    return (nil, events)
  }

  private mutating func lookAtDue(at now: Int64) -> [KeySetEvent] {
    let current = now >> Self.tickBits
    tick = max(tick, current)
    var events: [KeySetEvent] = []
    for _ in 0..<Self.looks {
      guard let item = due.popFirst(until: current) else { break }
      let source = item.source
      // It may have been put elsewhere since.
      guard let entry = entries[source], entry.tick == item.tick else { continue }
      entry.tick = nil
      if let end = entry.schedule.end, end <= now, entry.condition != .stale {
        move(entry, to: .stale)
        entry.keys = []
        events.append(event(source, entry, nil, endsTokens: true))
      }
      guard !entry.isUnderWay, entry.schedule.next <= now else {
        plan(source, entry)
        continue
      }
      entry.isUnderWay = true
      // Whoever takes long does not keep them.
      plan(source, entry)
      if lines[source.owner] == nil { turns.append(source.owner) }
      lines[source.owner, default: KeySetLine()].append(source)
    }
    return events
  }

  /// - Returns: nil where it is not to be fetched, or not now.
  private mutating func begin(
    _ source: KeySource, _ control: borrowing ControlState, at now: Int64
  ) -> KeySetJob? {
    guard let entry = entries[source] else { return nil }
    guard let url = isAllowed(source), Self.isWanted(source, control) else {
      remove(source)
      return nil
    }
    let isBusy = source.owner.map { busy.contains($0) } ?? false
    if let time = isBusy ? now + Self.pause : take(source.owner, at: now) {
      entry.isUnderWay = false
      entry.schedule.putOff(until: time)
      plan(source, entry)
      return nil
    }
    if let owner = source.owner { busy.insert(owner) }
    return KeySetJob(
      source: source, url: url,
      pins: source.published.pins.compactMap { PublishedKeySet.digest(ofPin: $0) })
  }

  /// Whether its tenant has it, and takes tokens.
  private static func isWanted(_ source: KeySource, _ control: borrowing ControlState) -> Bool {
    guard let owner = source.owner else { return true }
    guard let tenant = control.find(owner)?.tenant, !tenant.state.isGone else { return false }
    return tenant.authentication.acceptsExternalIssuers
      && source.isAmong(tenant.authentication.issuers)
  }

  /// - Returns: when the owner may have something fetched again; nil: now, which is counted.
  private mutating func take(_ owner: TenantID?, at now: Int64) -> Int64? {
    guard let owner else { return nil }
    if accounts[owner] == nil, accounts.count >= Self.maximumAccounts {
      accounts = accounts.filter { Self.refilled($0.value, at: now) < Self.burst }
    }
    let key =
      accounts[owner] == nil && accounts.count >= Self.maximumAccounts
      ? TenantID(high: 0, low: 0) : owner
    let left = accounts[key].map { Self.refilled($0, at: now) } ?? Self.burst
    accounts[key] = Account(left: left >= 1 ? left - 1 : left, time: now)
    return left >= 1 ? nil : now + Int64((1 - left) * 60e9 / Self.perMinute)
  }

  private static func refilled(_ account: Account, at now: Int64) -> Double {
    min(burst, account.left + Double(max(0, now - account.time)) / 60e9 * perMinute)
  }

  // MARK: Results

  mutating func finish(
    _ job: KeySetJob, _ result: Result<(keys: [ExternalKey], maximumAge: Int?), KeySetFailure>,
    at now: Int64, chance: Double
  ) -> KeySetEvent? {
    if let owner = job.source.owner { busy.remove(owner) }
    guard let entry = entries[job.source] else { return nil }
    entry.isUnderWay = false
    defer { plan(job.source, entry) }
    let former = entry.condition
    switch result {
    case .success(let (keys, maximumAge)):
      let hasChanged = keys != entry.keys
      let endsTokens = entry.keys.contains { !keys.contains($0) }
      entry.keys = keys
      entry.schedule.succeeded(at: now, maximumAge: maximumAge)
      move(entry, to: .good)
      guard former != .good || hasChanged else { return nil }
      return event(job.source, entry, nil, endsTokens: endsTokens)
    case .failure(let failure) where failure.isBusy:
      if let owner = job.source.owner { accounts[owner]?.left += 1 }
      entry.schedule.putOff(until: now + Self.busyPause)
      return nil
    case .failure(let failure):
      entry.schedule.failed(at: now, chance: chance)
      // What the issuer has withdrawn is not good any more, whatever is wrong with the rest.
      let kept = failure.listed.map { listed in entry.keys.filter { listed.contains($0) } }
      let endsTokens = kept.map { $0.count < entry.keys.count } ?? false
      if let kept { entry.keys = kept }
      guard former == .waiting || former == .good || endsTokens else { return nil }
      move(entry, to: .failing)
      return event(job.source, entry, failure, endsTokens: endsTokens)
    }
  }

  private mutating func move(_ entry: Entry, to condition: KeySetEvent.Condition) {
    counts[entry.condition, default: 1] -= 1
    entry.condition = condition
    counts[condition, default: 0] += 1
  }

  private func event(
    _ source: KeySource, _ entry: Entry, _ failure: KeySetFailure?, endsTokens: Bool
  ) -> KeySetEvent {
    KeySetEvent(
      condition: entry.condition, owner: source.owner, issuer: source.issuer,
      url: source.published.url, keyCount: entry.keys.count, failure: failure,
      endsTokens: endsTokens)
  }
}
