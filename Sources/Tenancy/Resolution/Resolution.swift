/// The outcome of a resolution: which tenant, and which sources said so.
public struct Resolution: Sendable {
  /// The tenant that was found. From `Resolver` it is one that is served; the default may be in any state.
  public let record: TenantRecord
  /// The source that decided.
  public let strategy: ResolutionStrategy
  /// What decided.
  public let rule: ResolutionVerdictRule
  /// What the sources said.
  public let said: Statements

  /// What the sources that were given and in use said, as sets of them.
  public struct Statements: Sendable, Equatable {
    /// All of them.
    public var given = StrategySet()
    /// Those that named the tenant, and of them those that named it by id rather than by slug.
    public var named = StrategySet()
    /// Those of `named` that named it by id rather than by slug.
    public var namedByID = StrategySet()
    /// Those that named something else, where the first one counts.
    public var others = StrategySet()
    /// Those whose path says nothing by configuration.
    public var excluded = StrategySet()
    /// Those whose name says nothing by configuration.
    public var ignored = StrategySet()

    /// None was given.
    public init() {}

    /// - Returns: nil for one that was not given.
    @inlinable
    public func statement(of strategy: ResolutionStrategy) -> SourceStatement? {
      guard given.contains(strategy) else { return nil }
      if named.contains(strategy) { return .named }
      if others.contains(strategy) { return .namedOther }
      if excluded.contains(strategy) { return .excluded }
      return ignored.contains(strategy) ? .ignored : .noMatch
    }
  }

  /// The tenant that is configured for callers that name none.
  public static func byDefault(_ record: TenantRecord) -> Resolution {
    var said = Statements()
    said.given = StrategySet(.default)
    said.named = said.given
    return Resolution(record: record, strategy: .default, rule: .byDefault, said: said)
  }
}

/// What a source said of tenants, or why it said nothing.
public enum SourceStatement: Sendable {
  /// It named a tenant that the caller may resolve.
  case named
  /// It named something else: no tenant, or for callers with a home maybe another one.
  case namedOther
  /// It is in use, and the request does not have it.
  case notGiven
  /// It is about something else than tenants.
  case noMatch
  /// Its path is one of those that say nothing.
  case excluded
  /// Its name is one of those that name no tenant.
  case ignored
  /// It is not canonical, or over its limit.
  case malformed
  /// It was given several times, differently.
  case contradictory
  /// It was not looked at.
  case switchedOff
}

/// What decided a resolution.
public enum ResolutionVerdictRule: Sendable {
  /// All selectors that name a tenant name this one.
  case agreement
  /// The first selector that names a tenant counts.
  case firstMatch
  /// No selector names a tenant: the caller's own.
  case ownTenant
  /// The configured default, asked for as such.
  case byDefault
  /// A credential's tenant is unknown or deleted.
  case unknownIdentity
  /// Credentials name different tenants.
  case credentialConflict
  /// A selector is malformed.
  case malformedSelector
  /// A selector and the environment disagree.
  case pinConflict
  /// Selectors disagree.
  case ambiguity
  /// Not the caller's tenant.
  case mismatch
  /// No source names a tenant, or there is none of that name.
  case unknownTenant
  /// The tenant's state does not serve.
  case tenantState

  /// The rule by which a resolution was refused.
  public init(refusing error: TenancyError) {
    self =
      switch error.reason {
      case .identityUnknown: .unknownIdentity
      case .credentialConflict: .credentialConflict
      case .malformedSelector: .malformedSelector
      case .environmentPinConflict: .pinConflict
      case .tenantAmbiguous: .ambiguity
      case .tenantMismatch: .mismatch
      case .tenantNotFound, .tenantUnresolved: .unknownTenant
      default: .tenantState
      }
  }
}
