internal import Synchronization
public import Tenancy
internal import TenancyClient
public import TenancyData
public import TenancyRPC
internal import TenancyWire

/// Places as a Tenancy server knows them: of tenants whose data is in its PostgreSQL clusters. Thread-safe.
///
/// The caller needs the permissions `tenancy.data:access`, `tenancy.tenants:get` and `tenancy.tenants:list` of the
/// platform.
public final class ServerPlaces: TenantPlaces {
  private let tenants: TenantManagerClient
  private let data: TenantDataClient
  private let tls: PostgreSQLPlace.TLS?
  private let timeout: Duration
  /// Behind what was told last.
  private let resumption = Mutex("")

  /// - Parameters:
  ///   - channel: to the server; others may use it as well.
  ///   - tls: how databases are connected to that need TLS; nil: those can't be reached.
  ///   - timeout: of a call.
  public init(
    _ channel: any CallChannel, tls: PostgreSQLPlace.TLS? = nil, timeout: Duration = .seconds(5)
  ) {
    tenants = TenantManagerClient(channel)
    data = TenantDataClient(channel)
    self.tls = tls
    self.timeout = timeout
  }

  public func place(of tenant: TenantID) async throws(DataError) -> TenantPlace {
    let name = "tenants/\(tenant)"
    let options = RPCCallOptions(timeout: timeout)
    let epoch: UInt64
    let access: V1.TenantDataAccess
    do {
      // The epoch first: what is answered then is of this one, or of a later one that is told of as well.
      epoch = try await tenants.getTenant(V1.GetTenantRequest(name: name), options: options).epoch
      access = try await data.getTenantDataAccess(
        V1.GetTenantDataAccessRequest(name: name), options: options)
    } catch {
      throw Self.failure(error)
    }
    return TenantPlace(tenant: tenant, epoch: epoch, .postgreSQL(try place(access)))
  }

  private func place(_ access: V1.TenantDataAccess) throws(DataError) -> PostgreSQLPlace {
    guard access.categories.isEmpty else {
      throw DataError(
        .unsupported, "the tenant's data is of several kinds, each at a place of its own")
    }
    if access.tls, tls == nil {
      throw DataError(
        .unsafePlace, "the database needs TLS, and nobody said whose certificates count")
    }
    var hosts: [PostgreSQLPlace.Host] = []
    for text in access.hosts {
      guard let host = PostgreSQLPlace.Host(parsing: text) else {
        throw DataError(.placeUnknown, "\(text) is no host")
      }
      hosts.append(host)
    }
    return PostgreSQLPlace(
      hosts: hosts, tls: access.tls ? tls : nil, database: access.database, user: access.username,
      password: access.password, searchPath: access.searchPath,
      tenantIdentifier: access.tenantIdentifier.isEmpty ? nil : access.tenantIdentifier)
  }

  private static func failure(_ error: any Error) -> DataError {
    guard let status = error as? RPCStatus else { return DataError(.placeUnknown, "\(error)") }
    switch status.code {
    case .notFound, .permissionDenied, .failedPrecondition, .invalidArgument:
      return DataError(.tenantUnavailable, status.message)
    // A tenant in MAINTENANCE, and a server that can't be reached.
    case .unavailable
    where status.errorInfo?.reason == TenancyError.Reason.tenantMaintenance.rawValue:
      return DataError(.tenantUnavailable, status.message)
    default: return DataError(.placeUnknown, status.message)
    }
  }

  // MARK: Changes

  /// While the server can't be reached, what is known counts on: the databases keep out who is not to be let in.
  public func watch(_ told: @Sendable (TenantPlaceChange) async -> Void) async {
    var pause = Self.shortestPause
    while !Task.isCancelled {
      do {
        try await follow(told)
        pause = Self.shortestPause
      } catch let status as RPCStatus
        where status.code == .outOfRange || status.code == .failedPrecondition
      {
        // What was told last is not known to the server any more.
        resumption.withLock { $0 = "" }
        await told(.unknown)
      } catch {
        pause = min(pause * 2, Self.longestPause)
      }
      // Cancelled meanwhile, it ends.
      try? await Task.sleep(for: pause)
    }
  }

  private static let shortestPause = Duration.milliseconds(100)
  private static let longestPause = Duration.seconds(5)

  private func follow(_ told: @Sendable (TenantPlaceChange) async -> Void) async throws {
    let token = resumption.withLock { $0 }
    let request = V1.WatchTenantsRequest(showDeleted: true, resumeToken: token)
    try await tenants.watchTenants(request) { messages in
      var isGapless = !token.isEmpty
      while let message = try await messages.next() {
        // What came before the first is not known.
        if !isGapless { await told(.unknown) }
        isGapless = true
        if let tenant = message.change?.tenant, let id = Self.id(of: tenant.name) {
          await told(.epoch(id, tenant.epoch))
        }
        resumption.withLock { $0 = message.resumeToken }
      }
    }
  }

  private static func id(of name: String) -> TenantID? {
    let prefix = "tenants/"
    return name.hasPrefix(prefix) ? TenantID(parsing: String(name.dropFirst(prefix.count))) : nil
  }
}
