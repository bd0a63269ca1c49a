import Tenancy
import TenancyWire

extension V1.RequestLimits {
  init(_ limits: LimitSettings) {
    self.init(
      plan: limits.plan,
      limits: limits.limits.map { V1.RequestLimit($0) })
  }

  /// - Returns: nil: they say nothing.
  /// - Throws: INVALID_ARGUMENT with all that is wrong with the limits' own fields.
  func domain() throws(TenancyError) -> LimitSettings? {
    let limits = LimitSettings(
      plan: plan, limits: try domain(field: "configuration.limits.limits"))
    return limits.isEmpty ? nil : limits
  }

  /// The limits alone.
  /// - Parameter field: what they are called in the request.
  func domain(field: String) throws(TenancyError) -> [RequestLimit] {
    guard limits.count <= RequestLimit.maximumCount else {
      throw .invalid(field, "more than \(RequestLimit.maximumCount)")
    }
    var checks = FieldChecks()
    var found: [RequestLimit] = []
    for (index, limit) in limits.enumerated() where !checks.isFull {
      let field = "\(field)[\(index)]"
      let read = try checks.value { () throws(TenancyError) in
        guard let period = limit.period.domain else {
          throw .invalid("\(field).period", "one of SECOND, MINUTE, HOUR, DAY, MONTH and YEAR")
        }
        return try RequestLimit(
          name: limit.name, requests: limit.requests, period: period, burst: limit.burst,
          field: field)
      }
      if let read { found.append(read) }
    }
    try checks.finish()
    return found
  }
}

extension V1.RequestLimit {
  init(_ limit: RequestLimit) {
    self.init(
      name: limit.name, requests: limit.requests, period: V1.RequestLimit.Period(limit.period),
      burst: limit.burst)
  }
}

extension V1.RequestLimit.Period {
  init(_ period: RequestLimit.Period) {
    switch period {
    case .second: self = .second
    case .minute: self = .minute
    case .hour: self = .hour
    case .day: self = .day
    case .month: self = .month
    case .year: self = .year
    }
  }

  /// Nil for what is none.
  var domain: RequestLimit.Period? {
    switch self {
    case .second: .second
    case .minute: .minute
    case .hour: .hour
    case .day: .day
    case .month: .month
    case .year: .year
    default: nil
    }
  }
}

/// What a change makes of a tenant's limits, which only the platform may set.
struct LimitsChange: Sendable {
  /// Nil: nothing is configured that could hold to them.
  let plans: LimitPlans?
  let isPlatform: Bool

  /// - Parameters:
  ///   - sent: nil: none are.
  ///   - former: nil: there were none.
  ///   - isNamed: whether the request says that they are to change, also where it sends none.
  /// - Throws: INVALID_ARGUMENT for a plan or a limit's name that there is not, PERMISSION_DENIED for a tenant's
  ///   identity that asks for others than it has.
  func apply(
    _ sent: LimitSettings?, to former: LimitSettings?, isNamed: Bool
  ) throws(TenancyError) -> LimitSettings? {
    // What was read may be sent back.
    if sent == former { return former }
    guard isPlatform else {
      guard sent != nil || isNamed else { return former }
      throw TenancyError(
        .permissionDenied, .limitsNotOwn,
        "what a tenant's requests are limited by is the platform's to set")
    }
    guard let sent else { return nil }
    // A plan is more than limits: which there are, the writer judges.
    guard let plans else {
      if sent.limits.isEmpty, !sent.plan.isEmpty, sent.limits == former?.limits ?? [] {
        return sent
      }
      throw TenancyError(
        .failedPrecondition, .limitsNotConfigured,
        "the server has no rate_limits in its configuration")
    }
    try plans.check(sent)
    return sent
  }
}
