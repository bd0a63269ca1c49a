internal import CTenancySQLite
public import Tenancy

/// A file's limits are one node's: its buckets are counted in memory, its quotas here.
extension SQLiteStore: LimitLedger {
  public var isShared: Bool { false }

  public func settle(
    _ uses: [LimitUse], by node: String
  ) throws(StoreError) -> LimitSettlement {
    guard !uses.isEmpty else { return LimitSettlement(nodes: 1, used: [:]) }
    var used: [LimitKey: Double] = [:]
    try write { (database) throws(StoreError) in used = try database.settle(uses) }
    return LimitSettlement(nodes: 1, used: used)
  }

  public func quotas(limit: Int) throws(StoreError) -> [LimitKey: UsedQuota] {
    var found: [LimitKey: UsedQuota] = [:]
    try read { (database) throws(StoreError) in
      try database.connection.readRows(LimitCounts.quotas(limit: limit)) {
        row throws(StoreError) -> Void in
        if let (key, quota) = LimitCounts.readQuota(row) { found[key] = quota }
      }
    }
    return found
  }

  public func prune() throws(StoreError) {
    try write { (database) throws(StoreError) in try database.pruneCounts() }
  }

  public func leave(_ node: String) throws(StoreError) {}
}

extension Database {
  func settle(_ uses: [LimitUse]) throws(StoreError) -> [LimitKey: Double] {
    var used: [LimitKey: Double] = [:]
    try commit { () throws(StoreError) in
      try asStoreError { () throws(SQLiteError) in
        let statement = try connection.prepare(LimitCounts.settle(.sqlite))
        try statement.bind([.text(LimitCounts.document(uses))])
        while try statement.step() {
          if let (key, count) = LimitCounts.read(statement) { used[key] = count }
        }
      }
    }
    return used
  }

  func pruneCounts() throws(StoreError) {
    try commit { () throws(StoreError) in
      try asStoreError { () throws(SQLiteError) in
        try connection.execute(LimitCounts.prune(.sqlite))
      }
    }
  }
}
