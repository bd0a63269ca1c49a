/// Who may call what, written down by hand: what the API's annotations and the built-in roles come to
/// together. A change of either has to be made here as well.
struct AdmissionRow: CustomStringConvertible {
  let method: String
  let permission: String
  let scope: String
  /// Whether the request names a tenant.
  let namesTenant: Bool
  /// Of platform admin, viewer and resolver, and of the tenant's plain workload, a viewer, an admin.
  let admitted: Set<String>

  var path: String { "/\(method.hasPrefix("envoy.") ? "" : "tenancy.v1.")\(method)" }
  var description: String { method }

  init(
    _ method: String, _ permission: String, _ scope: String, names: Bool, _ admitted: String
  ) {
    self.method = method
    self.permission = permission
    self.scope = scope
    namesTenant = names
    self.admitted = Set(admitted.split(separator: " ").map(String.init))
  }

  private static let checkers = "admin viewer resolver workload tenantViewer tenantAdmin"
  private static let readers = "admin viewer workload tenantViewer tenantAdmin"
  private static let changers = "admin tenantAdmin"
  private static let operators = "admin"
  private static let auditors = "admin viewer tenantAdmin"
  private static let everyone = checkers + " unknown"

  static let all: [AdmissionRow] =
    authorization + manager + resolver + tokens + workloads + authorities + domains + settings
    + configurations + [
      AdmissionRow(
        "envoy.service.auth.v3.Authorization/Check", "tenancy.requests:check", "platform",
        names: false, "admin resolver"),
      AdmissionRow(
        "envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", "tenancy.requests:limit",
        "platform", names: false, "admin resolver"),
      AdmissionRow(
        "Secrets/RotateDataKey", "tenancy.secrets:rotate", "platform", names: false, operators),
      AdmissionRow(
        "Audit/ListAuditRecords", "tenancy.audit:list", "tenant", names: false, auditors),
      AdmissionRow(
        "Audit/ExportAuditRecords", "tenancy.audit:export", "tenant", names: false, auditors),
      AdmissionRow(
        "Audit/StreamAuditRecords", "tenancy.audit:export", "tenant", names: false, auditors),
      AdmissionRow("Identity/WhoAmI", "", "self", names: false, everyone),
      AdmissionRow(
        "TenantData/GetTenantDataAccess", "tenancy.data:access", "platform", names: true,
        operators),
      AdmissionRow(
        "TenantData/RotateTenantDataLogin", "tenancy.data:rotate", "platform", names: true,
        operators),
      AdmissionRow(
        "TenantData/RetireTenantDataLogin", "tenancy.data:rotate", "platform", names: true,
        operators),
      AdmissionRow(
        "Clusters/ListClusters", "tenancy.clusters:list", "platform", names: false,
        "admin viewer"),
      AdmissionRow(
        "Clusters/AuditCluster", "tenancy.clusters:audit", "platform", names: false, operators),
      AdmissionRow(
        "TenantOperations/GetTenantOperation", "tenancy.operations:get", "platform", names: false,
        "admin viewer"),
      AdmissionRow(
        "TenantOperations/ListTenantOperations", "tenancy.operations:list", "platform",
        names: false, "admin viewer"),
      AdmissionRow(
        "TenantOperations/WatchTenantOperation", "tenancy.operations:get", "platform",
        names: false, "admin viewer"),
    ]

  private static let tokens = [
    AdmissionRow("Tokens/IssueToken", "tenancy.tokens:issue", "tenant", names: true, changers),
    AdmissionRow("Tokens/ExchangeToken", "", "self", names: false, everyone),
    AdmissionRow(
      "Tokens/IntrospectToken", "tenancy.tokens:introspect", "tenant", names: false,
      "admin resolver workload tenantViewer tenantAdmin"),
    AdmissionRow("Tokens/RevokeTokens", "tenancy.tokens:revoke", "tenant", names: true, changers),
    AdmissionRow(
      "Tokens/RotateTokenKey", "tenancy.token_keys:rotate", "tenant", names: true, changers),
    AdmissionRow(
      "Tokens/RemoveTokenKey", "tenancy.token_keys:remove", "tenant", names: true, changers),
    AdmissionRow(
      "Tokens/GetJsonWebKeySet", "tenancy.token_keys:get", "tenant", names: true, checkers),
    AdmissionRow(
      "Tokens/GetAuthenticationSettings", "tenancy.authentication:get", "tenant", names: true,
      auditors),
    AdmissionRow(
      "Tokens/SetAuthenticationSettings", "tenancy.authentication:set", "tenant", names: true,
      changers),
  ]

