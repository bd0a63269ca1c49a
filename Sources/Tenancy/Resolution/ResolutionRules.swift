/// Where a tenant's name can come from.
public enum ResolutionStrategy: UInt8, Sendable, CaseIterable {
  case path, subdomain, header, environment
  /// The default, of which GetDefaultTenant tells.
  case `default`
  /// The caller's own credential.
  case credential

  /// As configuration spells it.
  public var name: String { "\(self)" }
}

public struct StrategySet: OptionSet, Sendable, Hashable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  public init(_ strategy: ResolutionStrategy) { rawValue = 1 << strategy.rawValue }

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
  public var environmentVariable = "TENANT_ID"
  /// Id or slug of the tenant of which GetDefaultTenant tells.
  public var defaultTenant: String?

  public init() {}
}
