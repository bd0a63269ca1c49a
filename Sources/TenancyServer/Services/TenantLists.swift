import Tenancy
import TenancyWire

/// Several tenants in one answer.
extension TenantManagerService {
  /// Tenants of one batch.
  static let maximumBatch = 1000
  /// Bytes of a batch's tenants, roughly.
  static let maximumBatchBytes = 1024 * 1024

  /// - Throws: NOT_FOUND unless all are there.
  func batchGet(
    _ access: Access, _ request: V1.BatchGetTenantsRequest
  ) throws(TenancyError) -> V1.BatchGetTenantsResponse {
    guard (1...Self.maximumBatch).contains(request.names.count) else {
      throw .invalid("names", "1 to \(Self.maximumBatch)")
    }
    var budget = WorkBudget(answerBytes: Self.maximumBatchBytes)
    var tenants: [V1.Tenant] = []
    tenants.reserveCapacity(request.names.count)
    for (index, name) in request.names.enumerated() {
      let record = try Self.find(name, field: "names[\(index)]", access)
      budget.answer(bytes: record.answerBytes + WorkBudget.elementBytes)
      guard !budget.isFull else {
        throw .invalid(
          "names", "more than \(Self.maximumBatchBytes) bytes of tenants: ask for fewer")
      }
      tenants.append(
        V1.Tenant(
          record.tenant.withoutValues(ofSecretsIn: access.snapshot.state.catalog),
          former: record.formerSlugs, at: access.now, for: access.caller))
    }
    return V1.BatchGetTenantsResponse(tenants: tenants)
  }

  /// Creates all, or none.
  func batchCreate(
    _ access: Access, _ request: V1.BatchCreateTenantsRequest
  ) async throws(TenancyError) -> V1.BatchCreateTenantsResponse {
    guard (1...TenantCommands.maximumBatch).contains(request.requests.count) else {
      throw .invalid("requests", "1 to \(TenantCommands.maximumBatch)")
    }
    var all: [TenantCommands.NewTenant] = []
    for (index, one) in request.requests.enumerated() {
      guard one.tenant != nil else { throw .invalid("requests[\(index)].tenant", "is required") }
      guard !one.validateOnly else {
        throw .invalid("requests[\(index)].validate_only", "is of the batch, not of a part of it")
      }
      all.append(try newTenant(access, one))
    }
    let made = try await commands(access, validateOnly: request.validateOnly).create(all)
    return V1.BatchCreateTenantsResponse(tenants: made.map { answer($0, for: access.caller) })
  }

  private static func find(
    _ name: String, field: String, _ access: Access
  ) throws(TenancyError) -> TenantRecord {
    do throws(TenancyError) {
      return try unsafe TenantNames.find(
        name.utf8Span.span.bytes, .tenant, field: field, access.snapshot.state, at: access.now)
    } catch {
      guard error.reason == .tenantNotFound else { throw error }
      throw TenancyError(
        .notFound, .tenantNotFound, "\(field): \(error.message)", metadata: ["field": field])
    }
  }

  func list(
    _ access: Access, _ request: V1.ListTenantsRequest, _ budget: inout WorkBudget
  ) throws(TenancyError) -> V1.ListTenantsResponse {
    let query = try TenantQuery(filter: request.filter, orderBy: request.orderBy)
    try query.filter.refuseSecrets(in: access.snapshot.state.catalog)
    let order = "\(query.order.field.rawValue) \(query.order.isDescending)"
    let page = try Page(
      size: request.pageSize, token: request.pageToken,
      question: "tenants \(request.showDeleted) \(order) \(request.filter)")
    let place = try page.after.map(query.place)
    let tenants = access.visibleTenants(query, after: place)
    let (found, next) = page.collect(
      tenants, &budget, key: query.token,
      where: { record, budget in
        (!record.tenant.state.isGone || request.showDeleted)
          && query.filter.matches(record.tenant, &budget)
      }
    ) { record in
      (
        V1.Tenant(
          record.tenant.withoutValues(ofSecretsIn: access.snapshot.state.catalog),
          former: record.formerSlugs, at: access.now, for: access.caller),
        record.answerBytes
      )
    }
    return V1.ListTenantsResponse(tenants: found, nextPageToken: next)
  }
}

extension TenantRecord {
  /// Roughly, as for one tenant.
  var answerBytes: Int {
    tenant.answerBytes + formerSlugs.count * Slug.maximumLength
  }
}

extension Tenant {
  /// Good enough to keep pages small.
  fileprivate var answerBytes: Int {
    configuration.featureFlags.keys.reduce(
      128 + displayName.utf8.count + JSONValue.object(configuration.customSettings).answerBytes
        + configuration.routes.count * RoutePattern.maximumLength
        + (configuration.limits?.limits.count ?? 0) * 2 * WorkBudget.elementBytes
        + (hasMetadata ? metadata.answerBytes : 0)
    ) { $0 + $1.utf8.count + WorkBudget.elementBytes }
  }
}

extension TenantMetadata {
  fileprivate var answerBytes: Int {
    [labels, annotations].joined().reduce(0) {
      $0 + $1.key.utf8.count + $1.value.utf8.count + WorkBudget.elementBytes
    }
  }
}

extension JSONValue {
  fileprivate var answerBytes: Int {
    switch self {
    case .null, .bool, .number: WorkBudget.elementBytes
    case .string(let text): WorkBudget.elementBytes + text.utf8.count
    case .array(let items): items.reduce(WorkBudget.elementBytes) { $0 + $1.answerBytes }
    case .object(let members):
      members.reduce(WorkBudget.elementBytes) { $0 + $1.key.utf8.count + $1.value.answerBytes }
    }
  }
}
