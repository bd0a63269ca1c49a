import Tenancy
import TenancyWire

/// Tenants as they were.
extension TenantManagerService {
  /// For how long a call waits for a revision.
  private static let patience = Duration.seconds(5)

  /// What a request asks for; nil: the present. For the platform's callers alone: tenants' own have histories, which
  /// need more than reading does. Of a revision the state is there when this returns.
  func moment(
    _ access: Access, _ request: V1.GetTenantRequest
  ) async throws(TenancyError) -> LogMoment? {
    guard request.revision > 0 || request.readTime != nil else { return nil }
    guard access.caller.isPlatform else {
      throw TenancyError(
        .permissionDenied, .permissionMissing, "what was is told to the platform's callers alone")
    }
    if let time = try request.readTime?.domain("read_time") {
      guard request.revision == 0 else { throw .invalid("read_time", "not with a revision") }
      guard time <= access.now else { throw .invalid("read_time", "is yet to come") }
      return .time(time)
    }
    guard request.revision > 0 else { return nil }
    let token = ConsistencyToken(store: plane.token.store, revision: request.revision)
    try await plane.reach(
      token, payer: .admitted("history \(access.payer)"), by: ContinuousClock.now + Self.patience)
    return .revision(request.revision)
  }

  /// A tenant as it is told now: without values of what is declared to be secret by now.
  func told(_ tenant: Tenant) -> Tenant { tenant.withoutValues(ofSecretsIn: plane.state.catalog) }

  /// The tenant on the newest state: what is asked of the log afterwards is not older.
  func current(_ record: TenantRecord) throws(TenancyError) -> TenantRecord {
    guard let record = plane.state.find(record.tenant.id) else { throw .tenantNotFound }
    return record
  }
}

extension Tenant {
  /// What was kept in the clear before it was declared to be secret is not told any more.
  func withoutValues(ofSecretsIn catalog: ConfigurationCatalog) -> Tenant {
    guard catalog.hasSecrets else { return self }
    let hidden = configuration.customSettings.keys.filter { catalog.setting($0)?.isSecret ?? false }
    if hidden.isEmpty { return self }
    var tenant = self
    for name in hidden { tenant.configuration.customSettings[name] = nil }
    return tenant
  }
}
