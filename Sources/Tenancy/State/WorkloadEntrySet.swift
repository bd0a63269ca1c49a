/// The registration entries of workloads. A value with shared structure: a change costs the same among ten and among
/// ten thousand.
public struct WorkloadEntrySet: Sendable {
  private var byID = OrderedTree<WorkloadEntry>()
  /// By the owner's name.
  private var byOwner = ByteTable<OrderedTree<WorkloadEntry>>()
  /// By the selector that narrows most.
  private var byKey = ByteTable<OrderedTree<WorkloadEntry>>()

  /// There are none.
  public init() {}

  // MARK: Reading

  /// Of all tenants and of the platform.
  public var count: Int { byID.count }

  /// One by its id.
  public func find(_ id: String) -> WorkloadEntry? { byID.find(id) }

  /// All, in the order of their ids, those with greater ones than `id` if it is given.
  public func all(after id: String? = nil) -> Cursor<WorkloadEntry> { byID.cursor(after: id) }

  /// Those of one tenant, or of the platform.
  public func entries(
    of tenant: TenantID?, after id: String? = nil
  ) -> Cursor<WorkloadEntry> {
    byOwner[Self.owner(tenant)]?.cursor(after: id) ?? Cursor()
  }

  /// How many a tenant has, or the platform.
  public func count(of tenant: TenantID?) -> Int { byOwner[Self.owner(tenant)]?.count ?? 0 }

  /// How many are looked at for the same processes as one of these selectors.
  public func count(alike selectors: WorkloadEntry.Selectors) -> Int {
    byKey[Self.key(selectors)]?.count ?? 0
  }

  /// Those that may match a process: all of its user, and those of no user that name its program. In the order of
  /// their ids, within each of both.
  /// - Parameter binaryPath: nil where it is not known: then none is found by it.
  public func candidates(userID: UInt32, binaryPath: String?) -> [WorkloadEntry] {
    var found: [WorkloadEntry] = []
    func take(_ tree: OrderedTree<WorkloadEntry>?) {
      guard let tree else { return }
      var (all, budget) = (tree.cursor(), WorkBudget.uncapped)
      while let entry = all.next(&budget) { found.append(entry) }
    }
    take(byKey[Self.key(userID)])
    if let binaryPath { take(byKey[Self.key(binaryPath)]) }
    return found
  }

  // MARK: Changing

  mutating func put(_ entry: WorkloadEntry) {
    remove(entry.id)
    byID.put(entry)
    Self.edit(&byOwner, Self.owner(entry.tenant)) { _ = $0.put(entry) }
    Self.edit(&byKey, Self.key(entry.selectors)) { _ = $0.put(entry) }
  }

  mutating func remove(_ id: String) {
    guard let entry = byID.remove(id) else { return }
    Self.edit(&byOwner, Self.owner(entry.tenant)) { _ = $0.remove(id) }
    Self.edit(&byKey, Self.key(entry.selectors)) { _ = $0.remove(id) }
  }

  private static func edit(
    _ table: inout ByteTable<OrderedTree<WorkloadEntry>>, _ key: String,
    _ body: (inout OrderedTree<WorkloadEntry>) -> Void
  ) {
    var tree = table[key] ?? OrderedTree()
    body(&tree)
    table[key] = tree.isEmpty ? nil : tree
  }

  private static func owner(_ tenant: TenantID?) -> String { tenant?.description ?? "platform" }

  private static func key(_ selectors: WorkloadEntry.Selectors) -> String {
    selectors.userID.map { key($0) } ?? key(selectors.binaryPath ?? "")
  }

  private static func key(_ userID: UInt32) -> String { "uid \(userID)" }
  private static func key(_ binaryPath: String) -> String { "path \(binaryPath)" }

  func unsharedNodes(with other: Self) -> Int {
    byID.unsharedNodes(with: other.byID) + byOwner.unshared(with: other.byOwner).nodes
      + byKey.unshared(with: other.byKey).nodes
  }
}
