/// The requests that are remembered. A value with shared structure: what a change costs does not depend on how many
/// there are.
struct RememberedRequests: Sendable {
  /// All of one account, or of all tenants.
  private struct Timed: Ordered {
    let request: RememberedRequest
    var orderKey: RememberedRequest.OrderKey { request.order }
  }
  /// Of tenants, by these.
  private struct Owned: Ordered {
    struct Key: Comparable, Sendable {
      let owner: TenantID
      let order: RememberedRequest.OrderKey?

      static func < (a: Self, b: Self) -> Bool {
        if a.owner != b.owner { return a.owner < b.owner }
        guard let other = b.order else { return false }
        return a.order.map { $0 < other } ?? true
      }
    }

    let request: RememberedRequest
    let orderKey: Key
  }

  private var table = ByteTable<RememberedRequest>()
  private var ofPlatform = OrderedTree<Timed>()
  private var ofTenants = OrderedTree<Timed>()
  private var byTenant = OrderedTree<Owned>()
  private var counts = ByteTable<Int>()

  var count: Int { table.count }

  func find(_ key: RememberedRequest.Key) -> RememberedRequest? { table[key.text] }

  /// How many are on an account; nil: the platform's.
  func count(of payer: TenantID?) -> Int {
    payer.map { counts[$0.description] ?? 0 } ?? ofPlatform.count
  }

  /// All tenants' together.
  var countOfTenants: Int { ofTenants.count }

  /// So many of the oldest of all tenants', the oldest first.
  func oldestOfTenants(_ count: Int) -> [RememberedRequest] {
    var (all, budget) = (ofTenants.cursor(), WorkBudget.uncapped)
    var found: [RememberedRequest] = []
    while found.count < count, let next = all.next(&budget) { found.append(next.request) }
    return found
  }

  /// So many of the oldest of an account, the oldest first.
  func oldest(_ count: Int, of payer: TenantID?) -> [RememberedRequest] {
    var found: [RememberedRequest] = []
    var budget = WorkBudget.uncapped
    guard let payer else {
      var all = ofPlatform.cursor()
      while found.count < count, let next = all.next(&budget) { found.append(next.request) }
      return found
    }
    var all = byTenant.cursor(after: Owned.Key(owner: payer, order: nil))
    while found.count < count, let next = all.next(&budget), next.orderKey.owner == payer {
      found.append(next.request)
    }
    return found
  }

  mutating func put(_ request: RememberedRequest) {
    if let former = find(request.key) { drop(former) }
    table[request.key.text] = request
    guard let payer = request.payer else {
      ofPlatform.put(Timed(request: request))
      return
    }
    ofTenants.put(Timed(request: request))
    byTenant.put(
      Owned(request: request, orderKey: Owned.Key(owner: payer, order: request.order)))
    counts[payer.description] = count(of: payer) + 1
  }

  /// Forgets those of an account that were carried out before a moment.
  mutating func forget(of payer: TenantID?, before moment: Timestamp) {
    while let oldest = oldest(1, of: payer).first, oldest.time < moment { drop(oldest) }
  }

  private mutating func drop(_ request: RememberedRequest) {
    table[request.key.text] = nil
    guard let payer = request.payer else {
      ofPlatform.remove(request.order)
      return
    }
    ofTenants.remove(request.order)
    byTenant.remove(Owned.Key(owner: payer, order: request.order))
    let rest = count(of: payer) - 1
    counts[payer.description] = rest > 0 ? rest : nil
  }

  /// For tests, which hold changes to what they touch.
  func unsharedNodes(with other: Self) -> Int {
    table.unshared(with: other.table).nodes + counts.unshared(with: other.counts).nodes
      + ofPlatform.unsharedNodes(with: other.ofPlatform)
      + ofTenants.unsharedNodes(with: other.ofTenants)
      + byTenant.unsharedNodes(with: other.byTenant)
  }
}
