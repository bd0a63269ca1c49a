/// How many requests there may be in a time.
///
/// Of a second, minute or hour it is a token bucket: it is filled all the time, and full with `burst` requests. Of a
/// day, month or year it is a quota: it begins anew with the calendar's, in UTC.
public struct RequestLimit: Hashable, Sendable {
  /// Raw values are those stored on disk.
  public enum Period: String, Hashable, Sendable, CaseIterable, Codable {
    /// A token bucket's.
    case second, minute, hour
    /// A quota's.
    case day, month, year

    /// Of a token bucket; nil: it is a quota's.
    var seconds: Double? {
      switch self {
      case .second: 1
      case .minute: 60
      case .hour: 3600
      case .day, .month, .year: nil
      }
    }

    /// Whether it is a quota's, which begins anew with the calendar's.
    public var isCalendar: Bool { seconds == nil }
  }

  /// What a limit is for that is not named.
  public static let usualName = "requests"
  /// Bytes of a name.
  public static let maximumNameBytes = 32
  /// Of `requests` and `burst`.
  public static let maximumRequests: Int64 = 1_000_000_000
  /// Of one tenant, or of a plan.
  public static let maximumCount = 16

  /// Which requests it counts, as Envoy tells of them. There may be several of a name: all are to be met.
  public let name: String
  /// At least 1.
  public let requests: Int64
  /// The time that `requests` are for.
  public let period: Period
  /// At most how many at once: of a quota, `requests`.
  public let burst: Int64

  /// - Parameters:
  ///   - name: lower-case letters, digits, `-` and `_`; empty: `usualName`.
  ///   - burst: 0: `requests`. A quota has no other.
  /// - Throws: INVALID_ARGUMENT with what is wrong, by the names of the fields behind `field`.
  public init(
    name: String, requests: Int64, period: Period, burst: Int64 = 0, field: String
  ) throws(TenancyError) {
    var checks = FieldChecks()
    let name = name.isEmpty ? Self.usualName : name
    if !Self.isName(name) {
      checks.note(
        .invalid(
          "\(field).name", "1 to \(Self.maximumNameBytes) of a-z, 0-9, '-' and '_'"))
    }
    if !(1...Self.maximumRequests).contains(requests) {
      checks.note(.invalid("\(field).requests", "1 to \(Self.maximumRequests)"))
    }
    if period.isCalendar, burst != 0, burst != requests {
      checks.note(.invalid("\(field).burst", "only for limits of a second, minute or hour"))
    } else if !(0...Self.maximumRequests).contains(burst) {
      checks.note(.invalid("\(field).burst", "0 to \(Self.maximumRequests)"))
    }
    try checks.finish()
    self.name = name
    self.requests = requests
    self.period = period
    self.burst = burst == 0 ? requests : burst
  }

  /// One that is known to be valid.
  init(name: String, requests: Int64, per period: Period, burst: Int64) {
    self.name = name
    self.requests = requests
    self.period = period
    self.burst = burst
  }

  /// Whether a limit or a plan may be called that.
  public static func isName(_ text: String) -> Bool {
    (1...maximumNameBytes).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
          || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
          || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
      }
  }

  /// Requests in a second that fill the bucket again; 0 of a quota.
  var rate: Double { period.seconds.map { Double(requests) / $0 } ?? 0 }

  /// Whether it is about the same requests and time as another: of such two the one counts that is nearer to the tenant.
  func replaces(_ other: RequestLimit) -> Bool { name == other.name && period == other.period }
}

/// As a tenant's document has it.
extension RequestLimit: Codable {
  private enum Key: String, CodingKey { case name, requests, period, burst }

  /// - Throws: `DecodingError` or `TenancyError` for what is no limit.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    try self.init(
      name: try values.decode(String.self, forKey: .name),
      requests: try values.decode(Int64.self, forKey: .requests),
      period: try values.decode(Period.self, forKey: .period),
      burst: try values.decodeIfPresent(Int64.self, forKey: .burst) ?? 0, field: "limits")
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(name, forKey: .name)
    try values.encode(requests, forKey: .requests)
    try values.encode(period, forKey: .period)
    if burst != requests { try values.encode(burst, forKey: .burst) }
  }
}

/// What a tenant's requests are limited by, besides what its plan says. The platform's to set.
public struct LimitSettings: Hashable, Sendable, Codable {
  /// Of the platform's plans; empty: the one that is for all.
  public var plan: String
  /// In place of the plan's of the same name and period, or besides them.
  public var limits: [RequestLimit]

  /// Validates nothing: that is up to `TenantCommands`.
  public init(plan: String = "", limits: [RequestLimit] = []) {
    self.plan = plan
    self.limits = limits
  }

  /// Whether it says nothing.
  public var isEmpty: Bool { plan.isEmpty && limits.isEmpty }
}