  private static let workloads = [
    AdmissionRow(
      "WorkloadEntries/CreateWorkloadEntry", "tenancy.workload_entries:create", "platform",
      names: false, operators),
    AdmissionRow(
      "WorkloadEntries/GetWorkloadEntry", "tenancy.workload_entries:get", "platform",
      names: false, "admin viewer"),
    AdmissionRow(
      "WorkloadEntries/ListWorkloadEntries", "tenancy.workload_entries:list", "platform",
      names: false, "admin viewer"),
    AdmissionRow(
      "WorkloadEntries/DeleteWorkloadEntry", "tenancy.workload_entries:delete", "platform",
      names: false, operators),
  ]

  private static let authorities =
    [
      ("Prepare", "prepare", operators), ("Import", "import", operators),
      ("Activate", "activate", operators), ("Retire", "retire", operators),
      ("Get", "get", "admin viewer"),
    ].map { name, action, who in
      AdmissionRow(
        "CertificateAuthorities/\(name)CertificateAuthority",
        "tenancy.certificate_authorities:\(action)", "platform", names: false, who)
    } + [
      AdmissionRow(
        "CertificateAuthorities/ListCertificateAuthorities",
        "tenancy.certificate_authorities:list", "platform", names: false, "admin viewer")
    ]

  private static let domains = [
    AdmissionRow(
      "TenantDomains/ClaimTenantDomain", "tenancy.domains:claim", "tenant", names: true, changers),
    AdmissionRow(
      "TenantDomains/VerifyTenantDomain", "tenancy.domains:verify", "tenant", names: true,
      changers),
    AdmissionRow(
      "TenantDomains/GetTenantDomain", "tenancy.domains:get", "tenant", names: true,
      auditors),
    AdmissionRow(
      "TenantDomains/ListTenantDomains", "tenancy.domains:list", "tenant", names: true,
      auditors),
    AdmissionRow(
      "TenantDomains/ReleaseTenantDomain", "tenancy.domains:release", "tenant", names: true,
      changers),
  ]

  private static let settings =
    [
      ("CreateSettingDefinition", "create", operators),
      ("GetSettingDefinition", "get", "admin viewer"),
      ("ListSettingDefinitions", "list", "admin viewer"),
      ("UpdateSettingDefinition", "update", operators),
      ("DeleteSettingDefinition", "delete", operators),
      ("ListSettingConflicts", "list_conflicts", "admin viewer"),
    ].map { name, action, who in
      AdmissionRow(
        "SettingDefinitions/\(name)", "tenancy.setting_definitions:\(action)", "platform",
        names: false, who)
    }

  private static let configurations =
    [("Plan", "plans"), ("FeatureFlag", "feature_flags")].flatMap { kind, resource in
      [
        ("Create", "create", operators), ("Get", "get", "admin viewer"),
        ("List", "list", "admin viewer"), ("Update", "update", operators),
        ("Delete", "delete", operators),
      ].map { name, action, who in
        AdmissionRow(
          "\(kind)s/\(name)\(kind)\(name == "List" ? "s" : "")", "tenancy.\(resource):\(action)",
          "platform", names: false, who)
      }
    }
    + ["GetEffectiveConfiguration", "ExplainConfiguration", "EvaluateFeatureFlags"].map {
      AdmissionRow(
        "TenantConfigurations/\($0)", "tenancy.tenants:get", "tenant", names: true, readers)
    }
    + ["ListSettingHistory", "DiffTenantConfiguration"].map {
      AdmissionRow(
        "TenantConfigurations/\($0)", "tenancy.tenants:list_history", "tenant", names: true,
        auditors)
    } + [
      AdmissionRow(
        "TenantConfigurations/AccessSecretSetting", "tenancy.secret_settings:access", "tenant",
        names: true, operators),
      AdmissionRow(
        "TenantConfigurations/RevertTenantConfiguration", "tenancy.tenants:configure", "tenant",
        names: true, changers),
      AdmissionRow(
        "Plans/ListPlanHistory", "tenancy.plans:get", "platform", names: false, "admin viewer"),
    ]

