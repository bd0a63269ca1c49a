import Synchronization

/// Measures what tenants' data takes up: of one when somebody asks, and of all, one after the other, in the background.
/// What was found is kept, for so many of them. Thread-safe.
///
/// The places of data have a connection, or a file, to look at for each tenant. So there is one look at a time at each
/// of them, whoever asks; those who ask wait for a moment only, and are told what was found before.
public final class DataMeter: Sendable {
  /// How much it does.
  public struct Terms: Sendable {
    /// Of how many tenants readings are kept: of more, the newest.
    public var kept = 10_000
    /// For how long a reading is given to who asks.
    public var freshness = Duration.seconds(10)
    /// For how long who asks waits for another.
    public var patience = Duration.seconds(1)
    /// Of how many tenants a reading may be waited for at once.
    public var waiting = 256
    /// Between two rounds through all tenants, and how much longer than a look the pause after it is.
    public var roundInterval = Duration.seconds(300)
    /// As said above.
    public var pausePerLook = 20

    /// The usual ones.
    public init() {}
  }

  private struct State {
    var readings: [TenantID: DataReading] = [:]
    /// When readings were made, by a clock that is not set.
    var times: [TenantID: ContinuousClock.Instant] = [:]
    var underWay: [TenantID: Look] = [:]
  }

  /// One that is being taken: `ended` ends with it, for all who wait for it.
  private struct Look {
    var waiters: [AsyncStream<Void>.Continuation] = []
  }

  private let provisioner: Provisioner
  private let terms: Terms
  private let turns = Mutex<[String: Turns]>([:])
  private let state = Mutex(State())

  /// - Parameter provisioner: who knows where data is.
  public init(_ provisioner: Provisioner, terms: Terms = Terms()) {
    self.provisioner = provisioner
    self.terms = terms
  }

  // MARK: Reading

  /// What was found last of each tenant of whom that is kept.
  public var readings: [TenantID: DataReading] { state.withLock { $0.readings } }

  /// What was found last; nil: nothing yet.
  public func lastReading(of id: TenantID) -> DataReading? {
    state.withLock { $0.readings[id] }
  }

  /// Looks, unless that was done a moment ago, and waits a moment for what is found.
  /// - Returns: what is known then; nil: nothing yet.
  public func reading(of id: TenantID) async -> DataReading? {
    guard let ended = beginLook(at: id) else { return lastReading(of: id) }
    await withTaskGroup { group in
      group.addTask { for await _ in ended {} }
      group.addTask { [patience = terms.patience] in
        // Cut short when the other is done.
        try? await Task.sleep(for: patience)
      }
      await group.next()
      group.cancelAll()
    }
    return lastReading(of: id)
  }

  /// - Returns: what ends with the look; nil: there is none to wait for.
  private func beginLook(at id: TenantID) -> AsyncStream<Void>? {
    let (stream, continuation) = AsyncStream<Void>.makeStream()
    let isFirst = state.withLock { state -> Bool? in
      if let time = state.times[id], .now - time < terms.freshness { return nil }
      if let look = state.underWay[id] {
        guard look.waiters.count < Self.waitersPerLook else { return nil }
        state.underWay[id]?.waiters.append(continuation)
        return false
      }
      guard state.underWay.count < terms.waiting else { return nil }
      state.underWay[id] = Look(waiters: [continuation])
      return true
    }
    guard let isFirst else { return nil }
    // It ends by itself, when the place of the data answers or its time is over; there are so many at most.
    if isFirst { Task { await self.look(at: id) } }
    return stream
  }

  /// How many wait for what is being measured now.
  func waiters(for id: TenantID) -> Int {
    state.withLock { $0.underWay[id]?.waiters.count ?? 0 }
  }

  // MARK: Looking

  private func look(at id: TenantID) async {
    let reading = await measure(id)
    let waiters = state.withLock { state -> [AsyncStream<Void>.Continuation] in
      Self.keep(reading, of: id, &state, terms.kept)
      return state.underWay.removeValue(forKey: id)?.waiters ?? []
    }
    for waiter in waiters { waiter.finish() }
  }

