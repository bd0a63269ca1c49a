internal import Tenancy

/// Remembers where tenants' data is, until that may have changed.
actor PlaceBook {
  private struct Known {
    let place: TenantPlace
    let until: ContinuousClock.Instant
  }

  /// A question that was asked and not yet answered.
  private struct Asked {
    let task: Task<Result<TenantPlace, DataError>?, Never>
    /// What comes may be of before a change.
    var isStale = false
  }

  private let places: any TenantPlaces
  private let lifetime: Duration
  private let maximumCount: Int
  private var known: [TenantID: Known] = [:]
  private var asked: [TenantID: Asked] = [:]

  init(_ places: any TenantPlaces, lifetime: Duration, maximumCount: Int) {
    self.places = places
    self.lifetime = lifetime
    self.maximumCount = maximumCount
  }

  /// How many are remembered.
  var count: Int { known.count }

  func place(of tenant: TenantID) async throws(DataError) -> TenantPlace {
    // Twice where something has changed while it was asked for; more often where it changes all the time.
    for _ in 0..<Self.attempts {
      if let found = known[tenant], found.until > .now { return found.place }
      if let answer = await ask(tenant) { return try answer.get() }
    }
    throw DataError(.placeUnknown, "the tenant's place changes while it is asked for")
  }

  private static let attempts = 4

  /// - Returns: nil where that was changed meanwhile.
  private func ask(_ tenant: TenantID) async -> Result<TenantPlace, DataError>? {
    if let other = asked[tenant] { return await other.task.value }
    // Owned by `asked`, and ends with the answer: whoever is cancelled meanwhile leaves it to the others.
    let task = Task { await fetch(tenant) }
    asked[tenant] = Asked(task: task)
    return await task.value
  }

  private func fetch(_ tenant: TenantID) async -> Result<TenantPlace, DataError>? {
    let answer: Result<TenantPlace, DataError>
    do throws(DataError) {
      answer = .success(try await places.place(of: tenant))
    } catch {
      answer = .failure(error)
    }
    guard asked.removeValue(forKey: tenant)?.isStale == false else { return nil }
    guard case .success(let place) = answer else { return answer }
    guard place.tenant == tenant else {
      return .failure(DataError(.unsafePlace, "the place that was answered is another tenant's"))
    }
    remember(place)
    return answer
  }

  private func remember(_ place: TenantPlace) {
    if known.count >= maximumCount, known[place.tenant] == nil {
      let now = ContinuousClock.now
      known = known.filter { $0.value.until > now }
      // Any: which are used is not known, and asking again is no harm.
      while known.count >= maximumCount, let any = known.first { known[any.key] = nil }
    }
    known[place.tenant] = Known(place: place, until: .now + lifetime)
  }

  /// Whether this is known still.
  func isCurrent(_ place: TenantPlace) -> Bool { known[place.tenant]?.place == place }

  func note(_ tenant: TenantID, epoch: UInt64) {
    asked[tenant]?.isStale = true
    if let found = known[tenant], found.place.epoch < epoch { known[tenant] = nil }
  }

  func forget(_ tenant: TenantID) {
    asked[tenant]?.isStale = true
    known[tenant] = nil
  }

  func forgetAll() {
    for tenant in asked.keys { asked[tenant]?.isStale = true }
    known = [:]
  }
}
