import Tenancy

/// What a list of tenants is asked for: which, and in which order.
struct TenantQuery: Sendable {
  /// Bytes of an order.
  static let maximumOrderLength = 64

  let filter: TenantFilter
  let order: TenantOrder

  /// - Parameter orderBy: fields with commas between, and ` desc` behind one if the greatest is to be first. Behind one
  ///   that tenants may share comes `create_time`, as it does without being named. Empty: the oldest first; where the
  ///   filter asks for how slugs begin, in order of these, as they are found together.
  init(filter: String, orderBy: String) throws(TenancyError) {
    self.filter = try TenantFilter(parsing: filter)
    order =
      try Self.order(orderBy) ?? TenantOrder(self.filter.slugPrefix == nil ? .createTime : .slug)
  }

  private static func order(_ text: String) throws(TenancyError) -> TenantOrder? {
    guard text.utf8.count <= maximumOrderLength else {
      throw wrong("longer than \(maximumOrderLength) bytes")
    }
    let keys = text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
    var orders: [TenantOrder] = []
    for key in keys {
      let words = key.split(separator: UInt8(ascii: " ")).map { String(Substring($0)) }
      if words.isEmpty, keys.count == 1 { return nil }
      guard let name = words.first, let field = TenantOrder.Field(rawValue: name),
        words.count <= 2, words.count == 1 || words[1] == "desc" || words[1] == "asc"
      else {
        throw wrong(
          "create_time, update_time, slug and display_name, with commas between and desc behind one or not"
        )
      }
      guard !orders.contains(where: { $0.field == field }) else {
        throw wrong("\(field.rawValue) is there twice")
      }
      orders.append(TenantOrder(field, isDescending: words.last == "desc"))
    }
    guard let first = orders.first else { return nil }
    // No two tenants have the same of these: what comes behind orders nothing any more.
    if first.field == .createTime || first.field == .slug { return first }
    guard
      orders.count == 1 || orders[1] == TenantOrder(.createTime, isDescending: first.isDescending)
    else {
      throw wrong("behind \(first.field.rawValue) only create_time, in the same direction")
    }
    return first
  }

  private static func wrong(_ description: String) -> TenancyError {
    .invalid("order_by", description, reason: .invalidFilter)
  }

  /// The tenants that may match, behind a place: those of the smallest group that all have to be of and that are found
  /// together in the order, or all.
  func candidates(in state: ControlState, after place: TenantListPlace?) -> TenantListing {
    let groups = filter.groups.filter { ControlState.hasOrder(order, of: $0) }
    guard groups.count > 1 else { return state.listing(order, of: groups.first, after: place) }
    let group = groups.map { (group: $0, count: state.estimatedCount(of: $0)) }
      .min { $0.count < $1.count }?.group
    return state.listing(order, of: group, after: place)
  }

  /// The place that a token names.
  /// - Throws: INVALID_ARGUMENT for what no list gave out.
  func place(_ token: String) throws(TenancyError) -> TenantListPlace {
    let parts = token.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let id = TenantID(parsing: String(parts[0])) else {
      throw .invalid("page_token", "not one that this list gave out")
    }
    return TenantListPlace(id: id, text: String(parts[1]))
  }

  /// What a token says of the place behind which the next page begins.
  func token(of record: TenantRecord) -> String {
    "\(record.idText) \(order.place(of: record.tenant).text)"
  }
}

extension TenantFilter {
  /// Groups that all matches are of, which are few: each is looked at to find the smallest.
  var groups: [TenantGroup] { Array(required.compactMap(\.group).prefix(Self.maximumGroups)) }

  private static let maximumGroups = 8

  /// How all matches' slugs begin, where the filter says so.
  var slugPrefix: String? {
    for case .slugPrefix(let prefix) in groups { return prefix }
    return nil
  }
}

extension FilterTest {
  fileprivate var group: TenantGroup? {
    switch (field, condition) {
    case (.state, .text(.equal, let name)): TenantState(rawValue: name).map(TenantGroup.state)
    case (.isolationModel, .text(.equal, let name)):
      IsolationModel(rawValue: name).map(TenantGroup.isolationModel)
    case (.plan, .text(.equal, let plan)): plan.isEmpty ? nil : .plan(plan)
    case (.label(let key?), .text(.equal, let value)): .label(key: key, value: value)
    case (.slug, .prefix(isWanted: true, let prefix)): prefix.isEmpty ? nil : .slugPrefix(prefix)
    default: nil
    }
  }
}
