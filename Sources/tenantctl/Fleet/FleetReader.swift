import Foundation
import Tenancy
import TenancyWire
import Yams

/// Reads fleet files: YAML, or JSON, which is YAML, with a document for each tenant.
struct FleetReader {
  /// Bytes of a file, at most.
  static let maximumBytes = 256 << 20
  static let version = "tenancy/v1"
  static let kind = "Tenant"

  let notes: FleetNotes
  let resolver: Yams.Resolver

  init(_ notes: FleetNotes) throws {
    self.notes = notes
    resolver = try YAMLText.resolver()
  }

  /// The tenants of a file, and all that is wrong with it, line by line.
  /// - Parameter file: what it is called in problems.
  static func read(
    _ text: String, file: String
  ) throws -> (documents: [FleetDocument], problems: [FleetProblem]) {
    let reader = try FleetReader(FleetNotes(file: file))
    var found: [FleetDocument] = []
    reader.each(text) { if let document = reader.document($0) { found.append(document) } }
    let problems = reader.notes.problems.sorted { ($0.line ?? .max) < ($1.line ?? .max) }
    return (found, problems)
  }

  /// Reads every document that says anything; what is no YAML is noted.
  func each(_ text: String, _ body: (FleetNode) -> Void) {
    do {
      let parser = try Parser(yaml: text, resolver: resolver, encoding: .utf8)
      while let root = try parser.nextRoot() {
        // What is between two `---` may be nothing.
        if case .scalar(let scalar) = root, scalar.string.isEmpty, scalar.style == .plain {
          continue
        }
        notes.begin()
        body(FleetNode(node: root, field: "", notes: notes))
      }
    } catch let error as YamlError {
      let (text, line, column) = Self.explain(error, in: text)
      notes.note(text, at: "", line, column: column)
    } catch {
      notes.note("\(error)", at: "", nil)
    }
  }

  /// What is wrong with the YAML, and in which line and column.
  private static func explain(_ error: YamlError, in text: String) -> (String, Int?, Int?) {
    switch error {
    case .scanner(let context, let problem, let mark, _),
      .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      return (
        "not YAML: \(context.map { "\($0.text) " } ?? "")\(problem)", mark.line, mark.column
      )
    case .reader(let problem, let offset, _, _):
      let line = offset.map { 1 + text.prefix($0).count { $0 == "\n" } }
      return ("not YAML: \(problem)", line, nil)
    case .duplicatedKeysInMapping(let names, let context):
      let list = names.map { "'\($0)'" }.joined(separator: ", ")
      return ("the same member twice: \(list)", context.mark.line, context.mark.column)
    default: return ("not YAML: \(error)", nil, nil)
    }
  }

  // MARK: Documents

  /// - Returns: nil where no tenant is named; what else is wrong is noted.
  private func document(_ root: FleetNode) -> FleetDocument? {
    guard let members = root.members() else { return nil }
    var values = Dictionary(members.map { ($0.name, $0.value) }) { first, _ in first }
    func take<Value>(_ name: String, _ read: (FleetNode) -> Value?) -> Value? {
      values.removeValue(forKey: name).flatMap(read)
    }
    head(of: root, &values, kind: Self.kind)
    if values["slug"] == nil { notes.note("every tenant has one", at: "slug", root.line) }
    var tenant = FleetTenant(slug: take("slug") { $0.text() } ?? "")
    tenant.displayName = take("displayName") { $0.text() }
    tenant.isolation = take("isolation") { Self.isolation($0) }
    tenant.plan = take("plan") { $0.text() }
    tenant.limits = take("limits") { $0.list { self.limit($0) } }
    tenant.region = take("region") { $0.text() }
    tenant.cluster = take("cluster") { $0.text() }
    tenant.categories = take("categories") { $0.list { self.category($0) } }
    tenant.labels = take("labels") { $0.dictionary { $0.text() } }
    tenant.annotations = take("annotations") { $0.dictionary { $0.text() } }
    tenant.settings = take("settings") { $0.dictionary { $0.json(resolver) } }
    tenant.featureFlags = take("featureFlags") { $0.dictionary { $0.flag() } }
    tenant.routes = take("routes") { $0.list { self.route($0) } }
    tenant.database = take("database") { self.database($0) }
    tenant.schemaName = take("schemaName") { $0.text() }
    tenant.tenantIdentifier = take("tenantIdentifier") { $0.text() }
    tenant.roles = take("roles") { self.roles($0) }
    tenant.assignments = take("assignments") { self.assignments($0) }
    tenant.authentication = take("authentication") { self.authentication($0) }
    refuse(values)
    guard !tenant.slug.isEmpty else { return nil }
    return FleetDocument(
      tenant: tenant, file: notes.file, line: root.line ?? 1, lines: notes.lines)
  }

