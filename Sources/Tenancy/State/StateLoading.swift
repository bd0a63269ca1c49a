import Dispatch
import Synchronization

extension ControlState {
  /// - Parameter stored: as `ControlStore.load` gives it.
  public init(_ stored: StoredState) { self = StateLoading.state(of: stored) }
}

/// Makes the state of what a store holds. The same comes of applying the changes one by one
/// (`ControlState.apply`), which takes several times as long: each finds its place in each table anew, where
/// here each table is made at once.
private struct StateLoading {
  private typealias Entry<Value> = (key: String, value: Value)

  private var positions = TenantPositions()
  /// Of each tenant: which of the `StepSets`.
  private var steps: [Int] = []
  private var stepSets = StepSets()
  private var records: [TenantRecord] = []
  private var names: [[Entry<TenantID>]] = ReservedName.Kind.allCases.map { _ in [] }
  /// What is left to be applied: reservations of former slugs, and what is rarer than tenants.
  private var rest: [Change] = []

  static func state(of stored: StoredState) -> ControlState {
    var loading = StateLoading()
    var order = Order()
    guard stored.tables.allSatisfy({ $0.allSatisfy { order.allows($0) && loading.note($0) } })
    else {
      var state = ControlState()
      state.apply(stored.changes, revision: stored.revision)
      return state
    }
    loading.makeRecords(stored.tables)
    for table in stored.tables {
      for change in table { loading.take(change) }
    }
    return loading.finish(revision: stored.revision)
  }

  /// Whether changes come in the order of a state that is stored, and are none that take something back:
  /// others are applied one by one.
  private struct Order {
    private enum Part: Int { case tenants, names, others }
    private var part = Part.tenants

    mutating func allows(_ change: Change) -> Bool {
      let next: Part
      switch change {
      case .putTenant: next = .tenants
      case .reserveName: next = .names
      case .putRole, .putAssignment, .putGroup, .putGroupMember, .putProvisioningStep, .retireSlug,
        .rememberRequest,
        .putSecret, .putDataKey, .putRevocation, .putWorkloadEntry, .putDomain, .putAuthority,
        .putConfigurationItem, .putOperation:
        next = .others
      case .deleteRole, .deleteAssignment, .deleteGroup, .deleteGroupMember,
        .clearProvisioningSteps, .forgetRequests, .deleteSecret,
        .forgetRevocations, .deleteWorkloadEntry, .deleteDomain, .deleteAuthority,
        .deleteConfigurationItem, .deleteOperations:
        return false
      }
      defer { part = next }
      return part.rawValue <= next.rawValue
    }
  }

  // MARK: Tenants

  /// - Returns: whether the tenants are in order.
  private mutating func note(_ change: Change) -> Bool {
    if case .putTenant(let tenant) = change {
      guard positions.ids.last.map({ $0 < tenant.id }) ?? true else { return false }
      steps.append(StepSets.none)
      return positions.append(tenant.id)
    }
    // As for all changes: nothing is kept of what has no tenant.
    if case .putProvisioningStep(let id, let name) = change, let at = positions.find(id) {
      steps[at] = stepSets.number(of: steps[at], and: name)  // In range: `note` has added it.
    }
    return true
  }

  private mutating func makeRecords(_ tables: [[Change]]) {
    records.reserveCapacity(positions.ids.count)
    for table in tables {
      for case .putTenant(let tenant) in table {
        // In range: `note` has added a number of a set for each.
        let steps = stepSets.sets[steps[records.count]]
        records.append(
          TenantRecord(
            tenant: tenant, policy: TenantPolicy(), provisionedSteps: steps, formerSlugs: [],
            revocations: RevocationSet(), footprint: tenant.footprint))
      }
    }
  }

  // MARK: The others

