/// Where a tenant's name can come from.
public enum ResolutionStrategy: UInt8, Sendable, CaseIterable {
  /// A path's segment, where a pattern says.
  case path
  /// The first label of a host under one of the base domains.
  case subdomain
  /// A header's value.
  case header
  /// The value of an environment variable.
  case environment
  /// The default, of which GetDefaultTenant tells.
  case `default`
  /// The caller's own certificate.
  case credential
  /// A verified token.
  case token
  /// A parameter of the path's query.
  case query

  /// As configuration spells it.
  public var name: String { "\(self)" }

  /// Those that anyone can forge: they narrow what credentials give.
  public static let selectors: [Self] = [.environment, .path, .subdomain, .header, .query]
}

/// Several strategies.
public struct StrategySet: OptionSet, Sendable, Hashable {
  public let rawValue: UInt8
  @inlinable
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// Only this one.
  @inlinable
  public init(_ strategy: ResolutionStrategy) { rawValue = 1 << strategy.rawValue }

  /// Whether this one is among them.
  @inlinable
  public func contains(_ strategy: ResolutionStrategy) -> Bool {
    rawValue & (1 << strategy.rawValue) != 0
  }
}

/// Strategies in an order, in one word: an array would be counted by every call, on all event loops at once.
public struct StrategyOrder: Sequence, IteratorProtocol, Sendable {
  /// Four bits for each, the first in the lowest; 0 behind the last.
  @usableFromInline var rest: UInt64 = 0

  /// - Parameter strategies: each at most once.
  init(_ strategies: [ResolutionStrategy]) {
    for strategy in strategies.reversed() { rest = rest << 4 | UInt64(strategy.rawValue + 1) }
  }

  @inlinable
  public mutating func next() -> ResolutionStrategy? {
    guard rest != 0 else { return nil }
    defer { rest >>= 4 }
    return ResolutionStrategy(rawValue: UInt8(rest & 0xF) - 1)
  }
}

/// What selectors that name different tenants come to.
public enum ResolutionMode: String, Sendable, CaseIterable {
  /// They are refused.
  case strict
  /// The first one in order counts, for migrations. It still reaches no tenant but the caller's own.
  case priority
}

/// How tenants are found from selectors.
public struct ResolutionRules: Sendable {
  /// The selectors in use, the most trusted first. One that is left out is switched off: not looked at.
  public var order: [ResolutionStrategy] = [.environment, .path, .subdomain, .header]
  /// What selectors that disagree come to.
  public var mode = ResolutionMode.strict
  /// Where in a path the tenant is. The first that matches says.
  public var pathPatterns: [PathPattern] = [.tenants]
  /// Paths, without a slash at their end, that say nothing, their queries and all below them included.
  public var excludedPaths: [String] = []
  /// Domains under which a single label names the tenant; lower case, no dot at either end.
  public var baseDomains: [String] = []
  /// Lower case. What a host, path, header or query parameter of such a name says is nothing.
  public var ignoredNames: [String] = []
  /// Lower case. Those that a request has must say the same.
  public var headerNames = ["x-tenant-id"]
  /// Case matters. Nil: queries are not looked at.
  public var queryParameter: String?
  /// Case matters.
  public var environmentVariable = "TENANT_ID"
  /// Id or slug of the tenant of which GetDefaultTenant tells.
  public var defaultTenant: String?

  /// All selectors but the query, no base domain, no default tenant.
  public init() {}

  /// Most entries of one of the lists, each of which may be looked at for every call.
  public static let maximumEntries = 64
}