  /// What a document says that it is.
  func head(of root: FleetNode, _ values: inout [String: FleetNode], kind: String) {
    for (name, value) in [("apiVersion", Self.version), ("kind", kind)] {
      guard let node = values.removeValue(forKey: name) else {
        notes.note("'\(value)' is expected", at: name, root.line, column: root.node.mark?.column)
        continue
      }
      if let text = node.text(), text != value {
        node.complain("'\(value)' is expected, not '\(text)'")
      }
    }
  }

  /// - Parameter known: the names that there are, if those who mistype one are to be told.
  func refuse(_ unknown: [String: FleetNode], known: [String] = []) {
    for (name, node) in unknown.sorted(by: { $0.key < $1.key }) {
      let hint = Similar.hint(for: name, among: known)
      notes.note("there is no such member\(hint)", at: node.field, notes.lines[node.field])
    }
  }

  private static func isolation(_ node: FleetNode) -> Isolation? {
    guard let text = node.text() else { return nil }
    return Isolation(rawValue: text)
      ?? node.refuse(
        "one of \(Isolation.allCases.map(\.rawValue).joined(separator: ", ")) is expected")
  }

  /// Reads the members of a part; those that are not asked for are refused.
  /// - Parameter known: the names of all that it may have.
  func part<Value>(
    _ node: FleetNode, needing needed: [String], known: [String] = [],
    _ read: (inout [String: FleetNode]) -> Value?
  ) -> Value? {
    guard let members = node.members() else { return nil }
    var values = Dictionary(members.map { ($0.name, $0.value) }) { first, _ in first }
    for name in needed where values[name] == nil {
      notes.note(
        "is needed", at: "\(node.field).\(name)", node.line, column: node.node.mark?.column)
    }
    let value = read(&values)
    refuse(values, known: known)
    return value
  }

  private func limit(_ node: FleetNode) -> V1.RequestLimit? {
    part(node, needing: ["requests", "period"]) { values in
      let period = values.removeValue(forKey: "period").flatMap {
        node -> V1.RequestLimit.Period? in
        guard let text = node.text() else { return nil }
        return LimitText.period(text)
          ?? node.refuse("one of \(LimitText.periodNames) is expected")
      }
      return V1.RequestLimit(
        name: values.removeValue(forKey: "name")?.text() ?? "",
        requests: values.removeValue(forKey: "requests")?.number() ?? 0,
        period: period ?? .unspecified,
        burst: values.removeValue(forKey: "burst")?.number() ?? 0
      ).normal
    }
  }

  private func category(_ node: FleetNode) -> V1.DataCategory? {
    part(node, needing: ["name", "isolation"]) { values in
      let isolation = values.removeValue(forKey: "isolation").flatMap(Self.isolation)
      let placement = V1.TenantPlacement(
        region: values.removeValue(forKey: "region")?.text() ?? "",
        cluster: values.removeValue(forKey: "cluster")?.text() ?? "")
      return V1.DataCategory(
        category: values.removeValue(forKey: "name")?.text() ?? "",
        isolationModel: isolation?.model ?? .unspecified,
        placement: placement == V1.TenantPlacement() ? nil : placement)
    }
  }

  private func route(_ node: FleetNode) -> V1.RouteRule? {
    part(node, needing: ["path", "permission"]) { values in
      V1.RouteRule(
        methods: values.removeValue(forKey: "methods")?.list { $0.text() } ?? [],
        path: values.removeValue(forKey: "path")?.text() ?? "",
        permission: values.removeValue(forKey: "permission")?.text() ?? "")
    }
  }

  private func database(_ node: FleetNode) -> FleetDatabase? {
    part(node, needing: ["connectionString"]) { values in
      FleetDatabase(
        connectionString: values.removeValue(forKey: "connectionString")?.text() ?? "",
        username: values.removeValue(forKey: "username")?.text() ?? "")
    }
  }
}
