import Tenancy
import TenancyWire

/// What becomes of one field.
struct FieldChange: Equatable {
  let field: String
  /// As JSON; nil: there was nothing.
  let from: String?
  /// Nil: there is nothing then.
  let to: String?
}

/// What it takes to make of a tenant what its file says.
struct FleetChanges {
  var fields: [FieldChange] = []
  /// What an update sends, and its mask.
  private var sent = V1.Tenant()
  private var configuration = V1.TenantConfiguration()
  private var paths: [String] = []
  /// Of roles, in the order of the file.
  private(set) var roles: [RoleChange] = []
  /// Of who has roles, in the order of the file.
  var assignments: [AssignmentChange] = []
  /// Ids of roles that somebody has afterwards, as far as that is known.
  var heldRoles: Set<String> = []
  /// Roles that change, by their ids: as they are, and as they are to be.
  private(set) var updated: [String: (old: FleetRole, new: FleetRole)] = [:]
  /// As the server has them, by their ids.
  private(set) var formerRoles: [String: FleetRole] = [:]
  private(set) var formerFamilies = FleetFamilies()
  /// As they are to be; until all is done, those that go are there, too.
  private(set) var families = FleetFamilies()
  /// All of them, if any changes.
  var authentication: V1.AuthenticationSettings?

  /// Above so many settings or flags that change, all of them are sent: a mask has only so many paths.
  static let maximumKeys = 500
  /// A key that is longer goes into no path of a mask.
  static let maximumKeyBytes = 900

  enum RoleChange: Equatable {
    case create(V1.Role, id: String, at: Int)
    case update(V1.Role, paths: [String], at: Int)
    case delete(name: String, etag: String)
  }

  /// Of a tenant that does not exist.
  init(creating tenant: FleetTenant) {
    compare(tenant, with: FleetTenant(slug: tenant.slug))
    families = FleetFamilies(tenant.roles ?? [])
    for (at, role) in (tenant.roles ?? []).enumerated() { create(role, at) }
    compare(tenant.assignments ?? [], with: [], of: nil, prunes: false)
    if let wanted = tenant.authentication { compare(wanted, with: V1.AuthenticationSettings()) }
  }

  /// - Parameter prunes: whether roles, and who has them, go that the file does not have, if it has any.
  init(of tenant: FleetTenant, from current: V1.Tenant, _ access: TenantAccess, prunes: Bool) {
    compare(tenant, with: FleetTenant(current, roles: nil))
    // Written as a whole: what the file does not say of them stays.
    if paths.contains("configuration.placement") {
      let former = current.configuration?.placement
      configuration.placement = V1.TenantPlacement(
        region: tenant.region ?? former?.region ?? "",
        cluster: tenant.cluster ?? former?.cluster ?? "")
    }
    let former = (access.roles ?? []).filter { !$0.builtIn }.map { FleetRole($0) }
    formerRoles = Dictionary(former.map { ($0.id, $0) }) { first, _ in first }
    formerFamilies = FleetFamilies(former)
    families = FleetFamilies((tenant.roles ?? []) + former)
    if let wanted = tenant.roles { compare(wanted, with: access.roles ?? [], prunes: prunes) }
    if let wanted = tenant.assignments {
      compare(wanted, with: access.assignments ?? [], of: current, prunes: prunes)
    } else {
      keep(access.assignments ?? [], of: current)
    }
    if let wanted = tenant.authentication {
      compare(wanted, with: access.authentication ?? V1.AuthenticationSettings())
    }
  }

  var isEmpty: Bool { fields.isEmpty }

  /// Nil where nothing changes but roles, who has them, and authentication.
  /// - Parameter tenant: as it was when this was planned.
  func update(of tenant: V1.Tenant) -> V1.UpdateTenantRequest? {
    guard !paths.isEmpty else { return nil }
    var message = sent
    message.name = tenant.name
    message.etag = tenant.etag
    if configuration != V1.TenantConfiguration() { message.configuration = configuration }
    return V1.UpdateTenantRequest(
      tenant: message, updateMask: GoogleProtobuf.FieldMask(paths: paths))
  }