  private static func keep(
    _ reading: DataReading?, of id: TenantID, _ state: inout State, _ kept: Int
  ) {
    guard let reading, kept > 0 else {
      state.readings[id] = nil
      state.times[id] = nil
      return
    }
    state.readings[id] = reading
    state.times[id] = .now
    guard state.readings.count > kept else { return }
    // Not by size: of those that are small, or can't be measured, one wants to know it as well.
    guard let oldest = state.times.min(by: { $0.value < $1.value }) else { return }
    state.readings[oldest.key] = nil
    state.times[oldest.key] = nil
  }

  /// - Returns: nil of a tenant that there is not.
  private func measure(_ id: TenantID) async -> DataReading? {
    guard let record = provisioner.plane.state.find(id) else { return nil }
    let (places, tenant) = (DataPlaces(record), record.tenant)
    guard !places.made.isEmpty || !places.steps.isEmpty else {
      return reading(DataUsage(bytes: 0), isReached: nil)
    }
    // What is in the only place that there is, is not recorded to be there.
    let made = places.made.isEmpty ? [provisioner.sites.own.place] : places.made.sorted()
    var (sum, isReached) = (DataUsage(bytes: 0, sessions: 0), true)
    for place in made {
      guard let site = provisioner.sites.find(place) else {
        sum = sum + DataUsage(problem: "the data is at a place that this node does not reach")
        isReached = false
        continue
      }
      do {
        sum = sum + (try await ask(site, places.view(of: tenant, at: site)))
      } catch {
        sum = sum + DataUsage(problem: "it can't be measured now: \(error)")
        isReached = false
      }
    }
    return reading(sum, isReached: isReached)
  }

  private func reading(_ usage: DataUsage, isReached: Bool?) -> DataReading {
    DataReading(usage: usage, time: provisioner.plane.now, isReached: isReached)
  }

  /// Beside the turns of those who make and destroy data: they don't wait for it, and it does not wait for them.
  private func ask(_ site: DataSite, _ tenant: Tenant) async throws -> DataUsage {
    let turns = turns.withLock { turns -> Turns in
      if let known = turns[site.place] { return known }
      let new = Turns(1)
      turns[site.place] = new
      return new
    }
    await turns.begin()
    defer { turns.end() }
    return try await provisioner.offLoop { try site.plane.usage(of: tenant) }
  }

  // MARK: In the background

  /// Looks at the data of all tenants, one after the other and round after round, until cancelled. Most of the time it
  /// waits, so that it takes a small part of one connection of each place.
  public func run() async {
    let clock = ContinuousClock()
    while !Task.isCancelled {
      var last: TenantID?
      // Of the state as it is then: no old one is kept alive by a round that lasts.
      while !Task.isCancelled, let next = next(after: last) {
        last = next.id
        let begin = clock.now
        if next.hasData { _ = await reading(of: next.id) }
        let took = clock.now - begin
        // A cancelled sleep ends the loop at its condition.
        try? await Task.sleep(for: max(took * terms.pausePerLook, .milliseconds(1)))
      }
      forgetWhoIsGone()
      try? await Task.sleep(for: terms.roundInterval)
    }
  }

  private static let tenantsPerStep = 200
  /// Who comes then is told what is known: nobody fills memory by asking while a place does not answer.
  static let waitersPerLook = 64

  /// The next tenant that has data, or how far it was looked for in this step; nil: there are no more.
  private func next(after id: TenantID?) -> (id: TenantID, hasData: Bool)? {
    var cursor = provisioner.plane.state.tenants(after: id)
    var budget = WorkBudget(visits: Self.tenantsPerStep)
    var last: TenantID?
    while let record = cursor.next(&budget) {
      last = record.tenant.id
      if !record.provisionedSteps.isEmpty { return (record.tenant.id, true) }
    }
    return last.map { ($0, false) }
  }

  private func forgetWhoIsGone() {
    let known = provisioner.plane.state
    for id in readings.keys where known.find(id) == nil {
      state.withLock { state in
        state.readings[id] = nil
        state.times[id] = nil
      }
    }
  }
}