  private mutating func take(_ change: Change) {
    switch change {
    case .putTenant, .putProvisioningStep: break  // They are in the records.
    case .reserveName(let name, let id): take(name, of: id)
    case .putRole, .putAssignment, .putGroup, .deleteGroup, .putGroupMember, .deleteGroupMember,
      .retireSlug, .rememberRequest, .deleteRole, .deleteAssignment,
      .clearProvisioningSteps, .forgetRequests, .putSecret, .deleteSecret, .putDataKey,
      .putRevocation, .forgetRevocations, .putWorkloadEntry, .deleteWorkloadEntry, .putDomain,
      .deleteDomain, .putAuthority, .deleteAuthority, .putConfigurationItem,
      .deleteConfigurationItem, .putOperation, .deleteOperations:
      rest.append(change)
    }
  }

  private mutating func take(_ name: ReservedName, of id: TenantID) {
    var text = name.text
    if let at = positions.find(id) {
      // The one that the tenant has, so that it is in memory once.
      if let current = records[at].tenant.name(name.kind), current == text {
        text = current
      } else if name.kind == .slug {
        rest.append(.reserveName(name, id))
      }
    }
    names[name.kind.number].append((text, id))  // In range: there is a list for each.
  }

  private consuming func finish(revision: UInt64) -> ControlState {
    // Of those that are purged there is nothing but the names.
    if records.contains(where: { $0.tenant.state == .purged }) {
      records.removeAll { $0.tenant.state == .purged }
    }
    let (index, indexes, names) = Self.tables(records, names)
    var state = ControlState(
      revision: revision, tenants: OrderedTree(sorted: records), index: index, indexes: indexes,
      names: names, stepSets: Set(stepSets.sets))
    if !rest.isEmpty { state.apply(rest, revision: revision) }
    return state
  }

  /// On two cores.
  private static func tables(
    _ records: [TenantRecord], _ names: [[Entry<TenantID>]]
  ) -> (ByteTable<TenantRecord>, TenantIndexes, ReservedNames) {
    let made = Mutex(
      (
        index: ByteTable<TenantRecord>(), texts: TenantIndexes(), others: TenantIndexes(),
        names: ReservedNames()
      ))
    DispatchQueue.concurrentPerform(iterations: 4) { part in
      switch part {
      case 0:
        let index = index(of: records)
        made.withLock { $0.index = index }
      case 1:
        for kind in ReservedName.Kind.allCases {
          let table = ByteTable(names[kind.number])
          made.withLock { $0.names[kind] = table }
        }
      case 2:
        let texts = TenantIndexes(texts: records)
        made.withLock { $0.texts = texts }
      default:
        let others = TenantIndexes(others: records)
        made.withLock { $0.others = others }
      }
    }
    return made.withLock {
      $0.texts.join(others: $0.others)
      return ($0.index, $0.texts, $0.names)
    }
  }

  private static func index(of records: [TenantRecord]) -> ByteTable<TenantRecord> {
    var entries: [Entry<TenantRecord>] = []
    entries.reserveCapacity(2 * records.count)
    for record in records {
      entries.append((record.idText, record))
      entries.append((record.tenant.slug.text, record))
    }
    return ByteTable(entries)
  }
}

/// The few sets of steps that tenants have between them, by numbers.
private struct StepSets {
  static let none = 0

  private struct Way: Hashable {
    let from: Int
    let step: String
  }

  private(set) var sets: [Set<String>] = [[]]
  private var ways: [Way: Int] = [:]

  /// The set that has a step more.
  mutating func number(of set: Int, and step: String) -> Int {
    let way = Way(from: set, step: step)
    if let number = ways[way] { return number }
    let wanted = sets[set].union([step])
    let number = sets.firstIndex(of: wanted) ?? sets.count
    if number == sets.count { sets.append(wanted) }
    ways[way] = number
    return number
  }
}

extension Tenant {
  /// What it is called by now.
  fileprivate func name(_ kind: ReservedName.Kind) -> String? {
    switch kind {
    case .slug: slug.text
    case .schema: configuration.schema?.schemaName
    case .tenantIdentifier: configuration.shared?.tenantIdentifier
    }
  }
}

extension ReservedName.Kind {
  /// Its place in `allCases`.
  fileprivate var number: Int {
    switch self {
    case .slug: 0
    case .schema: 1
    case .tenantIdentifier: 2
    }
  }
}
