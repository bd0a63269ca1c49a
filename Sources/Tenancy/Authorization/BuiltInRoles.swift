/// Roles that every tenant has. They are not stored.
public enum BuiltInRoles {
  /// `tenant-admin`: manages everything that belongs to the tenant itself, but neither its life nor where its data
  /// is.
  public static let admin = make(
    0, "tenant-admin", "Tenant administrator",
    "Manages the tenant's settings, roles, groups, assignments, tokens, keys and domains, and reads its audit trail.",
    [
      "tenancy.assignments:*", "tenancy.audit:*", "tenancy.authentication:*",
      "tenancy.authorization:*", "tenancy.decisions:*", "tenancy.domains:*",
      "tenancy.group_members:*", "tenancy.groups:*", "tenancy.policies:*", "tenancy.roles:*",
      "tenancy.tenants:configure", "tenancy.tenants:get", "tenancy.tenants:list",
      "tenancy.tenants:list_history", "tenancy.tenants:resolve", "tenancy.tenants:update",
      "tenancy.token_keys:*", "tenancy.tokens:*",
    ])
  /// `tenant-viewer`: reads what an administrator manages, but neither the audit trail nor whom the
  /// tenant trusts.
  public static let viewer = make(
    1, "tenant-viewer", "Tenant viewer",
    "Reads the tenant's settings, roles, groups and assignments.",
    [
      "tenancy.assignments:list", "tenancy.authorization:check",
      "tenancy.authorization:explain", "tenancy.authorization:list", "tenancy.group_members:list",
      "tenancy.groups:get",
      "tenancy.groups:list", "tenancy.roles:get", "tenancy.roles:list",
      "tenancy.tenants:get", "tenancy.tenants:list",
      "tenancy.tenants:resolve", "tenancy.token_keys:get", "tenancy.tokens:introspect",
    ])

  /// By their numbers, which are the first of every tenant, and in the order of their ids.
  static let all = [admin, viewer]
  static let tree = all.reduce(into: OrderedTree<TenantPolicy.CompiledRole>()) { $0.put($1) }
  static let byID = Dictionary(uniqueKeysWithValues: all.map { ($0.role.id, $0) })

  /// What they grant, once for all tenants: nothing but permissions on this framework's own API.
  static let grants = all.reduce(into: GrantIndex()) { grants, role in
    grants.edit(from: [], to: role.role.permissions, of: role.number)
  }

  private static func make(
    _ number: Int, _ id: String, _ title: String, _ summary: String, _ permissions: [String]
  ) -> TenantPolicy.CompiledRole {
    let epoch = Timestamp(nanoseconds: 0)
    return TenantPolicy.CompiledRole(
      Role(
        id: id, title: title, summary: summary, permissions: permissions, version: 1,
        createTime: epoch, updateTime: epoch),
      number: number, isBuiltIn: true)
  }
}
