internal import Tenancy
import TenancyDatabase

/// Which tenants have a row in the shared file.
struct SharedRows {
  private let connection: SQLiteConnection

  init(_ connection: SQLiteConnection) { self.connection = connection }

  /// Tenants of whom no row is found one by one.
  func search(for tenants: [Tenant]) throws(SQLiteError) -> [Tenant] {
    let query = try connection.prepare(
      "SELECT tenant_id FROM tenancy_tenants WHERE tenant_identifier = ?")
    defer { query.reset() }
    var missing: [Tenant] = []
    for tenant in tenants {
      query.reset()
      try query.bind([.text(Self.identifier(tenant))])
      if try query.step(), query.text(0) == tenant.id.description { continue }
      missing.append(tenant)
    }
    return missing
  }

  /// Tenants of whom no row is found by going through all rows once, which takes a tenth of a search for
  /// each. Only where most rows are wanted: of few tenants none is found.
  func scan(for tenants: [Tenant]) throws(SQLiteError) -> [Tenant] {
    guard tenants.count >= Self.fewestForScan,
      try connection.integer("SELECT max(rowid) FROM tenancy_tenants")
        <= Int64(tenants.count) * Self.rowsPerSearch
    else { return tenants }
    var positions = TenantPositions()
    // Who is given twice is searched for as well.
    for tenant in tenants where !positions.append(tenant.id) { return tenants }
    var isFound = Array(repeating: false, count: tenants.count)
    let query = try connection.prepare("SELECT tenant_identifier, tenant_id FROM tenancy_tenants")
    defer { query.reset() }
    while try query.step() {
      let id = query.withText(1) { TenantID(parsing: $0) }
      guard let id, let at = positions.find(id) else { continue }
      // In range: the positions are those of the tenants.
      if query.text(0) == Self.identifier(tenants[at]) { isFound[at] = true }
    }
    return zip(tenants, isFound).filter { !$1 }.map(\.0)
  }

  private static let fewestForScan = 100
  private static let rowsPerSearch: Int64 = 10

  private static func identifier(_ tenant: borrowing Tenant) -> String {
    tenant.configuration.shared?.tenantIdentifier ?? ""
  }
}
