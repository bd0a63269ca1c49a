/// What many tenants share, so that they are found together.
public enum TenantGroup: Hashable, Sendable {
  /// In this state.
  case state(TenantState)
  /// Kept apart like this.
  case isolationModel(IsolationModel)
  /// Of this plan of their own, not empty.
  case plan(String)
  /// With this label.
  case label(key: String, value: String)
  /// Whose slugs begin with this, not empty.
  case slugPrefix(String)
}

/// In which order tenants are listed. Among equals the oldest comes first, or last where the order is turned round.
public struct TenantOrder: Hashable, Sendable {
  /// What it goes by.
  public enum Field: String, Hashable, Sendable, CaseIterable {
    /// By ids, which rise with time.
    case createTime = "create_time"
    /// By the last change of any kind.
    case updateTime = "update_time"
    /// By slugs, byte by byte.
    case slug
    /// By names for people, byte by byte.
    case displayName = "display_name"
  }

  /// What it goes by.
  public let field: Field
  /// The greatest first.
  public let isDescending: Bool

  /// An order of all tenants.
  public init(_ field: Field, isDescending: Bool = false) {
    self.field = field
    self.isDescending = isDescending
  }

  /// Where a tenant stands in it.
  public func place(of tenant: Tenant) -> TenantListPlace {
    let text =
      switch field {
      case .createTime: ""
      case .updateTime: String(tenant.updateTime.nanoseconds)
      case .slug: tenant.slug.text
      case .displayName: tenant.displayName
      }
    return TenantListPlace(id: tenant.id, text: text)
  }
}

extension TenantOrder {
  /// Whether a tenant comes behind a place.
  public func comes(_ tenant: Tenant, after place: TenantListPlace) -> Bool {
    let isGreater =
      switch field {
      case .createTime: tenant.id > place.id
      case .updateTime:
        (tenant.updateTime.nanoseconds, tenant.id) > (Int64(place.text) ?? .min, place.id)
      case .slug: (ByteOrder(tenant.slug.text), tenant.id) > (ByteOrder(place.text), place.id)
      case .displayName:
        (ByteOrder(tenant.displayName), tenant.id) > (ByteOrder(place.text), place.id)
      }
    if !isDescending { return isGreater }
    return !isGreater && self.place(of: tenant) != place
  }
}

/// Where in an order a tenant stands, or stood.
public struct TenantListPlace: Hashable, Sendable {
  /// The tenant's.
  public let id: TenantID
  /// What the order goes by, besides the id.
  public let text: String

  /// As `TenantOrder.place` made it.
  public init(id: TenantID, text: String) {
    self.id = id
    self.text = text
  }
}

/// Tenants on the way through one of their orders.
public struct TenantListing: ListCursor, Sendable {
  fileprivate enum Source {
    case records(Cursor<TenantRecord>)
    case members(Cursor<TenantIndexes.Member>)
    case texts(Cursor<TenantPlace<ByteOrder>>)
    case times(Cursor<TenantPlace<Timestamp>>)
    case labels(Cursor<TenantPlace<LabelKey>>)
  }

  private var source: Source
  private let records: OrderedTree<TenantRecord>
  private let group: TenantGroup?

  /// Of a list of one tenant, or none.
  public init(_ cursor: Cursor<TenantRecord>) {
    (source, records, group) = (.records(cursor), OrderedTree(), nil)
  }

  /// - Parameter group: what all of them share, in a source that goes on beyond it.
  fileprivate init(
    _ source: Source, _ records: OrderedTree<TenantRecord>, within group: TenantGroup?
  ) {
    (self.source, self.records, self.group) = (source, records, group)
  }

  public var isAtEnd: Bool {
    switch source {
    case .records(let cursor): cursor.isAtEnd
    case .members(let cursor): cursor.isAtEnd
    case .times(let cursor): cursor.isAtEnd
    case .texts(let cursor): cursor.upcoming.map { !holds($0.orderKey.key) } ?? true
    case .labels(let cursor): cursor.upcoming.map { !holds($0.orderKey.key) } ?? true
    }
  }

  public mutating func next(_ budget: inout WorkBudget) -> TenantRecord? {
    guard !isAtEnd else { return nil }
    let id: TenantID?
    switch source {
    case .records(var cursor):
      // What was there is let go, so that it is changed in place.
      source = .records(Cursor())
      defer { source = .records(cursor) }
      return cursor.next(&budget)
    case .members(var cursor):
      source = .records(Cursor())
      id = cursor.next(&budget)?.orderKey
      source = .members(cursor)
    case .times(var cursor):
      source = .records(Cursor())
      id = cursor.next(&budget)?.id
      source = .times(cursor)
    case .texts(var cursor):
      source = .records(Cursor())
      id = cursor.next(&budget)?.id
      source = .texts(cursor)
    case .labels(var cursor):
      source = .records(Cursor())
      id = cursor.next(&budget)?.id
      source = .labels(cursor)
    }
    guard let id else { return nil }
    // Looking for the record takes longer than going on does.
    budget.visit()
    return records.find(id)
  }

  private func holds(_ text: ByteOrder) -> Bool {
    switch group {
    case .slugPrefix(let prefix): text.text.utf8.starts(with: prefix.utf8)
    case .plan(let plan): text == ByteOrder(plan)
    case .state, .isolationModel, .label, nil: true
    }
  }

