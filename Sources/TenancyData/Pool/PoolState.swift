internal import Tenancy

/// What a pool knows: which sessions there are, and who waits for one.
///
/// Of what is free the tenants that wait get one each in turn. One that has as many as a tenant may have waits for its
/// own.
struct PoolState {
  /// What whoever asks for a session gets.
  enum Grant: Sendable {
    /// This one, once it is proven clean.
    case use(any DataSession)
    /// There is room for one more, which is counted already.
    case open
    case refuse(DataError)
  }
  typealias Waiter = CheckedContinuation<Grant, Never>

  /// What is to be done without the lock.
  struct Acts {
    var grants: [(Waiter, Grant)] = []
    var unwanted: [any DataSession] = []

    func perform() async {
      for (waiter, grant) in grants { waiter.resume(returning: grant) }
      for session in unwanted { await session.close() }
    }
  }

  private struct Idle {
    let session: any DataSession
    let since: ContinuousClock.Instant
  }

  private struct Queued {
    let number: UInt64
    let place: TenantPlace
    let waiter: Waiter
  }

  private struct Bucket {
    /// Those that there are.
    var sessions: [ObjectIdentifier: any DataSession] = [:]
    /// And those that are being opened.
    var count = 0
    var queue: [Queued] = []
    /// Whether the tenant is in `turns`.
    var hasTurn = false
  }

  private let configuration: DataConfiguration
  private var buckets: [TenantID: Bucket] = [:]
  /// Used last at the end; no more than there may be connections.
  private var idle: [Idle] = []
  /// Tenants that wait and may have more than they have.
  private var turns = FirstInFirstOut<TenantID>()
  private(set) var count = 0
  private var isClosed = false

  init(_ configuration: DataConfiguration) { self.configuration = configuration }

  // MARK: Taking

  /// - Returns: nil: it waits, and is granted something later.
  mutating func request(
    _ place: TenantPlace, _ number: UInt64, _ waiter: Waiter, _ acts: inout Acts
  ) -> Grant? {
    guard !isClosed else { return .refuse(DataError(.closed, "the adapter is closed")) }
    let queue = buckets[place.tenant]?.queue.count ?? 0
    // Not before those who wait.
    if queue == 0, let grant = grant(place, &acts) { return grant }
    guard queue < configuration.maximumWaiting else {
      return .refuse(DataError(.poolExhausted, "too many wait for a connection already"))
    }
    buckets[place.tenant, default: Bucket()].queue.append(
      Queued(number: number, place: place, waiter: waiter))
    takeTurn(place.tenant)
    return nil
  }

  private mutating func takeTurn(_ tenant: TenantID) {
    guard let bucket = buckets[tenant], !bucket.hasTurn, !bucket.queue.isEmpty,
      bucket.count < configuration.maximumConnectionsPerTenant
    else { return }
    buckets[tenant]?.hasTurn = true
    turns.append(tenant)
  }

  private mutating func grant(_ place: TenantPlace, _ acts: inout Acts) -> Grant? {
    while let at = idle.lastIndex(where: { $0.session.place.tenant == place.tenant }) {
      let session = idle.remove(at: at).session
      if session.place == place, !session.interruption.isRevoked { return .use(session) }
      // Of where the tenant was before.
      drop(session)
      acts.unwanted.append(session)
    }
    let own = buckets[place.tenant]?.count ?? 0
    guard own < configuration.maximumConnectionsPerTenant else { return nil }
    if count >= configuration.maximumConnections, !idle.isEmpty {
      let other = idle.removeFirst().session
      drop(other)
      acts.unwanted.append(other)
    }
    guard count < configuration.maximumConnections else { return nil }
    buckets[place.tenant, default: Bucket()].count += 1
    count += 1
    return .open
  }

  /// A session that was made for what was counted.
  /// - Returns: whether it is wanted still.
  mutating func note(_ session: any DataSession) -> Bool {
    guard !isClosed else { return false }
    buckets[session.place.tenant, default: Bucket()].sessions[ObjectIdentifier(session)] = session
    return true
  }

  // MARK: Giving back

