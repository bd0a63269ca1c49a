import Logging
import Tenancy
import TenancyServer

/// The configuration's `rate_limits`: by which plans tenants' requests are limited.
struct RateLimitSettings: Sendable {
  static let usualDomain = "tenancy"

  let domain: String
  let plans: LimitPlans

  /// Whoever asks is told that tenants have this limit, where none is configured.
  init() {
    domain = Self.usualDomain
    plans = .standard
  }

  init(_ settings: inout SettingsReader) throws {
    domain = try settings.optionalString("domain") ?? Self.usualDomain
    let usual = try settings.string("default_plan")
    let plans = try settings.list("plans") { plan in
      let name = try plan.string("name")
      let limits = try plan.list("limits") { try RequestLimit(&$0) }
      return (name, limits)
    }
    if let twice = Dictionary(grouping: plans, by: \.0).first(where: { $0.value.count > 1 }) {
      throw settings.error("plans: two are called \(twice.key)")
    }
    let (named, reader) = (Dictionary(plans, uniquingKeysWith: { first, _ in first }), settings)
    self.plans = try reader.checked { () throws(TenancyError) in
      try LimitPlans(named, usual: usual)
    }
  }

  /// Nothing is counted yet.
  /// - Returns: nil where the store keeps no counts.
  /// - Throws: `StoreError` where it does not answer.
  func limiter(of store: any ControlStore, as node: String) throws -> RateLimitTerms? {
    guard let ledger = store as? any LimitLedger else { return nil }
    let limiter = RequestLimiter(
      plans: plans, ledger: ledger, node: node, steady: SteadyTime.nanoseconds)
    try limiter.join()
    return RateLimitTerms(domain: domain, limiter: limiter)
  }
}

extension Part {
  /// Tells the store what is let through.
  static func limits(_ limiter: RequestLimiter, _ logger: Logger) -> Part {
    Part("limits") {
      await limiter.run(clock: SystemClock.now) { failure in
        if let failure {
          logger.warning(
            limiter.isShared
              ? "requests' limits are shared no more: each node lets its part through"
              : "requests are counted in memory alone: a restart forgets what quotas have used",
            metadata: ["reason": "\(failure)"])
        } else {
          logger.notice("what requests count is told to the store again")
        }
      }
    } finish: {
      await limiter.finish(at: SystemClock.now())
    }
  }
}

extension RequestLimit {
  fileprivate init(_ limit: inout SettingsReader) throws {
    let name = try limit.optionalString("name") ?? ""
    guard let requests = try limit.integer("requests", in: 1...1_000_000_000) else {
      throw limit.error("requests is required")
    }
    let text = try limit.string("per")
    guard let period = Period(rawValue: text) else {
      throw limit.error(
        "per: one of \(Period.allCases.map(\.rawValue).joined(separator: ", ")) is expected")
    }
    let burst = try limit.integer("burst", in: 1...1_000_000_000) ?? 0
    let reader = limit
    self = try reader.checked { () throws(TenancyError) in
      try RequestLimit(
        name: name, requests: Int64(requests), period: period, burst: Int64(burst),
        field: "limit")
    }
  }
}

extension SettingsReader {
  /// What `body` makes; what is wrong is told with the settings' place.
  func checked<Value>(_ body: () throws(TenancyError) -> Value) throws -> Value {
    do throws(TenancyError) {
      return try body()
    } catch {
      throw self.error(
        error.violations.map { "\($0.field): \($0.description)" }.joined(separator: "; "))
    }
  }
}
