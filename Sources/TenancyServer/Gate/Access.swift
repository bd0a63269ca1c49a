import Tenancy
import TenancyRPC
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
  /// Judges the call again where it writes; nil on the event loop, where nothing is written.
  var judge: WriteJudge?

  /// The tenant that the call is about, for observers.
  var tag: CallTag? {
    (target ?? home).map { CallTag($0.tenant.id) }
  }

  /// On whose account it waits.
  var payer: WritePayer {
    home.map { .tenant($0.tenant.id) } ?? .platform(caller.subject)
  }

  /// - Throws: INTERNAL for a call that was not admitted to write.
  func requireJudge() throws(TenancyError) -> WriteJudge {
    guard let judge else {
      throw TenancyError(
        .internalError, TenancyError.Reason("INTERNAL"), "the call was not admitted to write")
    }
    return judge
  }

  /// The same as a name.
  var accountText: String { home?.idText ?? caller.subject }

  /// The same as a number.
  var account: Int { home?.tenant.id.hashValue ?? caller.subject.hashValue }

  /// Who has made the call, whomever its token is for.
  var bearer: String { caller.presenter?.subject ?? caller.subject }

  /// A tenant by its id, if the caller may see it.
  func visibleTenant(_ id: TenantID) -> TenantRecord? {
    guard caller.isPlatform else { return home.flatMap { $0.tenant.id == id ? $0 : nil } }
    return snapshot.state.find(id)
  }

  /// The admitted tenant of a method with a tenant field.
  func requireTarget() throws(TenancyError) -> TenantRecord {
    guard let target else { throw .tenantNotFound }
    return target
  }

  /// The tenants that the caller may see and that may match a query, behind a place.
  func visibleTenants(_ query: TenantQuery, after place: TenantListPlace?) -> TenantListing {
    guard caller.isPlatform else { return Self.only(home, after: place, query) }
    if let slug = query.filter.slug {
      return Self.only(snapshot.state.find(slug), after: place, query)
    }
    return query.candidates(in: snapshot.state, after: place)
  }

  private static func only(
    _ record: TenantRecord?, after place: TenantListPlace?, _ query: TenantQuery
  ) -> TenantListing {
    guard let record, place.map({ query.order.comes(record.tenant, after: $0) }) ?? true else {
      return TenantListing(Cursor())
    }
    return TenantListing(Cursor(only: record))
  }

  /// Finds a tenant by id or slug. Callers with a home get TENANT_MISMATCH for every other name.
  func find(_ name: RawSpan) throws(TenancyError) -> TenantRecord? {
    // A name that is too long is no tenant's, and not worth looking at.
    let found =
      name.byteCount <= TenantNames.maximumLength
      ? snapshot.state.find(name, at: now, of: home?.tenant.id) : nil
    if caller.isPlatform { return found }
    guard let home, let found, found.tenant.id == home.tenant.id else {
      throw .tenantMismatch(reaching: found?.tenant.id)
    }
    return found
  }
}

extension CallTag {
  init(_ tenant: TenantID) { self.init(high: tenant.high, low: tenant.low) }
}