  // MARK: Fields

  private mutating func compare(_ tenant: FleetTenant, with former: FleetTenant) {
    text("displayName", "display_name", tenant.displayName, former.displayName) {
      $0.displayName = $1
    }
    if let isolation = tenant.isolation, isolation != former.isolation {
      note("isolation", former.isolation?.rawValue, isolation.rawValue, "isolation_model")
      sent.isolationModel = isolation.model
    }
    limits(of: tenant, from: former)
    text("region", "configuration.placement", tenant.region, former.region) { _, _ in }
    text("cluster", "configuration.placement", tenant.cluster, former.cluster) { _, _ in }
    if let categories = tenant.categories, categories != former.categories ?? [] {
      list(
        "categories", former.categories?.map(CategoryText.text), categories.map(CategoryText.text))
      paths.append("configuration.data_categories")
      configuration.dataCategories = categories
    }
    maps(of: tenant, from: former)
    if let routes = tenant.routes, routes != former.routes ?? [] {
      list("routes", former.routes?.map(RouteText.text), routes.map(RouteText.text))
      paths.append("configuration.routes")
      configuration.routes = routes
    }
    place(of: tenant, from: former)
  }

  /// Only what changes is sent: some of it is not everybody's to send.
  private mutating func maps(of tenant: FleetTenant, from former: FleetTenant) {
    func quoted(_ text: String) -> String { JSONValue.string(text).text() }
    if let labels = tenant.labels,
      members("labels", "labels", labels, former.labels ?? [:], quoted)
    {
      sent.labels = labels
    }
    if let annotations = tenant.annotations,
      members("annotations", "annotations", annotations, former.annotations ?? [:], quoted)
    {
      sent.annotations = annotations
    }
    let (settings, flags) = ("configuration.custom_settings", "configuration.feature_flags")
    if let wanted = tenant.settings,
      members("settings", settings, wanted, former.settings ?? [:], { $0.text() })
    {
      configuration.customSettings = wanted
    }
    if let wanted = tenant.featureFlags,
      members("featureFlags", flags, wanted, former.featureFlags ?? [:], { "\($0)" })
    {
      configuration.featureFlags = wanted
    }
  }

  private mutating func limits(of tenant: FleetTenant, from former: FleetTenant) {
    var wanted = V1.RequestLimits()
    text("plan", "configuration.limits.plan", tenant.plan, former.plan ?? "") {
      wanted.plan = $1
    }
    if let limits = tenant.limits, limits != former.limits ?? [] {
      list("limits", former.limits?.map(LimitText.text), limits.map(LimitText.text))
      paths.append("configuration.limits.limits")
      wanted.limits = limits
    }
    if wanted != V1.RequestLimits() { configuration.limits = wanted }
  }

  private mutating func place(of tenant: FleetTenant, from former: FleetTenant) {
    if let database = tenant.database {
      let (old, path) = (former.database, "configuration.database")
      text(
        "database.connectionString", path, database.connectionString, old?.connectionString
      ) { _, _ in }
      text("database.username", path, database.username, old?.username ?? "") { _, _ in }
      if paths.contains(path) { configuration.database = database.message }
    }
    text("schemaName", "configuration.schema", tenant.schemaName, former.schemaName ?? "") { _, _ in
    }
    if paths.contains("configuration.schema") {
      configuration.schema = V1.SchemaConfig(schemaName: tenant.schemaName ?? "")
    }
    text(
      "tenantIdentifier", "configuration.shared", tenant.tenantIdentifier,
      former.tenantIdentifier ?? ""
    ) { _, _ in }
    if paths.contains("configuration.shared") {
      configuration.shared = V1.SharedConfig(tenantIdentifier: tenant.tenantIdentifier ?? "")
    }
  }

  private mutating func note(_ field: String, _ from: String?, _ to: String?, _ path: String) {
    fields.append(FieldChange(field: field, from: from, to: to))
    if !paths.contains(path) { paths.append(path) }
  }