  private func holds(_ label: LabelKey) -> Bool {
    if case .label(let key, let value) = group { label == LabelKey(key, value) } else { true }
  }
}

extension ControlState {
  /// Tenants in an order, from a place on.
  /// - Parameters:
  ///   - group: only those; it is looked at where it has its own place in the order only: see `hasOrder(_:of:)`.
  ///   - place: what is behind it.
  public func listing(
    _ order: TenantOrder, of group: TenantGroup? = nil, after place: TenantListPlace? = nil
  ) -> TenantListing {
    let down = order.isDescending
    let group = group.flatMap { Self.hasOrder(order, of: $0) ? $0 : nil }
    switch order.field {
    case .createTime: return byAge(group, after: place?.id, down)
    case .updateTime:
      // In range: what is no number comes from nobody, and stands at the beginning.
      let key = place.map { place in
        TenantPlace<Timestamp>.OrderKey(
          key: Timestamp(nanoseconds: Int64(place.text) ?? .min), id: place.id)
      }
      return TenantListing(
        .times(Cursor(indexes.byUpdateTime, after: key, descending: down)), tenants, within: nil)
    case .displayName:
      let key = place.map(Self.key)
      return TenantListing(
        .texts(Cursor(indexes.byDisplayName, after: key, descending: down)), tenants, within: nil)
    case .slug:
      var key = place.map(Self.key)
      if key == nil, case .slugPrefix(let prefix) = group {
        // Behind all slugs, which are ASCII, that begin like this.
        let edge = down ? prefix + "\u{10FFFF}" : prefix
        key = .init(key: ByteOrder(edge), id: .least)
      }
      return TenantListing(
        .texts(Cursor(indexes.bySlug, after: key, descending: down)), tenants, within: group)
    }
  }

  /// Whether tenants of a group are found together in this order.
  public static func hasOrder(_ order: TenantOrder, of group: TenantGroup) -> Bool {
    switch (group, order.field) {
    case (.slugPrefix, .slug): true
    case (.state, .createTime), (.isolationModel, .createTime), (.plan, .createTime),
      (.label, .createTime):
      true
    default: false
    }
  }

  /// How many tenants a group has, roughly where they are many. Takes a few hundred steps at most.
  public func estimatedCount(of group: TenantGroup) -> Int {
    switch group {
    case .state(let state): return indexes.members(state).count
    case .isolationModel(let model): return indexes.members(model).count
    case .plan, .label, .slugPrefix:
      let field =
        if case .slugPrefix = group { TenantOrder.Field.slug } else { TenantOrder.Field.createTime }
      let most = 256
      var budget = WorkBudget(visits: most)
      let count = steps(listing(TenantOrder(field), of: group), &budget)
      return budget.isSpent ? max(count, tenantCount / 2) : count
    }
  }

  private func steps(_ listing: TenantListing, _ budget: inout WorkBudget) -> Int {
    var (listing, count) = (listing, 0)
    while listing.skip(&budget) { count += 1 }
    return count
  }

  private func byAge(
    _ group: TenantGroup?, after id: TenantID?, _ down: Bool
  ) -> TenantListing {
    switch group {
    case .state(let state):
      return members(indexes.members(state), after: id, down)
    case .isolationModel(let model):
      return members(indexes.members(model), after: id, down)
    case .plan(let plan):
      let key = TenantPlace.OrderKey(
        key: ByteOrder(plan), id: id ?? (down ? .greatest : .least))
      return TenantListing(
        .texts(Cursor(indexes.byPlan, after: key, descending: down)), tenants, within: group)
    case .label(let label, let value):
      let key = TenantPlace.OrderKey(
        key: LabelKey(label, value), id: id ?? (down ? .greatest : .least))
      return TenantListing(
        .labels(Cursor(indexes.byLabel, after: key, descending: down)), tenants, within: group)
    case .slugPrefix, nil:
      return TenantListing(Cursor(tenants, after: id, descending: down))
    }
  }

  private func members(
    _ tree: OrderedTree<TenantIndexes.Member>, after id: TenantID?, _ down: Bool
  ) -> TenantListing {
    TenantListing(.members(Cursor(tree, after: id, descending: down)), tenants, within: nil)
  }

  private static func key(_ place: TenantListPlace) -> TenantPlace<ByteOrder>.OrderKey {
    .init(key: ByteOrder(place.text), id: place.id)
  }
}

extension TenantListing {
  /// Goes on without looking for the record.
  fileprivate mutating func skip(_ budget: inout WorkBudget) -> Bool {
    guard !isAtEnd, !budget.isSpent else { return false }
    switch source {
    case .texts(var cursor):
      source = .records(Cursor())
      _ = cursor.next(&budget)
      source = .texts(cursor)
    case .labels(var cursor):
      source = .records(Cursor())
      _ = cursor.next(&budget)
      source = .labels(cursor)
    case .records, .members, .times: return false
    }
    return true
  }
}

extension TenantID {
  /// Before all ids.
  fileprivate static let least = TenantID(high: 0, low: 0)
  /// Behind all ids.
  fileprivate static let greatest = TenantID(high: .max, low: .max)
}
