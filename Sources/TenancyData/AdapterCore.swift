internal import Tenancy
internal import TenancyContext

/// What an adapter and its transactions share.
final class AdapterCore: Sendable {
  let configuration: DataConfiguration
  let pool: SessionPool
  private let places: any TenantPlaces
  private let book: PlaceBook

  init(_ places: any TenantPlaces, _ configuration: DataConfiguration) {
    self.configuration = configuration
    self.places = places
    book = PlaceBook(
      places, lifetime: configuration.placeLifetime, maximumCount: configuration.maximumPlaces)
    pool = SessionPool(configuration) { (place) throws(DataError) in
      switch place.site {
      case .postgreSQL(let site): PostgreSQLSession(place, site, configuration)
      case .sqlite(let site): try SQLiteSession(place, site)
      }
    }
  }

  /// - Throws: `noTenant`.
  static func currentTenant() throws(DataError) -> TenantID {
    guard let context = TenantContext.current else {
      throw DataError(.noTenant, "the task is at work for no tenant")
    }
    return context.tenant.id
  }

  func deadline(_ timeout: Duration?) -> ContinuousClock.Instant {
    .now + (timeout ?? configuration.statementTimeout)
  }

  /// A session of the current tenant: to be given back.
  func session(until deadline: ContinuousClock.Instant) async throws(DataError) -> any DataSession {
    let tenant = try Self.currentTenant()
    var isRefused = false
    for _ in 0..<Self.attempts {
      let place = try await book.place(of: tenant)
      let session: any DataSession
      do throws(DataError) {
        session = try await pool.acquire(
          place, until: deadline, patience: .now + configuration.acquireTimeout)
      } catch  where Self.mayBeStale(error) && !isRefused {
        // By a place that may have changed.
        isRefused = true
        await book.forget(tenant)
        continue
      }
      // Whoever tells of a change tells the book first, and then ends sessions. So one that is not ended by that, for it
      // came later, is of a place that the book does not know any more.
      if await book.isCurrent(place) { return session }
      await pool.discard(session)
    }
    throw DataError(.placeUnknown, "the tenant's place changes while it is used")
  }

  private static let attempts = 4

  private static func mayBeStale(_ error: DataError) -> Bool {
    [.connection, .unsafePlace, .revoked].contains(error.code)
  }

  func giveBack(_ session: any DataSession) async { await pool.release(session) }

  func withSession<Result: Sendable>(
    until deadline: ContinuousClock.Instant,
    _ body: (any DataSession) async throws(DataError) -> Result
  ) async throws(DataError) -> Result {
    let session = try await session(until: deadline)
    do throws(DataError) {
      let result = try await body(session)
      await giveBack(session)
      return result
    } catch {
      await giveBack(session)
      throw error
    }
  }

  // MARK: Changes

  func watch() async {
    while !Task.isCancelled {
      await places.watch { [book, pool] change in
        switch change {
        case .epoch(let tenant, let epoch):
          await book.note(tenant, epoch: epoch)
          await pool.revoke(tenant, before: epoch)
        case .stale(let tenant): await book.forget(tenant)
        case .unknown: await book.forgetAll()
        }
      }
      if Task.isCancelled { return }
      await book.forgetAll()
      // Cancelled meanwhile, it ends.
      try? await Task.sleep(for: Self.pauseOfWatch)
    }
  }

  private static let pauseOfWatch = Duration.milliseconds(200)

  func sweep() async {
    while !Task.isCancelled {
      // Cancelled meanwhile, it ends.
      try? await Task.sleep(for: max(.milliseconds(10), configuration.idleTimeout / 2))
      await pool.sweep()
    }
  }
}
