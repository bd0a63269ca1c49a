import Tenancy
import TenancyWire
import Yams

/// Fleet files: one YAML document for each tenant, with the same text for the same tenant.
enum FleetWriter {
  static func text(_ tenant: FleetTenant) throws(OutputFailure) -> String {
    try YAMLText.document(node(tenant))
  }

  private static func node(_ tenant: FleetTenant) -> Node {
    var members: [(Node, Node)] = []
    func add<Value>(_ name: String, _ value: Value?, _ node: (Value) -> Node) {
      if let value { members.append((Node(name), node(value))) }
    }
    func text(_ text: String) -> Node { YAMLText.node(text) }
    add("apiVersion", FleetReader.version, text)
    add("kind", FleetReader.kind, text)
    add("slug", tenant.slug, text)
    add("displayName", tenant.displayName, text)
    add("isolation", tenant.isolation?.rawValue, text)
    add("plan", tenant.plan, text)
    add("limits", tenant.limits) { Node($0.map { limit($0) }) }
    add("region", tenant.region, text)
    add("cluster", tenant.cluster, text)
    add("categories", tenant.categories) { Node($0.map { category($0) }) }
    add("labels", tenant.labels) { YAMLText.node($0, text) }
    add("annotations", tenant.annotations) { YAMLText.node($0, text) }
    add("settings", tenant.settings) { YAMLText.node(.object($0)) }
    add("featureFlags", tenant.featureFlags) { YAMLText.node($0) { YAMLText.node(.bool($0)) } }
    add("routes", tenant.routes) { Node($0.map { route($0) }) }
    add("database", tenant.database) { database in
      mapping([
        ("connectionString", text(database.connectionString)),
        ("username", database.username.isEmpty ? nil : text(database.username)),
      ])
    }
    add("schemaName", tenant.schemaName, text)
    add("tenantIdentifier", tenant.tenantIdentifier, text)
    add("roles", tenant.roles) { Node($0.map { role($0) }) }
    add("assignments", tenant.assignments) { Node($0.map { assignment($0) }) }
    add("authentication", tenant.authentication) {
      YAMLText.node(.object(FleetAuthentication.json($0)))
    }
    return Node(members)
  }

  private static func limit(_ limit: V1.RequestLimit) -> Node {
    let normal = limit.normal
    return mapping([
      ("name", YAMLText.node(normal.name)),
      ("requests", YAMLText.node(.number(Double(normal.requests)))),
      ("period", YAMLText.node(LimitText.name(of: normal.period))),
      ("burst", normal.burst == 0 ? nil : YAMLText.node(.number(Double(normal.burst)))),
    ])
  }

  private static func category(_ category: V1.DataCategory) -> Node {
    let placement = category.placement ?? V1.TenantPlacement()
    let isolation = Isolation.allCases.first { $0.model == category.isolationModel }
    return mapping([
      ("name", YAMLText.node(category.category)),
      ("isolation", isolation.map { YAMLText.node($0.rawValue) }),
      ("region", placement.region.isEmpty ? nil : YAMLText.node(placement.region)),
      ("cluster", placement.cluster.isEmpty ? nil : YAMLText.node(placement.cluster)),
    ])
  }

  private static func route(_ rule: V1.RouteRule) -> Node {
    mapping([
      ("methods", rule.methods.isEmpty ? nil : texts(rule.methods)),
      ("path", YAMLText.node(rule.path)), ("permission", YAMLText.node(rule.permission)),
    ])
  }

  static func role(_ role: FleetRole) -> Node {
    let lists: [(String, Node?)] = role.lists.map {
      ($0.member, $0.list.isEmpty ? nil : texts($0.list))
    }
    return mapping(
      [
        ("id", YAMLText.node(role.id)),
        ("title", role.title.isEmpty ? nil : YAMLText.node(role.title)),
        ("description", role.description.isEmpty ? nil : YAMLText.node(role.description)),
      ] + lists)
  }

  static func assignment(_ assignment: FleetAssignment) -> Node {
    func text(_ text: String) -> Node? { text.isEmpty ? nil : YAMLText.node(text) }
    var expires: Node?
    if case .string(let text)? = assignment.expireTime?.json() { expires = YAMLText.node(text) }
    return mapping([
      ("subject", YAMLText.node(assignment.subject)), ("role", YAMLText.node(assignment.role)),
      ("resource", text(assignment.resource)), ("condition", text(assignment.condition)),
      ("expires", expires), ("reason", text(assignment.reason)),
    ])
  }

  private static func texts(_ texts: [String]) -> Node { Node(texts.map { YAMLText.node($0) }) }

  static func mapping(_ members: [(String, Node?)]) -> Node {
    Node(members.compactMap { name, node in node.map { (Node(name), $0) } })
  }
}
