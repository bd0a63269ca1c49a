/// Decides which tenant a call is for. Credentials give identity; selectors may only narrow it.
///
/// When several things are wrong, the first of these answers: a credential of an unknown or deleted tenant; credentials
/// that name different tenants; a malformed selector; one that disagrees with the environment; selectors that disagree;
/// one that names another tenant than the caller's; an unknown tenant; the tenant's state.
///
/// A class, so that no call copies its rules. They are many references: what all calls need of them is beside them, in
/// words that nobody counts.
public final class Resolver: Sendable {
  /// What it decides by.
  public let rules: ResolutionRules
  /// That of the rules.
  public let order: StrategyOrder
  private let isStrict: Bool
  /// What comes before the tenant in a path, where nothing comes behind it and nothing is excluded or ignored.
  private let plainPrefix: String
  private let hasPlainPaths: Bool
  private let ignoresNames: Bool

  /// Looks up nothing yet.
  public init(_ rules: ResolutionRules) {
    self.rules = rules
    order = StrategyOrder(rules.order)
    isStrict = rules.mode == .strict
    ignoresNames = !rules.ignoredNames.isEmpty
    let pattern = rules.pathPatterns.count == 1 ? rules.pathPatterns.first : nil
    plainPrefix = pattern?.plainPrefix ?? ""
    hasPlainPaths =
      pattern?.plainPrefix != nil && rules.excludedPaths.isEmpty && rules.ignoredNames.isEmpty
  }

  /// Whether a header of this name, in either case, names the tenant.
  @inline(never)
  public func isTenantHeader(_ name: RawSpan) -> Bool {
    Self.contains(rules.headerNames, name)
  }

  /// Whether a variable of this name names the tenant.
  @inline(never)
  public func isTenantVariable(_ name: RawSpan) -> Bool { name.equals(rules.environmentVariable) }

  /// Resolves from the selectors that are in use; the others are not looked at.
  /// - Parameters:
  ///   - token: the tenant's id that a verified token names; nil: no token, or one that names no tenant.
  ///   - home: the tenant of the caller's certificate; nil for platform identities, which may resolve any.
  ///   - mayFallBack: whether the caller's own tenant answers when no selector names one.
  /// - Throws: `TenancyError`; see the reasons at TenantResolver in the API. For callers with a tenant of
  ///   their own an unknown tenant and a forbidden one answer alike.
  public func resolve(
    _ selectors: borrowing RequestSelectors, token: RawSpan? = nil,
    state: borrowing ControlState, home: TenantRecord?, now: Timestamp, mayFallBack: Bool
  ) throws(TenancyError) -> Resolution {
    let own = try Self.identity(token, home, state)
    var tally = Tally(own, isStrict: isStrict)
    // What is malformed comes before all that is left to find, and is thrown where it is found.
    for strategy in order {
      switch strategy {
      case .path:
        guard selectors.given.contains(.path) else { continue }
        let reading = try readPath(selectors.path)
        tally.add(strategy, selectors.path, reading, state, now)
      case .query:
        guard selectors.given.contains(.path) else { continue }
        let reading = try readQuery(selectors.path)
        tally.add(strategy, selectors.path, reading, state, now)
      case .subdomain:
        guard selectors.given.contains(.subdomain) else { continue }
        let reading = try readHost(selectors.host, state)
        tally.add(strategy, selectors.host, reading, state, now)
      case .header:
        guard selectors.given.contains(.header) else { continue }
        let reading = try readHeader(selectors)
        tally.add(strategy, selectors.header, reading, state, now)
      case .environment:
        guard selectors.given.contains(.environment) else { continue }
        let reading = try readEnvironment(selectors)
        tally.add(strategy, selectors.environment, reading, state, now)
      case .default, .credential, .token: break
      }
    }
    if mayFallBack, let own, tally.strategy == nil {
      tally.note(token == nil ? .credential : .token, own, isID: token != nil)
    }
    return try tally.conclude(at: now)
  }

  /// The tenant that credentials name; nil: none does, the caller is a platform identity.
  static func identity(
    _ token: RawSpan?, _ home: TenantRecord?, _ state: borrowing ControlState
  ) throws(TenancyError) -> TenantRecord? {
    if home?.tenant.state.isGone == true { throw unknown("certificate") }
    guard let token else { return home }
    guard let named = state.find(token), !named.tenant.state.isGone else {
      throw unknown("token")
    }
    guard let home, home.tenant.id != named.tenant.id else { return named }
    throw TenancyError(
      .permissionDenied, .credentialConflict,
      "the certificate and the token are of different tenants", attempted: named.tenant.id)
  }

  private static func unknown(_ credential: String) -> TenancyError {
    TenancyError(
      .permissionDenied, .identityUnknown, "the \(credential)'s tenant is not known here")
  }
}

// MARK: Reading selectors

extension Resolver {
  @inline(__always)
  func readPath(_ path: RawSpan) throws(TenancyError) -> SelectorReading {
    guard hasPlainPaths else { return try readPatterns(path) }
    return try SelectorParsing.path(path, prefix: plainPrefix)
  }

  @inline(never)
  private func readPatterns(_ path: RawSpan) throws(TenancyError) -> SelectorReading {
    considered(
      try SelectorParsing.path(
        path, patterns: rules.pathPatterns, excluding: rules.excludedPaths), path)
  }

  // What is not in line keeps its rules out of the way of requests that have a path alone.
  @inline(never)
  func readQuery(_ path: RawSpan) throws(TenancyError) -> SelectorReading {
    guard let parameter = rules.queryParameter else { return .notGiven }
    return considered(
      try SelectorParsing.query(path, parameter: parameter, excluding: rules.excludedPaths), path)
  }

  @inline(never)
  func readHost(
    _ host: RawSpan, _ state: borrowing ControlState
  ) throws(TenancyError) -> SelectorReading {
    if let name = try SelectorParsing.host(host, baseDomains: rules.baseDomains) {
      return considered(.name(name), host)
    }
    if state.domains.hasNoneVerified { return .noMatch }
    let domain = try SelectorParsing.domain(host, baseDomains: rules.baseDomains)
    return domain.map { .domain($0) } ?? .noMatch
  }

  @inline(never)
  func readHeader(
    _ selectors: borrowing RequestSelectors
  ) throws(TenancyError) -> SelectorReading {
    let name = try SelectorParsing.value(selectors.header, "headers")
    if selectors.contradicting.contains(.header) { return .contradictory(name) }
    return considered(.name(name), selectors.header)
  }

  @inline(never)
  func readEnvironment(
    _ selectors: borrowing RequestSelectors
  ) throws(TenancyError) -> SelectorReading {
    let name = try SelectorParsing.value(selectors.environment, "environment")
    return selectors.contradicting.contains(.environment) ? .contradictory(name) : .name(name)
  }

  /// What a selector says, unless that is a name that says nothing.
  @inline(__always)
  private func considered(_ reading: SelectorReading, _ text: RawSpan) -> SelectorReading {
    guard ignoresNames, case .name(let range) = reading,
      Self.contains(rules.ignoredNames, text.extracting(range))
    else { return reading }
    return .ignored
  }

  /// Whether one of these names, in lower case, is this one in either case.
  private static func contains(_ names: [String], _ name: RawSpan) -> Bool {
    let names = names.span
    for index in names.indices
    where name.byteCount == names[index].utf8.count && name.matches(names[index], at: 0) {
      return true
    }
    return false
  }
}
