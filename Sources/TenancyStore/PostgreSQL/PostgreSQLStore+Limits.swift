internal import Synchronization
public import Tenancy
import TenancyDatabase

/// By a connection of its own: requests' limits wait for no write. It does not wait for the disk either: in a crash of
/// the server the last counts may be lost.
extension PostgreSQLStore: LimitLedger {
  public var isShared: Bool { true }

  public func settle(
    _ uses: [LimitUse], by node: String
  ) throws(StoreError) -> LimitSettlement {
    try withConnection(of: ledger) { connection throws(StoreError) in
      try batch(connection).settle(uses, by: node)
    }
  }

  public func quotas(limit: Int) throws(StoreError) -> [LimitKey: LimitCount] {
    try withConnection(of: ledger) { connection throws(StoreError) in
      let rows = PostgreSQLRows(connection: connection, timeout: configuration.answerTimeout)
      var found: [LimitKey: LimitCount] = [:]
      try read(connection) { _ throws(StoreError) in
        try rows.readRows(LimitCounts.quotas(limit: limit)) { row throws(StoreError) -> Void in
          if let (key, count) = LimitCounts.read(row) { found[key] = count }
        }
      }
      return found
    }
  }

  public func prune() throws(StoreError) {
    try withConnection(of: ledger) { connection throws(StoreError) in
      try batch(connection).change(LimitCounts.prune(.postgreSQL), [])
    }
  }

  public func leave(_ node: String) throws(StoreError) {
    try withConnection(of: ledger) { connection throws(StoreError) in
      try batch(connection).change("DELETE FROM limit_nodes WHERE name = $1", [.text(node)])
    }
  }
}

extension PostgreSQLBatch {
  private static let hasty = "SET LOCAL synchronous_commit TO off"
  private static let now = SQLDialect.postgreSQL.nowMilliseconds
  private static let lasts = LimitSettlement.nodeLasts.wholeMilliseconds
  private static let present =
    "INSERT INTO limit_nodes (name, expire_time) VALUES ($1, \(now) + \(lasts)) "
    + "ON CONFLICT (name) DO UPDATE SET expire_time = excluded.expire_time"
  /// One whose time is longer than any is given has said so before the clock was set back.
  private static let count =
    "SELECT count(*) FROM limit_nodes WHERE expire_time > \(now) "
    + "AND expire_time <= \(now) + \(lasts)"
  private static let forget = "DELETE FROM limit_nodes WHERE expire_time < \(now) - 86400000"
  private static let settle = LimitCounts.settle(.postgreSQL)

  func settle(_ uses: [LimitUse], by node: String) throws(StoreError) -> LimitSettlement {
    let document = LimitCounts.document(uses, by: node)
    let results = try pipeline { () throws(PostgreSQLError) in
      try connection.queue(Self.begin)
      try connection.queue(Self.hasty)
      try connection.queue(Self.present, [.text(node)])
      try connection.queue(Self.forget)
      try connection.queue(Self.count)
      if !uses.isEmpty { try connection.queue(Self.settle, [.text(document)]) }
    }
    var (nodes, counts) = (1, [LimitKey: LimitCount]())
    try commit { () throws(StoreError) in
      try asStoreError { () throws(PostgreSQLError) in
        for result in results { try result.check(Self.settle) }
      }
      nodes = Int(clamping: results[4].row(0).integer(0) ?? 1)
      guard !uses.isEmpty else { return }
      for index in 0..<results[5].rowCount {
        if let (key, count) = LimitCounts.read(results[5].row(index)) { counts[key] = count }
      }
    }
    return LimitSettlement(nodes: max(1, nodes), counts: counts)
  }

  func change(_ sql: String, _ values: [SQLValue]) throws(StoreError) {
    let results = try pipeline { () throws(PostgreSQLError) in
      try connection.queue(Self.begin)
      try connection.queue(Self.hasty)
      try connection.queue(sql, values)
    }
    try commit { () throws(StoreError) in
      try asStoreError { () throws(PostgreSQLError) in
        for result in results { try result.check(sql) }
      }
    }
  }
}
