/// A tenant's place in an order of something that it shares with others: among equals the oldest comes first.
struct TenantPlace<Key: Comparable & Sendable>: Ordered {
  struct OrderKey: Comparable, Sendable {
    let key: Key
    let id: TenantID

    static func < (a: Self, b: Self) -> Bool {
      a.key < b.key || (a.key == b.key && a.id < b.id)
    }
  }

  let orderKey: OrderKey
  var id: TenantID { orderKey.id }

  init(_ key: Key, _ id: TenantID) { orderKey = OrderKey(key: key, id: id) }
}

/// A label with its value.
struct LabelKey: Comparable, Sendable {
  let key: ByteOrder
  let value: ByteOrder

  init(_ key: String, _ value: String) {
    (self.key, self.value) = (ByteOrder(key), ByteOrder(value))
  }

  static func < (a: Self, b: Self) -> Bool {
    a.key < b.key || (a.key == b.key && a.value < b.value)
  }
}

/// Tenants in other orders than that of their ids, and by what many share. They hold ids and keys, and no records: a
/// change costs for what it changes of these alone.
///
/// A value with shared structure, as all of `ControlState`. Of each tenant they take 120 bytes in full nodes, and 48 for
/// each label and 32 for a plan; keys' texts are the tenant's own.
struct TenantIndexes: Sendable {
  typealias ByText = OrderedTree<TenantPlace<ByteOrder>>

  /// The id alone: what is in one tree shares the rest.
  struct Member: Ordered {
    let orderKey: TenantID
  }

  private(set) var bySlug = ByText()
  private(set) var byDisplayName = ByText()
  private(set) var byUpdateTime = OrderedTree<TenantPlace<Timestamp>>()
  private(set) var byLabel = OrderedTree<TenantPlace<LabelKey>>()
  /// Without those who have none of their own.
  private(set) var byPlan = ByText()
  private var states = TenantState.allCases.map { _ in OrderedTree<Member>() }
  private var models = IsolationModel.allCases.map { _ in OrderedTree<Member>() }

  init() {}

  func members(_ state: TenantState) -> OrderedTree<Member> { states[state.place] }

  func members(_ model: IsolationModel) -> OrderedTree<Member> { models[model.place] }

  // MARK: Changing

  /// Notes what has become of a tenant.
  /// - Parameters:
  ///   - former: nil: it is new.
  ///   - tenant: nil: it is gone.
  mutating func note(_ former: Tenant?, _ tenant: Tenant?) {
    guard let id = former?.id ?? tenant?.id else { return }
    Self.note(former?.slug.text, tenant?.slug.text, id, in: &bySlug)
    Self.note(former?.displayName, tenant?.displayName, id, in: &byDisplayName)
    Self.note(former?.ownPlan, tenant?.ownPlan, id, in: &byPlan)
    if former?.updateTime != tenant?.updateTime {
      if let former { byUpdateTime.remove(.init(key: former.updateTime, id: id)) }
      if let tenant { byUpdateTime.put(TenantPlace(tenant.updateTime, id)) }
    }
    if former?.state != tenant?.state {
      if let former { states[former.state.place].remove(id) }
      if let tenant { states[tenant.state.place].put(Member(orderKey: id)) }
    }
    if former?.isolationModel != tenant?.isolationModel {
      if let former { models[former.isolationModel.place].remove(id) }
      if let tenant { models[tenant.isolationModel.place].put(Member(orderKey: id)) }
    }
    noteLabels(former?.ownLabels ?? [:], tenant?.ownLabels ?? [:], id)
  }

  private static func note(
    _ former: String?, _ text: String?, _ id: TenantID, in tree: inout ByText
  ) {
    if let former, let text, former.hasSameBytes(as: text) { return }
    if let former { tree.remove(.init(key: ByteOrder(former), id: id)) }
    if let text { tree.put(TenantPlace(ByteOrder(text), id)) }
  }