  private static let authorization = [
    AdmissionRow(
      "Authorization/Check", "tenancy.authorization:check", "tenant", names: true, checkers),
    AdmissionRow(
      "Authorization/BatchCheck", "tenancy.authorization:check", "tenant", names: true, checkers),
    AdmissionRow(
      "Authorization/Explain", "tenancy.authorization:explain", "tenant", names: true, readers),
    AdmissionRow(
      "Authorization/ListPermissions", "tenancy.authorization:list", "tenant", names: true, readers),
    AdmissionRow(
      "Authorization/ListSubjects", "tenancy.authorization:list", "tenant", names: true, readers),
    AdmissionRow(
      "Authorization/ListResources", "tenancy.authorization:list", "tenant", names: true, readers),
    AdmissionRow(
      "Authorization/ListDecisions", "tenancy.decisions:list", "tenant", names: true, auditors),
    AdmissionRow(
      "Authorization/ReplayDecisions", "tenancy.decisions:replay", "tenant", names: true, auditors),
    AdmissionRow(
      "Authorization/Simulate", "tenancy.decisions:simulate", "tenant", names: true, auditors),
    AdmissionRow(
      "Authorization/CreateRole", "tenancy.roles:create", "tenant", names: true, changers),
    AdmissionRow("Authorization/GetRole", "tenancy.roles:get", "tenant", names: true, readers),
    AdmissionRow(
      "Authorization/UpdateRole", "tenancy.roles:update", "tenant", names: true, changers),
    AdmissionRow(
      "Authorization/DeleteRole", "tenancy.roles:delete", "tenant", names: true, changers),
    AdmissionRow("Authorization/ListRoles", "tenancy.roles:list", "tenant", names: true, readers),
    AdmissionRow(
      "Authorization/AddRolePermissions", "tenancy.roles:update", "tenant", names: true, changers),
    AdmissionRow(
      "Authorization/RemoveRolePermissions", "tenancy.roles:update", "tenant", names: true,
      changers),
    AdmissionRow(
      "Authorization/CreateRoleAssignment", "tenancy.assignments:create", "tenant", names: true,
      changers),
    AdmissionRow(
      "Authorization/DeleteRoleAssignment", "tenancy.assignments:delete", "tenant", names: true,
      changers),
    AdmissionRow(
      "Authorization/ListRoleAssignments", "tenancy.assignments:list", "tenant", names: true,
      readers),
    AdmissionRow(
      "Authorization/CreateGroup", "tenancy.groups:create", "tenant", names: true, changers),
    AdmissionRow(
      "Authorization/GetGroup", "tenancy.groups:get", "tenant", names: true, readers),
    AdmissionRow(
      "Authorization/UpdateGroup", "tenancy.groups:update", "tenant", names: true, changers),
    AdmissionRow(
      "Authorization/DeleteGroup", "tenancy.groups:delete", "tenant", names: true, changers),
    AdmissionRow(
      "Authorization/ListGroups", "tenancy.groups:list", "tenant", names: true, readers),
    AdmissionRow(
      "Authorization/CreateGroupMember", "tenancy.group_members:create", "tenant", names: true,
      changers),
    AdmissionRow(
      "Authorization/DeleteGroupMember", "tenancy.group_members:delete", "tenant", names: true,
      changers),
    AdmissionRow(
      "Authorization/ListGroupMembers", "tenancy.group_members:list", "tenant", names: true, readers
    ),
    AdmissionRow(
      "Authorization/ApplyPolicy", "tenancy.policies:apply", "tenant", names: true, changers),
  ]

