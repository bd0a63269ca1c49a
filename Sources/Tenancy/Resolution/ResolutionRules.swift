/// Where a tenant's name can come from.
public enum ResolutionStrategy: UInt8, Sendable, CaseIterable {
  /// A path's segment behind a prefix.
  case path
  /// The first label of a host under one of the base domains.
  case subdomain
  /// A header's value.
  case header
  /// The value of an environment variable.
  case environment
  /// The default, of which GetDefaultTenant tells.
  case `default`
  /// The caller's own credential.
  case credential

  /// As configuration spells it.
  public var name: String { "\(self)" }
}

/// Several strategies.
public struct StrategySet: OptionSet, Sendable, Hashable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// Only this one.
  public init(_ strategy: ResolutionStrategy) { rawValue = 1 << strategy.rawValue }

  /// Whether this one is among them.
  @inline(__always)
  public func contains(_ strategy: ResolutionStrategy) -> Bool {
    rawValue & (1 << strategy.rawValue) != 0
  }
}

/// How tenants are found from selectors.
public struct ResolutionRules: Sendable {
  /// The selectors in use, the most trusted first. One that is left out is switched off: not looked at.
  public var order: [ResolutionStrategy] = [.environment, .path, .subdomain, .header]
  /// What comes before the tenant in a path.
  public var pathPrefix = "/tenants/"
  /// Domains under which a single label names the tenant; lower case, no dot at either end.
  public var baseDomains: [String] = []
  /// Lower case.
  public var headerName = "x-tenant-id"
  /// Case matters.
  public var environmentVariable = "TENANT_ID"
  /// Id or slug of the tenant of which GetDefaultTenant tells.
  public var defaultTenant: String?

  /// All selectors, no base domain, no default tenant.
  public init() {}
}