  private mutating func noteLabels(
    _ former: [String: String], _ labels: [String: String], _ id: TenantID
  ) {
    for (key, value) in former where labels[key]?.hasSameBytes(as: value) != true {
      byLabel.remove(.init(key: LabelKey(key, value), id: id))
    }
    for (key, value) in labels where former[key]?.hasSameBytes(as: value) != true {
      byLabel.put(TenantPlace(LabelKey(key, value), id))
    }
  }

  /// What is not shared with others, in nodes: for tests.
  func unsharedNodes(with other: Self) -> Int {
    bySlug.unsharedNodes(with: other.bySlug)
      + byDisplayName.unsharedNodes(with: other.byDisplayName)
      + byUpdateTime.unsharedNodes(with: other.byUpdateTime)
      + byLabel.unsharedNodes(with: other.byLabel) + byPlan.unsharedNodes(with: other.byPlan)
      + zip(states, other.states).reduce(0) { $0 + $1.0.unsharedNodes(with: $1.1) }
      + zip(models, other.models).reduce(0) { $0 + $1.0.unsharedNodes(with: $1.1) }
  }
}

// MARK: - Loading

extension TenantIndexes {
  /// A half of those of many tenants, which take several times as long one by one. Together they are all.
  /// - Parameter records: in order of their ids.
  init(texts records: [TenantRecord]) {
    bySlug = Self.sorted(records.map { TenantPlace(ByteOrder($0.tenant.slug.text), $0.tenant.id) })
    byDisplayName = Self.sorted(
      records.map { TenantPlace(ByteOrder($0.tenant.displayName), $0.tenant.id) })
  }

  /// The other half.
  init(others records: [TenantRecord]) {
    byUpdateTime = Self.sorted(records.map { TenantPlace($0.tenant.updateTime, $0.tenant.id) })
    byPlan = Self.sorted(
      records.compactMap { record in
        record.tenant.ownPlan.map { TenantPlace(ByteOrder($0), record.tenant.id) }
      })
    byLabel = Self.sorted(
      records.flatMap { record in
        record.tenant.ownLabels.map { TenantPlace(LabelKey($0.key, $0.value), record.tenant.id) }
      })
    var (states, models) = (states.map { _ in [Member]() }, models.map { _ in [Member]() })
    for record in records {
      states[record.tenant.state.place].append(Member(orderKey: record.tenant.id))
      models[record.tenant.isolationModel.place].append(Member(orderKey: record.tenant.id))
    }
    self.states = states.map(OrderedTree.init(sorted:))
    self.models = models.map(OrderedTree.init(sorted:))
  }

  /// Takes the other half from where it was made.
  mutating func join(others: Self) {
    (byUpdateTime, byPlan, byLabel) = (others.byUpdateTime, others.byPlan, others.byLabel)
    (states, models) = (others.states, others.models)
  }

  private static func sorted<Key>(
    _ places: [TenantPlace<Key>]
  ) -> OrderedTree<TenantPlace<Key>> {
    OrderedTree(sorted: places.sorted { $0.orderKey < $1.orderKey })
  }
}

extension Tenant {
  /// Nil: that of all.
  fileprivate var ownPlan: String? {
    configuration.limits.flatMap { $0.plan.isEmpty ? nil : $0.plan }
  }

  fileprivate var ownLabels: [String: String] { hasMetadata ? metadata.labels : [:] }
}

extension TenantState {
  /// In `allCases`.
  fileprivate var place: Int {
    switch self {
    case .pending: 0
    case .provisioning: 1
    case .active: 2
    case .suspended: 3
    case .maintenance: 4
    case .provisionFailed: 5
    case .deleted: 6
    case .purging: 7
    case .purged: 8
    }
  }
}

extension IsolationModel {
  /// In `allCases`.
  fileprivate var place: Int {
    switch self {
    case .database: 0
    case .schema: 1
    case .shared: 2
    case .hybrid: 3
    }
  }
}
