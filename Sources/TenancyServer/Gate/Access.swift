import Tenancy
import TenancyWire

/// What an admitted call may see: handlers find tenants through it and through nothing else, so that
/// one that forgets to ask still can't reach another tenant's data.
struct Access {
  let caller: Caller
  /// The caller's own tenant; nil for platform identities.
  let home: TenantRecord?
  /// The tenant that the request's tenant field names, admitted; nil where the method has no such field.
  let target: TenantRecord?
  let now: Timestamp
  let snapshot: Snapshot

  /// The admitted tenant of a method with a tenant field.
  func requireTarget() throws(TenancyError) -> TenantRecord {
    guard let target else { throw .tenantNotFound }
    return target
  }

  /// All tenants that the caller may see, in order of their ids.
  var visibleTenants: [TenantRecord] {
    if let home { return [home] }
    return caller.isPlatform ? snapshot.state.tenants : []
  }

  /// Those of them with greater ids.
  func visibleTenants(after id: TenantID) -> ArraySlice<TenantRecord> {
    guard home == nil, caller.isPlatform else {
      return visibleTenants.filter { $0.tenant.id > id }[...]
    }
    return snapshot.state.tenants[snapshot.state.position(after: id)...]
  }

  /// Finds a tenant by id or slug. Callers with a home get TENANT_MISMATCH for every other name.
  func find(_ name: RawSpan) throws(TenancyError) -> TenantRecord? {
    let found = snapshot.state.find(name)
    if caller.isPlatform { return found }
    guard let home, let found, found.tenant.id == home.tenant.id else { throw .tenantMismatch }
    return found
  }
}
