import Foundation
import Tenancy
import TenancyWire

/// What a fleet file says of a tenant. What it does not say, nil, is left as it is.
struct FleetTenant: Sendable {
  var slug: String
  var displayName: String?
  var isolation: Isolation?
  var plan: String?
  var limits: [V1.RequestLimit]?
  var region: String?
  var cluster: String?
  var categories: [V1.DataCategory]?
  var labels: [String: String]?
  var annotations: [String: String]?
  var settings: [String: JSONValue]?
  var featureFlags: [String: Bool]?
  var routes: [V1.RouteRule]?
  var database: FleetDatabase?
  var schemaName: String?
  var tenantIdentifier: String?
  var roles: [FleetRole]?
  var assignments: [FleetAssignment]?
  var authentication: V1.AuthenticationSettings?

  init(slug: String) { self.slug = slug }
}

/// Where a tenant's database is; its password is in no file.
struct FleetDatabase: Sendable {
  var connectionString: String
  var username: String
}

/// A role as a whole: what the file does not say is empty.
struct FleetRole: Sendable {
  var id: String
  var title = ""
  var description = ""
  /// Sorted, without repeats, as the lists below.
  var permissions: [String] = []
  var deniedPermissions: [String] = []
  /// Ids of roles.
  var parents: [String] = []
  var excludedRoles: [String] = []
}

extension FleetRole {
  init(_ role: V1.Role) {
    self.init(
      id: ResourceName.last(role.name), title: role.title, description: role.description,
      permissions: role.permissions, deniedPermissions: role.deniedPermissions,
      parents: role.parents, excludedRoles: role.excludedRoles)
  }

  var message: V1.Role {
    V1.Role(
      title: title, description: description, permissions: permissions,
      deniedPermissions: deniedPermissions, parents: parents, excludedRoles: excludedRoles)
  }

  /// Its lists, and what they are called in files.
  var lists: [(member: String, list: [String])] {
    [
      ("permissions", permissions), ("deniedPermissions", deniedPermissions),
      ("parents", parents), ("excludedRoles", excludedRoles),
    ]
  }

  /// Puts what is not as it was into a message.
  /// - Returns: the paths of the mask.
  func put(into role: inout V1.Role, since old: FleetRole) -> [String] {
    var paths: [String] = []
    if !title.hasSameBytes(as: old.title) {
      role.title = title
      paths.append("title")
    }
    if !description.hasSameBytes(as: old.description) {
      role.description = description
      paths.append("description")
    }
    if Set(permissions) != Set(old.permissions) {
      role.permissions = permissions
      paths.append("permissions")
    }
    if Set(deniedPermissions) != Set(old.deniedPermissions) {
      role.deniedPermissions = deniedPermissions
      paths.append("denied_permissions")
    }
    if Set(parents) != Set(old.parents) {
      role.parents = parents
      paths.append("parents")
    }
    if Set(excludedRoles) != Set(old.excludedRoles) {
      role.excludedRoles = excludedRoles
      paths.append("excluded_roles")
    }
    return paths
  }
}

extension FleetTenant {
  /// What there is of a tenant, all of it.
  /// - Parameter roles: nil: nobody has asked.
  init(_ tenant: V1.Tenant, roles: [V1.Role]?) {
    let configuration = tenant.configuration ?? V1.TenantConfiguration()
    slug = tenant.slug
    displayName = tenant.displayName
    isolation = Isolation.allCases.first { $0.model == tenant.isolationModel }
    plan = configuration.limits?.plan ?? ""
    limits = (configuration.limits?.limits ?? []).map(\.normal)
    region = configuration.placement?.region ?? ""
    cluster = configuration.placement?.cluster ?? ""
    categories = configuration.dataCategories
    labels = tenant.labels
    annotations = tenant.annotations
    settings = configuration.customSettings ?? [:]
    featureFlags = configuration.featureFlags
    routes = configuration.routes
    database = configuration.database.map {
      FleetDatabase(connectionString: $0.connectionString, username: $0.username)
    }
    schemaName = configuration.schema?.schemaName ?? ""
    tenantIdentifier = configuration.shared?.tenantIdentifier ?? ""
    self.roles = roles?.map { FleetRole($0) }
  }

  /// What a file is to say of it: not what it does not have, nor what the server would make of the rest. That nobody has
  /// a role, and that no tokens are taken, is said: who compares sees what is added later.
  init(exporting tenant: V1.Tenant, _ access: TenantAccess, at now: Date = .now) {
    self.init(tenant, roles: access.roles?.filter { !$0.builtIn })
    assignments = access.assignments?.map { FleetAssignment($0, of: tenant) }
      .filter { !$0.isOver(at: now) }
      .sorted {
        ($0.role, $0.subject, $0.resource, $0.condition)
          < ($1.role, $1.subject, $1.resource, $1.condition)
      }
    authentication = access.authentication.map(FleetAuthentication.exported)
    func drop(_ path: WritableKeyPath<Self, String?>, _ unsaid: String = "") {
      if self[keyPath: path] == unsaid { self[keyPath: path] = nil }
    }
    drop(\.plan)
    drop(\.region)
    drop(\.cluster)
    drop(\.schemaName)
    drop(\.tenantIdentifier)
    drop(\.tenantIdentifier, tenant.id)
    if limits?.isEmpty ?? true { limits = nil }
    if categories?.isEmpty ?? true { categories = nil }
    if labels?.isEmpty ?? true { labels = nil }
    if annotations?.isEmpty ?? true { annotations = nil }
    if settings?.isEmpty ?? true { settings = nil }
    if featureFlags?.isEmpty ?? true { featureFlags = nil }
    if routes?.isEmpty ?? true { routes = nil }
    if self.roles?.isEmpty ?? true { self.roles = nil }
  }

  /// All that the file says, as a tenant that does not exist yet.
  var message: V1.Tenant {
    var configuration = V1.TenantConfiguration(
      database: database?.message,
      schema: schemaName.map { V1.SchemaConfig(schemaName: $0) },
      shared: tenantIdentifier.map { V1.SharedConfig(tenantIdentifier: $0) },
      customSettings: settings.flatMap { $0.isEmpty ? nil : $0 },
      featureFlags: featureFlags ?? [:], routes: routes ?? [], dataCategories: categories ?? [])
    if !(plan ?? "").isEmpty || !(limits ?? []).isEmpty {
      configuration.limits = V1.RequestLimits(plan: plan ?? "", limits: limits ?? [])
    }
    if !(region ?? "").isEmpty || !(cluster ?? "").isEmpty {
      configuration.placement = V1.TenantPlacement(region: region ?? "", cluster: cluster ?? "")
    }
    return V1.Tenant(
      slug: slug, displayName: displayName ?? "",
      isolationModel: isolation?.model ?? .unspecified,
      configuration: configuration == V1.TenantConfiguration() ? nil : configuration,
      labels: labels ?? [:], annotations: annotations ?? [:])
  }
}

extension FleetTenant {
  /// Whether some of the roles would be pruned.
  func leavesOut(_ former: [V1.Role]) -> Bool {
    let named = Set((roles ?? []).map(\.id))
    return former.contains { !$0.builtIn && !named.contains(ResourceName.last($0.name)) }
  }
}

extension FleetDatabase {
  var message: V1.DatabaseConfig {
    V1.DatabaseConfig(connectionString: connectionString, username: username)
  }
}

extension V1.RequestLimit {
  /// The same limit as the server answers with it.
  var normal: Self {
    var limit = self
    if limit.name.isEmpty { limit.name = "requests" }
    if limit.burst == limit.requests { limit.burst = 0 }
    return limit
  }
}