  mutating func put(_ session: any DataSession) -> Acts {
    var acts = Acts()
    let tenant = session.place.tenant
    guard !isClosed, !session.interruption.isRevoked,
      let bucket = buckets[tenant], bucket.sessions[ObjectIdentifier(session)] != nil
    else {
      acts.unwanted.append(session)
      drop(session)
      serve(&acts)
      return acts
    }
    // Its own tenant's turn, or nobody else's.
    if let next = bucket.queue.first, turns.isEmpty || turns.first == tenant || bucket.count == 1,
      next.place == session.place
    {
      buckets[tenant]?.queue.removeFirst()
      if turns.first == tenant { endTurn() }
      acts.grants.append((next.waiter, .use(session)))
      return acts
    }
    idle.append(Idle(session: session, since: .now))
    serve(&acts)
    return acts
  }

  mutating func remove(_ session: any DataSession) -> Acts {
    drop(session)
    var acts = Acts()
    serve(&acts)
    return acts
  }

  /// What was counted, and of which there is no session.
  mutating func forget(_ tenant: TenantID) -> Acts {
    uncount(tenant)
    var acts = Acts()
    serve(&acts)
    return acts
  }

  private mutating func drop(_ session: any DataSession) {
    let tenant = session.place.tenant
    guard buckets[tenant]?.sessions.removeValue(forKey: ObjectIdentifier(session)) != nil else {
      return
    }
    uncount(tenant)
  }

  private mutating func uncount(_ tenant: TenantID) {
    buckets[tenant]?.count -= 1
    count -= 1
    takeTurn(tenant)
    if let bucket = buckets[tenant], bucket.count == 0, bucket.queue.isEmpty, !bucket.hasTurn {
      buckets[tenant] = nil
    }
  }

  /// Gives what is free to those whose turn it is.
  private mutating func serve(_ acts: inout Acts) {
    while let tenant = turns.first {
      guard let next = buckets[tenant]?.queue.first else {
        endTurn()
        continue
      }
      guard let grant = grant(next.place, &acts) else { return }
      buckets[tenant]?.queue.removeFirst()
      acts.grants.append((next.waiter, grant))
      endTurn()
    }
  }

  /// Of the first: it comes again when the others had theirs.
  private mutating func endTurn() {
    guard let tenant = turns.removeFirst() else { return }
    buckets[tenant]?.hasTurn = false
    takeTurn(tenant)
    if let bucket = buckets[tenant], bucket.count == 0, bucket.queue.isEmpty, !bucket.hasTurn {
      buckets[tenant] = nil
    }
  }

  // MARK: Ending

  mutating func giveUp(_ number: UInt64, _ tenant: TenantID, _ error: DataError) -> Acts {
    var acts = Acts()
    guard let at = buckets[tenant]?.queue.firstIndex(where: { $0.number == number }),
      let queued = buckets[tenant]?.queue.remove(at: at)
    else { return acts }
    acts.grants.append((queued.waiter, .refuse(error)))
    // Who is without waiters loses the turn when it comes.
    serve(&acts)
    return acts
  }

  mutating func expire() -> Acts {
    let end = ContinuousClock.now - configuration.idleTimeout
    var acts = Acts()
    while let first = idle.first, first.since <= end {
      idle.removeFirst()
      drop(first.session)
      acts.unwanted.append(first.session)
    }
    return acts
  }

  /// Those of a tenant that are of before this epoch, or all. Who has one gives it back.
  mutating func revoke(_ tenant: TenantID, before epoch: UInt64?) -> Acts {
    var acts = Acts()
    for session in buckets[tenant]?.sessions.values.map({ $0 }) ?? []
    where epoch.map({ session.place.epoch < $0 }) ?? true {
      acts.unwanted.append(session)
      if let at = idle.firstIndex(where: { $0.session === session }) {
        idle.remove(at: at)
        drop(session)
      }
    }
    serve(&acts)
    return acts
  }

  mutating func close() -> Acts {
    isClosed = true
    var acts = Acts()
    let error = DataError(.closed, "the adapter is closed")
    for bucket in buckets.values {
      acts.unwanted += bucket.sessions.values
      acts.grants += bucket.queue.map { ($0.waiter, .refuse(error)) }
    }
    for tenant in buckets.keys { buckets[tenant]?.queue = [] }
    for one in idle { drop(one.session) }
    idle = []
    return acts
  }
}

/// A queue.
struct FirstInFirstOut<Element> {
  private var elements: [Element] = []
  private var start = 0

  var isEmpty: Bool { start == elements.count }
  var first: Element? { isEmpty ? nil : elements[start] }

  mutating func append(_ element: Element) { elements.append(element) }

  mutating func removeFirst() -> Element? {
    guard let first else { return nil }
    start += 1
    if start * 2 > elements.count {
      elements.removeFirst(start)
      start = 0
    }
    return first
  }
}
