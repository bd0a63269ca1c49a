import Tenancy

/// The filter of ListTenants: AIP-160 over the fields of `FilterField`.
struct TenantFilter: Sendable {
  private let root: FilterNode

  init(parsing text: String) throws(TenancyError) { root = try FilterParser.parse(text) }

  /// Comparisons that hold for every tenant in the answer.
  var required: [FilterTest] {
    func test(_ node: FilterNode) -> FilterTest? {
      if case .test(let test) = node { test } else { nil }
    }
    guard case .all(let parts) = root else { return test(root).map { [$0] } ?? [] }
    return parts.compactMap(test)
  }

  /// The slug that a tenant must have, where the filter names one: there is no need to look for it.
  var slug: String? {
    for test in required where test.field == .slug {
      if case .text(.equal, let slug) = test.condition { return slug }
    }
    return nil
  }

  /// A value that is not told any more is not to be found out by comparing it.
  /// - Throws: INVALID_ARGUMENT if it compares a setting that is secret.
  func refuseSecrets(in catalog: ConfigurationCatalog) throws(TenancyError) {
    guard catalog.hasSecrets else { return }
    var nodes = [root]
    while let node = nodes.popLast() {
      switch node {
      case .all(let parts), .any(let parts): nodes += parts
      case .not(let part): nodes.append(part)
      case .test(let test):
        guard case .setting(let name?) = test.field, catalog.setting(name)?.isSecret == true else {
          continue
        }
        throw .invalid("filter", "the setting \(name) is secret: tenants are not found by it")
      }
    }
  }

  func matches(_ tenant: Tenant, _ budget: inout WorkBudget) -> Bool {
    Self.matches(root, tenant, &budget)
  }

  /// As deep as `FilterParser` lets it be.
  private static func matches(
    _ node: FilterNode, _ tenant: borrowing Tenant, _ budget: inout WorkBudget
  ) -> Bool {
    switch node {
    case .all(let parts):
      for part in parts where !matches(part, tenant, &budget) { return false }
      return true
    case .any(let parts):
      for part in parts where matches(part, tenant, &budget) { return true }
      return false
    case .not(let part): return !matches(part, tenant, &budget)
    case .test(let test):
      budget.visit(test.cost)
      return test.holds(for: tenant)
    }
  }
}

extension FilterTest {
  func holds(for tenant: borrowing Tenant) -> Bool {
    switch field {
    case .state: condition.holds(tenant.state.rawValue)
    case .isolationModel: condition.holds(tenant.isolationModel.rawValue)
    case .slug: condition.holds(tenant.slug.text)
    case .displayName: condition.holds(tenant.displayName)
    case .plan: condition.holds(tenant.configuration.limits?.plan ?? "")
    case .createTime: condition.holds(tenant.createTime)
    case .updateTime: condition.holds(tenant.updateTime)
    case .label(nil): tenant.hasMetadata && !tenant.metadata.labels.isEmpty
    case .label(let name?):
      tenant.hasMetadata && tenant.metadata.labels[name].map { condition.holds($0) } ?? false
    case .flag(nil): !tenant.configuration.featureFlags.isEmpty
    case .flag(let name?):
      tenant.configuration.featureFlags[name].map { condition.holds($0) } ?? false
    case .setting(nil): !tenant.configuration.customSettings.isEmpty
    case .setting(let name?):
      tenant.configuration.customSettings[name].map { condition.holds($0) } ?? false
    }
  }
}

extension FilterTest.Condition {
  func holds(_ text: String) -> Bool {
    switch self {
    case .present: true
    case .text(.equal, let wanted): text.hasSameBytes(as: wanted)
    case .text(.notEqual, let wanted): !text.hasSameBytes(as: wanted)
    case .text(let comparison, let wanted): comparison.holds(ByteOrder(text), ByteOrder(wanted))
    case .prefix(let isWanted, let prefix): text.utf8.starts(with: prefix.utf8) == isWanted
    case .number, .bool, .time: false
    }
  }

  func holds(_ value: Bool) -> Bool {
    switch self {
    case .present: true
    case .bool(let wanted): value == wanted
    case .text, .prefix, .number, .time: false
    }
  }

  func holds(_ moment: Timestamp) -> Bool {
    switch self {
    case .time(let comparison, let other): comparison.holds(moment, other)
    case .present, .text, .prefix, .number, .bool: false
    }
  }

  /// What is of another kind is not compared.
  func holds(_ value: JSONValue) -> Bool {
    switch (value, self) {
    case (_, .present): true
    case (.string(let text), _): holds(text)
    case (.bool(let value), _): holds(value)
    case (.number(let number), .number(let comparison, let other)):
      comparison.holds(number, other)
    case (.number, _), (.null, _), (.array, _), (.object, _): false
    }
  }
}

extension FilterComparison {
  func holds<Value: Comparable>(_ value: Value, _ other: Value) -> Bool {
    switch self {
    case .equal, .has: value == other
    case .notEqual: value != other
    case .less: value < other
    case .lessOrEqual: value <= other
    case .greater: value > other
    case .greaterOrEqual: value >= other
    }
  }
}
