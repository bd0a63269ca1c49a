internal import Tenancy

/// The table `request_counts`: what tenants' requests count by their limits. It is no part of the control plane's state,
/// has no place in its log, and is not audited.
///
/// Counts are in millionths of a request, times in milliseconds since 1970, `rate` in millionths in a millisecond.
/// `begin` is when a quota's period has begun.
enum LimitCounts {
  private static let unit = 1e6

  /// Adds uses, given as JSON, and returns what each counts then.
  static func settle(_ dialect: SQLDialect) -> String {
    let now = dialect.nowMilliseconds
    let (rows, fields, least, greatest) =
      switch dialect {
      case .sqlite:
        (
          "json_each(?1) WHERE true", (0..<6).map { "value ->> \($0)" }, "min", "max"
        )
      case .postgreSQL:
        (
          "json_array_elements($1::json) AS value",
          zip(0..<6, ["text", "text", "bigint", "bigint", "float8", "text"]).map {
            "(value ->> \($0))::\($1)"
          }, "least", "greatest"
        )
      }
    let left =
      "CASE WHEN excluded.begin > c.begin THEN 0 ELSE c.used - CAST(\(least)(c.used, "
      + "\(greatest)(0, excluded.time - c.time) * excluded.rate) AS BIGINT) END"
    return """
      INSERT INTO request_counts AS c (tenant_id, name, used, most, rate, time, begin)
      SELECT \(fields[0]), \(fields[1]), \(fields[2]), \(fields[3]), \(fields[4]), \(now),
        \(begin(dialect, of: fields[5]))
      FROM \(rows) ORDER BY 1, 2
      ON CONFLICT (tenant_id, name) DO UPDATE SET
        used = \(least)(excluded.most, \(left) + excluded.used), most = excluded.most,
        rate = excluded.rate, time = \(greatest)(c.time, excluded.time),
        begin = \(greatest)(c.begin, excluded.begin)
      RETURNING tenant_id, name, used
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

  /// Quotas, with when their periods have begun.
  static func quotas(limit: Int) -> String {
    "SELECT tenant_id, name, used, begin FROM request_counts WHERE rate = 0 LIMIT \(limit)"
  }

  static func readQuota(_ row: some TableRow) -> (key: LimitKey, quota: UsedQuota)? {
    guard let (key, used) = read(row), let begin = row.integer(3) else { return nil }
    return (key, UsedQuota(used: used, begin: begin / 1000))
  }

  /// Removes what says nothing any more: buckets that are full again, and quotas of long ago.
  static func prune(_ dialect: SQLDialect) -> String {
    let now = dialect.nowMilliseconds
    let longest: Int64 = 400 * 86_400_000
    return "DELETE FROM request_counts WHERE time < \(now) - \(longest) "
      + "OR (rate > 0 AND (\(now) - time) * rate > used)"
  }

  /// The uses as JSON.
  static func document(_ uses: [LimitUse]) -> String {
    JSONValue.array(
      uses.map { use in
        [
          .string(use.key.tenant.description), .string(use.key.text),
          .number((use.spent * unit).rounded()), .number((use.most * unit).rounded()),
          .number(use.rate * unit / 1000), .string(use.period?.rawValue ?? ""),
        ]
      }
    ).text()
  }

  /// A row that was returned.
  static func read(_ row: some TableRow) -> (key: LimitKey, used: Double)? {
    guard let id = row.text(0), let tenant = TenantID(parsing: id), let text = row.text(1),
      let used = row.integer(2)
    else { return nil }
    return (LimitKey(tenant: tenant, text: text), Double(used) / unit)
  }
}
