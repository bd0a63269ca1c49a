internal import CTenancySQLite
public import Tenancy
import TenancyDatabase

/// A file's limits are one node's: its buckets are counted in memory, its quotas here.
extension SQLiteStore: LimitLedger {
  public var isShared: Bool { false }

  public func settle(
    _ uses: [LimitUse], by node: String
  ) throws(StoreError) -> LimitSettlement {
    guard !uses.isEmpty else { return LimitSettlement(nodes: 1, counts: [:]) }
    var counts: [LimitKey: LimitCount] = [:]
    try write { (database) throws(StoreError) in
      counts = try database.settle(uses, by: node)
    }
    return LimitSettlement(nodes: 1, counts: counts)
  }

  public func quotas(limit: Int) throws(StoreError) -> [LimitKey: LimitCount] {
    var found: [LimitKey: LimitCount] = [:]
    try read { (database) throws(StoreError) in
      try database.connection.readRows(LimitCounts.quotas(limit: limit)) {
        row throws(StoreError) -> Void in
        if let (key, count) = LimitCounts.read(row) { found[key] = count }
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
  func settle(_ uses: [LimitUse], by node: String) throws(StoreError) -> [LimitKey: LimitCount] {
    var counts: [LimitKey: LimitCount] = [:]
    try commit { () throws(StoreError) in
      try asStoreError { () throws(SQLiteError) in
        let statement = try connection.prepare(LimitCounts.settle(.sqlite))
        try statement.bind([.text(LimitCounts.document(uses, by: node))])
        while try statement.step() {
          if let (key, count) = LimitCounts.read(statement) { counts[key] = count }
        }
      }
    }
    return counts
  }

  func pruneCounts() throws(StoreError) {
    try commit { () throws(StoreError) in
      try asStoreError { () throws(SQLiteError) in
        try connection.execute(LimitCounts.prune(.sqlite))
      }
    }
  }
}
