/// The platform's plans: which limits the requests of their tenants have.
public struct LimitPlans: Sendable {
  /// How many there are at most.
  public static let maximumCount = 256

  /// Whose limits those are who have no other.
  public let usual: String
  private let plans: [String: [RequestLimit]]
  /// What limits are for: every plan has one of each name.
  public let names: Set<String>

  /// - Throws: INVALID_ARGUMENT, where plans don't have limits of the same names, which is an omission that would
  ///   leave requests without a limit; or where `usual` is none of them.
  public init(_ plans: [String: [RequestLimit]], usual: String) throws(TenancyError) {
    guard plans[usual] != nil else { throw .invalid("default_plan", "is none of the plans") }
    guard plans.count <= Self.maximumCount else {
      throw .invalid("plans", "more than \(Self.maximumCount)")
    }
    let names = Set(plans.values.joined().map(\.name))
    for (plan, limits) in plans.sorted(by: { $0.key < $1.key }) {
      guard RequestLimit.isName(plan) else {
        throw .invalid(
          "plans", "a plan's name is 1 to \(RequestLimit.maximumNameBytes) of a-z, 0-9, '-' and '_'"
        )
      }
      guard (1...RequestLimit.maximumCount).contains(limits.count) else {
        throw .invalid("plans.\(plan)", "1 to \(RequestLimit.maximumCount) limits")
      }
      if let missing = names.subtracting(limits.map(\.name)).min() {
        throw .invalid("plans.\(plan)", "has no limit called \(missing), as another plan has")
      }
      try Self.refuseRepetition(in: limits, field: "plans.\(plan)")
    }
    self.plans = plans
    self.usual = usual
    self.names = names
  }

  /// Where none is configured: 100,000 requests in a second, which no tenant should come to.
  public static let standard = LimitPlans(
    standard: RequestLimit(
      name: RequestLimit.usualName, requests: 100_000, per: .second, burst: 100_000))

  private init(standard limit: RequestLimit) {
    usual = "standard"
    plans = [usual: [limit]]
    names = [limit.name]
  }

  static func refuseRepetition(
    in limits: [RequestLimit], field: String
  ) throws(TenancyError) {
    for (index, limit) in limits.enumerated()
    where limits[..<index].contains(where: limit.replaces) {
      throw .invalid(field, "has two limits called \(limit.name) for a \(limit.period.rawValue)")
    }
  }

  /// Whether a plan is among them.
  public func has(_ plan: String) -> Bool { plans[plan] != nil }

  /// Each with its limits, in the order of their names.
  public var all: [(name: String, limits: [RequestLimit])] {
    plans.sorted { $0.key < $1.key }.map { (name: $0.key, limits: $0.value) }
  }

  /// Whether what a tenant is to have can be held to. Its plan may be one that the platform has declared.
  /// - Throws: INVALID_ARGUMENT for a limit's name that there is not.
  public func check(_ limits: LimitSettings) throws(TenancyError) {
    for (index, limit) in limits.limits.enumerated() where !names.contains(limit.name) {
      throw .invalid(
        "configuration.limits.limits[\(index)].name", "no plan has a limit called that")
    }
  }

  /// The plan that a tenant has.
  public func plan(of limits: LimitSettings?) -> String {
    guard let plan = limits?.plan, !plan.isEmpty else { return usual }
    return plan
  }

  /// What a tenant's requests are limited by.
  /// - Parameter declared: the plan that the tenant names, where the platform has declared it. One of the same name that
  ///   is here counts.
  /// - Returns: nil where its plan is not there any more: what it may is not known.
  public func limits(of own: LimitSettings?, _ declared: Plan? = nil) -> [RequestLimit]? {
    var planned = plans[plan(of: own)]
    if planned == nil, let declared, declared.name == own?.plan {
      // Every name has a limit: what it does not say is the usual plan's.
      let usual = plans[usual] ?? []
      let limits = declared.limits.filter { names.contains($0.name) }
      planned = usual.filter { limit in !limits.contains(where: limit.replaces) } + limits
    }
    guard let planned else { return nil }
    guard let own, !own.limits.isEmpty else { return planned }
    return planned.filter { limit in !own.limits.contains(where: limit.replaces) } + own.limits
  }
}
