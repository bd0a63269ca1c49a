internal import Tenancy
import TenancyDatabase

/// Which of tenants' logins can be used.
extension ClusterWork {
  /// Fails in the transaction in which it runs if something was done for a later epoch of the tenant: by another node,
  /// while this one was slow. The registry's row keeps two from being at it at once.
  func fence(_ tenant: Tenant) -> String {
    """
    DO $$ BEGIN
      INSERT INTO tenancy_cluster.epochs AS known (tenant_id, epoch)
        SELECT tenant_id, \(tenant.epoch) FROM tenancy_cluster.tenants
        WHERE tenant_id = '\(tenant.id)'
        ON CONFLICT (tenant_id) DO UPDATE SET epoch = excluded.epoch
          WHERE known.epoch <= excluded.epoch;
      IF NOT FOUND THEN
        RAISE EXCEPTION 'the tenant is not registered, or in a later epoch than \(tenant.epoch)';
      END IF;
    END $$
    """
  }

  /// Makes a tenant's epoch count, be there something that was done for a later one.
  func setEpoch(of tenant: Tenant) throws {
    try run(
      """
      INSERT INTO tenancy_cluster.epochs (tenant_id, epoch)
      SELECT tenant_id, $2::numeric FROM tenancy_cluster.tenants WHERE tenant_id = $1::uuid
      ON CONFLICT (tenant_id) DO UPDATE SET epoch = excluded.epoch
      """,
      [.id(tenant.id), .text("\(tenant.epoch)")])
  }

  func settleLogins(of tenant: Tenant) throws {
    let known = (tenant.dataLogin?.numbers ?? []).map { ClusterNames.login($0, of: tenant.id) }
    if tenant.hasClosedLogins {
      let registered = try run(
        """
        SELECT l.role_name FROM tenancy_cluster.logins l
        JOIN pg_catalog.pg_roles r ON r.rolname = l.role_name WHERE l.tenant_id = $1::uuid
        """, [.id(tenant.id)]
      ).texts
      let names = try roles(Array(Set(known + registered)), of: tenant.id)
      // None was made, or all are gone: who makes one makes it closed.
      if !names.isEmpty { try close(names.sorted(), tenant) }
    } else {
      let names = try roles(known, of: tenant.id)
      // A former one may be gone already, though that is not recorded.
      guard let login = tenant.dataLogin,
        names.contains(ClusterNames.login(login.number, of: tenant.id))
      else {
        throw StoreError(.conflict, "the tenant's login is missing in the cluster")
      }
      try script(
        ["BEGIN", fence(tenant)] + names.sorted().map { "ALTER ROLE \($0) LOGIN" } + ["COMMIT"])
    }
  }

  private func close(_ names: [String], _ tenant: Tenant) throws {
    // To end sessions of a role one must be a member.
    try script(
      ["BEGIN", fence(tenant)]
        + names.flatMap { ["ALTER ROLE \($0) NOLOGIN", "GRANT \($0) TO CURRENT_USER"] } + ["COMMIT"]
    )
    let list: [SQLValue] = [.text(names.joined(separator: ","))]
    // One that was being let in when the login was closed is there a moment later: none has to be there twice.
    var quiet = 0
    for _ in 0..<Self.attempts {
      let ended = try run(
        """
        SELECT pg_terminate_backend(pid, 5000) FROM pg_catalog.pg_stat_activity
        WHERE usename::text = ANY (string_to_array($1, ','))
        """, list)
      quiet = ended.rowCount == 0 ? quiet + 1 : 0
      if quiet == 1 { try run("SELECT pg_sleep(\(Self.secondsToSettle))") }
      if quiet == 2 {
        try script(names.map { "REVOKE \($0) FROM CURRENT_USER" })
        return
      }
    }
    throw StoreError(.conflict, "sessions of the tenant don't end")
  }

  private static let attempts = 6
  private static let secondsToSettle = 0.1

  func logins() throws -> [TenantID: [UInt32: Bool]] {
    let result = try run(
      """
      SELECT substr(rolname, 8, 32), substr(rolname, 41), rolcanlogin::int
      FROM pg_catalog.pg_roles WHERE rolname ~ '^tenant_[0-9a-f]{32}_[1-9][0-9]{0,9}$'
      """)
    var found: [TenantID: [UInt32: Bool]] = [:]
    for index in 0..<result.rowCount {
      let row = result.row(index)
      guard let id = row.text(0).flatMap(ClusterNames.tenant),
        let number = row.text(1).flatMap({ UInt32($0) })
      else { continue }
      found[id, default: [:]][number] = row.integer(2) == 1
    }
    return found
  }
}
