/// Names that are one tenant's, and how they become it.
extension TenantCommands {
  static func names(of tenant: Tenant) -> [(ReservedName, field: String)] {
    var names = [(ReservedName(.slug, tenant.slug.text), field: "tenant.slug")]
    if let schema = tenant.configuration.schema {
      names.append((ReservedName(.schema, schema.schemaName), "configuration.schema.schema_name"))
    }
    if let shared = tenant.configuration.shared {
      names.append(
        (
          ReservedName(.tenantIdentifier, shared.tenantIdentifier),
          "configuration.shared.tenant_identifier"
        ))
    }
    return names
  }

  static func nameTaken(_ name: ReservedName, _ field: String) -> TenancyError {
    TenancyError(
      .alreadyExists, .nameTaken, "\(field): \"\(name.text)\" belongs to another tenant",
      metadata: ["field": field, "value": name.text])
  }

  static var placeTaken: TenancyError {
    TenancyError(
      .alreadyExists, .nameTaken,
      "configuration.database: another tenant has this database with this user",
      metadata: ["field": "configuration.database"])
  }

  /// - Parameter before: the same tenant as it is now. A store of an earlier version may have given one
  ///   database to two tenants: that is judged when it changes.
  static func checkFree(
    _ tenant: Tenant, from before: Tenant? = nil, in state: ControlState
  ) throws(TenancyError) {
    for (name, field) in names(of: tenant) {
      if let owner = state.owner(of: name), owner != tenant.id {
        throw nameTaken(name, field)
      }
    }
    if let place = tenant.configuration.database?.place,
      place != before?.configuration.database?.place, let owner = state.owner(of: place),
      owner != tenant.id
    {
      throw placeTaken
    }
  }

  static func reserveNames(of tenant: Tenant, _ transaction: inout Transaction) {
    for (name, _) in names(of: tenant) where transaction.state.owner(of: name) != tenant.id {
      transaction.emit(.reserveName(name, tenant.id), about: tenant.id)
    }
  }

  /// A slug that was retired is not any more when the tenant takes it again.
  static func revive(_ tenant: Tenant, _ transaction: inout Transaction) {
    let name = ReservedName(.slug, tenant.slug.text)
    guard transaction.state.owner(of: name) == tenant.id,
      transaction.state.formerSlug(tenant.slug.text) == nil
    else { return }
    transaction.emit(.reserveName(name, tenant.id), about: tenant.id)
  }
}
