import Tenancy
import TenancyWire

/// Tenants as they were.
extension TenantManagerService {
  /// For how long a call waits for a revision.
  private static let patience = Duration.seconds(5)

  /// What a request asks for; nil: the present. Of a revision the state is there when this returns.
  func moment(
    _ access: Access, _ request: V1.GetTenantRequest
  ) async throws(TenancyError) -> LogMoment? {
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

  /// The tenant on the newest state: what is asked of the log afterwards is not older.
  func current(_ record: TenantRecord) throws(TenancyError) -> TenantRecord {
    guard let record = plane.state.find(record.tenant.id) else { throw .tenantNotFound }
    return record
  }
}
