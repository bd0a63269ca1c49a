internal import Tenancy

/// The table `request_counts`: what tenants' requests count by their limits. It is no part of the control plane's state,
/// has no place in its log, and is not audited.
///
/// Counts are in millionths of a request, times in milliseconds since 1970, `rate` in millionths in a millisecond.
/// `begin` is when a quota's period has begun.
enum LimitCounts {
  private static let unit = 1e6
  /// Milliseconds by which the clock seems to go back where transactions wait for each other, at most.
  private static let setBack = 10_000

  /// Limits are among what is there: a program that does not know of them would drop them with the tenant's next change.
  /// Without a foreign key: a count is of no use to a tenant that is gone, and ends by itself.
  static let postgreSQL = """
    CREATE TABLE request_counts (
      tenant_id TEXT COLLATE "C" NOT NULL,
      name TEXT COLLATE "C" NOT NULL,
      used BIGINT NOT NULL,
      most BIGINT NOT NULL,
      rate DOUBLE PRECISION NOT NULL,
      time BIGINT NOT NULL,
      begin BIGINT NOT NULL,
      node TEXT COLLATE "C" NOT NULL,
      other_time BIGINT NOT NULL,
      age BIGINT NOT NULL,
      PRIMARY KEY (tenant_id, name)
    );

    CREATE TABLE limit_nodes (
      name TEXT COLLATE "C" PRIMARY KEY,
      expire_time BIGINT NOT NULL
    );
    """

  /// Adds uses, given as JSON, and returns what each counts then. `other_time` is when another node than the one that
  /// tells of it now, `node`, has told of it last, or may have done so: when the row was made.
  static func settle(_ dialect: SQLDialect) -> String {
    let now = dialect.nowMilliseconds
    let types = [
      "TEXT", "TEXT", "BIGINT", "BIGINT", "DOUBLE PRECISION", "TEXT", "TEXT", "BIGINT",
    ]
    let (rows, least, greatest) =
      switch dialect {
      case .sqlite: ("json_each(?1) WHERE true", "min", "max")
      case .postgreSQL: ("json_array_elements($1::json) AS value", "least", "greatest")
      }
    let fields = zip(0..<8, types).map { index, type in
      switch dialect {
      case .sqlite: "CAST(value ->> \(index) AS \(type == "DOUBLE PRECISION" ? "REAL" : type))"
      case .postgreSQL: "CAST(value ->> \(index) AS \(type))"
      }
    }
    // A later one was there first, and its time has passed; unless the clock was set back.
    let time =
      "CASE WHEN c.time - excluded.time > \(setBack) THEN excluded.time "
      + "ELSE \(greatest)(c.time, excluded.time) END"
    // What was there is emptied until the first of the new ones came, and then both.
    let elapsed = "\(greatest)(0, excluded.time - c.time)"
    let former = "CASE WHEN excluded.begin > c.begin THEN 0 ELSE c.used END"
    let before = "\(greatest)(0, \(elapsed) - excluded.age)"
    let all =
      "\(greatest)(0.0, \(former) - excluded.rate * \(before)) + excluded.used "
      + "- excluded.rate * \(least)(excluded.age, \(elapsed))"
    return """
      INSERT INTO request_counts AS c
        (tenant_id, name, used, most, rate, time, begin, node, other_time, age)
      SELECT \(fields[0]), \(fields[1]), \(fields[2]), \(fields[3]), \(fields[4]), \(now),
        \(begin(dialect, of: fields[5])), \(fields[6]), \(now), \(fields[7])
      FROM \(rows) ORDER BY 1, 2
      ON CONFLICT (tenant_id, name) DO UPDATE SET
        used = CAST(\(least)(excluded.most, \(greatest)(0.0, \(all))) AS BIGINT),
        most = excluded.most, age = excluded.age,
        rate = excluded.rate, time = \(time), begin = excluded.begin, node = excluded.node,
        other_time = CASE WHEN c.node = excluded.node THEN c.other_time ELSE c.time END
      RETURNING tenant_id, name, used, begin,
        CAST(CASE WHEN abs(time - other_time) > \(LimitSettlement.othersLast.wholeMilliseconds)
          THEN 1 ELSE 0 END AS BIGINT)
      """
  }

  /// When the calendar's period of now has begun, in UTC.
  private static func begin(_ dialect: SQLDialect, of period: String) -> String {
    let cases = ["day", "month", "year"].map { name in
      switch dialect {
      case .sqlite:
        "WHEN '\(name)' THEN unixepoch('now', 'start of \(name)') * 1000"
      case .postgreSQL:
        "WHEN '\(name)' THEN (extract(epoch FROM date_trunc('\(name)', clock_timestamp() "
          + "AT TIME ZONE 'UTC')) * 1000)::bigint"
      }
    }
    return "CASE \(period) \(cases.joined(separator: " ")) ELSE 0 END"
  }

  /// Quotas, those first that have begun last.
  static func quotas(limit: Int) -> String {
    "SELECT tenant_id, name, used, begin, CAST(0 AS BIGINT) FROM request_counts WHERE rate = 0 "
      + "ORDER BY begin DESC LIMIT \(limit)"
  }

  /// Removes what says nothing any more: buckets that are full again, and quotas of long ago.
  static func prune(_ dialect: SQLDialect) -> String {
    let now = dialect.nowMilliseconds
    let longest: Int64 = 400 * 86_400_000
    let condition = "time < \(now) - \(longest) OR (rate > 0 AND (\(now) - time) * rate > used)"
    switch dialect {
    case .sqlite: return "DELETE FROM request_counts WHERE \(condition)"
    case .postgreSQL:
      // What is counted at this moment is not waited for.
      return "DELETE FROM request_counts WHERE ctid = ANY(ARRAY(SELECT ctid FROM request_counts "
        + "WHERE \(condition) FOR UPDATE SKIP LOCKED))"
    }
  }

  /// The uses as JSON. Counts are texts, for large numbers are written with exponents.
  static func document(_ uses: [LimitUse], by node: String) -> String {
    JSONValue.array(
      uses.map { use in
        [
          .string(use.key.tenant.description), .string(use.key.text),
          .string("\(whole(use.spent))"), .string("\(whole(use.most))"),
          .number(use.rate * unit / 1000), .string(use.period?.rawValue ?? ""), .string(node),
          .string("\(use.age)"),
        ]
      }
    ).text()
  }

  private static func whole(_ requests: Double) -> Int64 {
    Int64(min(max(0, requests * unit), 9e18).rounded())
  }

  /// A row that was returned.
  static func read(_ row: some TableRow) -> (key: LimitKey, count: LimitCount)? {
    guard let id = row.text(0), let tenant = TenantID(parsing: id), let text = row.text(1),
      let used = row.integer(2), let begin = row.integer(3), let isAlone = row.integer(4)
    else { return nil }
    return (
      LimitKey(tenant: tenant, text: text),
      LimitCount(used: Double(used) / unit, begin: begin / 1000, isAlone: isAlone != 0)
    )
  }
}