  private mutating func text(
    _ field: String, _ path: String, _ wanted: String?, _ former: String?,
    _ set: (inout V1.Tenant, String) -> Void
  ) {
    guard let wanted, !wanted.hasSameBytes(as: former ?? "") else { return }
    note(field, Self.quoted(former), Self.quoted(wanted), path)
    set(&sent, wanted)
  }

  /// Empty texts are none.
  private static func quoted(_ text: String?) -> String? {
    text.flatMap { $0.isEmpty ? nil : JSONValue.string($0).text() }
  }

  private mutating func list(_ field: String, _ from: [String]?, _ to: [String]) {
    func text(_ items: [String]) -> String? {
      items.isEmpty ? nil : JSONValue.array(items.map { .string($0) }).text()
    }
    fields.append(FieldChange(field: field, from: text(from ?? []), to: text(to)))
  }

  /// Members that differ, one by one.
  /// - Returns: whether any does.
  private mutating func members<Value>(
    _ field: String, _ path: String, _ wanted: [String: Value], _ former: [String: Value],
    _ text: (Value) -> String
  ) -> Bool {
    let keys = Set(wanted.keys).union(former.keys).sorted().filter { key in
      let (from, to) = (former[key].map(text), wanted[key].map(text))
      return from == nil || to == nil || !(from ?? "").hasSameBytes(as: to ?? "")
    }
    for key in keys {
      fields.append(
        FieldChange(
          field: "\(field).\(key)", from: former[key].map(text), to: wanted[key].map(text)))
    }
    if keys.count > Self.maximumKeys || keys.contains(where: Self.isLong) {
      paths.append(path)
    } else {
      paths += keys.map { "\(path).\($0)" }
    }
    return !keys.isEmpty
  }

  private static func isLong(_ key: String) -> Bool { key.utf8.count > maximumKeyBytes }

  // MARK: Roles

  private mutating func create(_ role: FleetRole, _ at: Int) {
    roles.append(.create(role.message, id: role.id, at: at))
    fields.append(
      FieldChange(
        field: "roles.\(role.id)", from: nil,
        to: JSONValue.array(role.permissions.map { .string($0) }).text()))
    for (member, wanted) in role.lists where member != "permissions" && !wanted.isEmpty {
      list("roles.\(role.id).\(member)", nil, wanted)
    }
  }

  private mutating func compare(_ wanted: [FleetRole], with former: [V1.Role], prunes: Bool) {
    let known = Dictionary(former.map { (ResourceName.last($0.name), $0) }) { first, _ in first }
    for (at, role) in wanted.enumerated() {
      guard let old = known[role.id] else {
        create(role, at)
        continue
      }
      update(role, from: old, at)
    }
    guard prunes else { return }
    let named = Set(wanted.map(\.id))
    for role in former where !role.builtIn && !named.contains(ResourceName.last(role.name)) {
      roles.append(.delete(name: role.name, etag: role.etag))
      fields.append(
        FieldChange(
          field: "roles.\(ResourceName.last(role.name))",
          from: JSONValue.array(role.permissions.map { .string($0) }).text(), to: nil))
      let former = FleetRole(role)
      for (member, before) in former.lists where member != "permissions" && !before.isEmpty {
        list("roles.\(former.id).\(member)", before, [])
      }
    }
  }

  private mutating func update(_ role: FleetRole, from old: V1.Role, _ at: Int) {
    var message = V1.Role(name: old.name, etag: old.etag)
    let former = FleetRole(old)
    let changed = role.put(into: &message, since: former)
    if changed.isEmpty { return }
    roles.append(.update(message, paths: changed, at: at))
    updated[role.id] = (former, role)
    let field = "roles.\(role.id)"
    for (member, from, to) in [
      ("title", old.title, role.title), ("description", old.description, role.description),
    ] where changed.contains(member) {
      fields.append(
        FieldChange(field: "\(field).\(member)", from: Self.quoted(from), to: Self.quoted(to)))
    }
    for (before, after) in zip(former.lists, role.lists) where Set(before.list) != Set(after.list) {
      list("\(field).\(after.member)", before.list, after.list)
    }
  }
}