  private static let manager = [
    AdmissionRow(
      "TenantManager/CreateTenant", "tenancy.tenants:create", "platform", names: false, operators),
    AdmissionRow(
      "TenantManager/CloneTenant", "tenancy.tenants:clone", "platform", names: true, operators),
    AdmissionRow("TenantManager/GetTenant", "tenancy.tenants:get", "tenant", names: true, readers),
    AdmissionRow(
      "TenantManager/BatchCreateTenants", "tenancy.tenants:create", "platform", names: false,
      operators),
    AdmissionRow(
      "TenantManager/BatchGetTenants", "tenancy.tenants:get", "platform", names: false,
      "admin viewer"),
    AdmissionRow(
      "TenantManager/GetTenantUsage", "tenancy.tenants:get", "tenant", names: true, readers),
    AdmissionRow(
      "TenantManager/ListBusiestTenants", "tenancy.usage:list", "platform", names: false,
      "admin viewer"),
    AdmissionRow(
      "TenantManager/UpdateTenant", "tenancy.tenants:update", "tenant", names: true, changers),
    AdmissionRow(
      "TenantManager/DeactivateTenant", "tenancy.tenants:deactivate", "platform", names: true,
      operators),
    AdmissionRow(
      "TenantManager/ActivateTenant", "tenancy.tenants:activate", "platform", names: true,
      operators),
    AdmissionRow(
      "TenantManager/DeleteTenant", "tenancy.tenants:delete", "platform", names: true, operators),
    AdmissionRow(
      "TenantManager/BeginTenantMaintenance", "tenancy.tenants:maintain", "platform", names: true,
      operators),
    AdmissionRow(
      "TenantManager/EndTenantMaintenance", "tenancy.tenants:maintain", "platform", names: true,
      operators),
    AdmissionRow(
      "TenantManager/UndeleteTenant", "tenancy.tenants:undelete", "platform", names: true,
      operators),
    AdmissionRow(
      "TenantManager/PurgeTenant", "tenancy.tenants:purge", "platform", names: true,
      operators),
    AdmissionRow(
      "TenantManager/PlaceTenantLegalHold", "tenancy.tenants:hold", "platform", names: true,
      operators),
    AdmissionRow(
      "TenantManager/ReleaseTenantLegalHold", "tenancy.tenants:hold", "platform", names: true,
      operators),
    AdmissionRow(
      "TenantManager/SetTenantSchedule", "tenancy.tenants:schedule", "platform", names: true,
      operators),
    AdmissionRow(
      "TenantManager/ListTenants", "tenancy.tenants:list", "tenant", names: false, readers),
    AdmissionRow(
      "TenantManager/WatchTenants", "tenancy.tenants:list", "tenant", names: false, readers),
    AdmissionRow(
      "TenantManager/UpdateTenantConfiguration", "tenancy.tenants:configure", "tenant",
      names: true, changers),
    AdmissionRow(
      "TenantManager/ProvisionTenantResources", "tenancy.tenants:provision", "platform",
      names: true, operators),
    AdmissionRow(
      "TenantManager/RetireTenantSlug", "tenancy.tenants:retire", "platform", names: true,
      operators),
    AdmissionRow(
      "TenantManager/DeprovisionTenantResources", "tenancy.tenants:deprovision", "platform",
      names: true, operators),
  ]

  private static let resolver = [
    "ResolveTenant", "ExplainResolution", "ResolveFromPath", "ResolveFromSubdomain",
    "ResolveFromHeaders", "ResolveFromToken", "ResolveFromEnvironment", "GetDefaultTenant",
    "ValidateTenant",
  ].map {
    AdmissionRow(
      "TenantResolver/\($0)", "tenancy.tenants:resolve", "tenant", names: false, checkers)
  }
}
