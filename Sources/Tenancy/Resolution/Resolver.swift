/// The outcome of a resolution: which tenant, and which sources said so.
public struct Resolution: Sendable {
  /// The tenant that was found. From `Resolver` it is one that is served; the default may be in any state.
  public let record: TenantRecord
  /// The source that decided.
  public let strategy: ResolutionStrategy
  /// The sources that were given and in use, and those of them that named a tenant, and those that
  /// named it by id rather than by slug.
  public let given: StrategySet
  /// Those of `given` that named a tenant.
  public let named: StrategySet
  /// Those of `named` that named it by id rather than by slug.
  public let namedByID: StrategySet

  /// The tenant that is configured for callers that name none.
  public static func byDefault(_ record: TenantRecord) -> Resolution {
    let only = StrategySet(.default)
    return Resolution(
      record: record, strategy: .default, given: only, named: only, namedByID: StrategySet())
  }
}

/// Decides which tenant a call is for. Credentials give identity; selectors may only narrow it.
public struct Resolver: Sendable {
  /// What it decides by.
  public let rules: ResolutionRules

  /// Looks up nothing yet.
  public init(_ rules: ResolutionRules) { self.rules = rules }

  /// Resolves from the selectors in `given`; the others are not looked at.
  /// - Parameters:
  ///   - home: the caller's own tenant; nil for platform identities, which may resolve any.
  ///   - mayFallBack: whether the caller's own tenant answers when no selector names one.
  /// - Throws: `TenancyError`; see the reasons at TenantResolver in the API. For callers with a home
  ///   an unknown tenant and a forbidden one answer alike.
  public func resolve(
    path: RawSpan, host: RawSpan, header: RawSpan, environment: RawSpan, given: StrategySet,
    state: borrowing ControlState, home: TenantRecord?, now: Timestamp, mayFallBack: Bool
  ) throws(TenancyError) -> Resolution {
    var tally = Tally()
    for strategy in rules.order where given.contains(strategy) {
      switch strategy {
      case .path:
        let range = try SelectorParsing.path(path, prefix: rules.pathPrefix)
        try tally.add(strategy, path, range, state, home, now)
      case .subdomain:
        let range = try SelectorParsing.host(host, baseDomains: rules.baseDomains)
        try tally.add(strategy, host, range, state, home, now)
      case .header:
        try tally.add(
          strategy, header, try SelectorParsing.value(header, "headers"), state, home, now)
      case .environment:
        try tally.add(
          strategy, environment, try SelectorParsing.value(environment, "environment"), state, home,
          now)
      case .default, .credential:
        break
      }
    }
    if tally.named.isEmpty, mayFallBack, let home { tally.note(.credential, home) }
    return try tally.conclude(home)
  }
}

/// What the sources have said so far.
private struct Tally: ~Copyable {
  var given = StrategySet()
  var named = StrategySet()
  var namedByID = StrategySet()
  var strategy: ResolutionStrategy?
  var record: TenantRecord?
  /// The first name, in lower case, if it is no tenant's that the caller may see.
  private var unknown: [UInt8]?
  /// The first name was not that of the caller's own tenant.
  var isForeign = false
  /// The first other tenant that a caller with a home named.
  var attempted: TenantID?

  consuming func conclude(_ home: TenantRecord?) throws(TenancyError) -> Resolution {
    guard let strategy else {
      throw TenancyError(.notFound, .tenantUnresolved, "no source names a tenant")
    }
    guard let record, !isForeign else {
      throw home == nil ? .tenantNotFound : .tenantMismatch(reaching: attempted)
    }
    if let refusal = Lifecycle.refusal(for: record.tenant.state) { throw refusal }
    return Resolution(
      record: record, strategy: strategy, given: given, named: named, namedByID: namedByID)
  }

  /// Notes a source that named the tenant at `range` of `text`, or none.
  mutating func add(
    _ strategy: ResolutionStrategy, _ text: RawSpan, _ range: Range<Int>?,
    _ state: borrowing ControlState, _ home: TenantRecord?, _ now: Timestamp
  ) throws(TenancyError) {
    given.insert(StrategySet(strategy))
    guard let range else { return }
    let found = find(text.extracting(range), state, home, now)
    // A caller with a home learns of every other name only that it is another.
    let foreign = home != nil && found?.tenant.id != home?.tenant.id
    let seen = foreign ? nil : found
    if foreign, attempted == nil { attempted = found?.tenant.id }
    if let first = self.strategy {
      if !agrees(text.extracting(range), seen, foreign, home) {
        throw first == .environment || strategy == .environment ? Self.pinned : Self.ambiguous
      }
    } else {
      self.strategy = strategy
      record = seen
      isForeign = foreign
      if home == nil, seen == nil { unknown = lowercase(text.extracting(range)) }
    }
    named.insert(StrategySet(strategy))
    if range.count == UUIDText.length, let seen, isID(text.extracting(range), seen) {
      namedByID.insert(StrategySet(strategy))
    }
  }

  /// Whether a source says what the first one said. For platform identities, who may know of every tenant,
  /// two names that are none's are still two.
  private func agrees(
    _ name: RawSpan, _ seen: TenantRecord?, _ isForeign: Bool, _ home: TenantRecord?
  ) -> Bool {
    guard home == nil else { return isForeign == self.isForeign }
    guard let unknown else { return seen === record }
    return seen == nil && unknown == lowercase(name)
  }

  mutating func note(_ strategy: ResolutionStrategy, _ record: TenantRecord?) {
    given.insert(StrategySet(strategy))
    named.insert(StrategySet(strategy))
    self.strategy = strategy
    self.record = record
  }

  /// Looks a name up in canonical, lower-case form.
  private func find(
    _ name: RawSpan, _ state: borrowing ControlState, _ home: TenantRecord?, _ now: Timestamp
  ) -> TenantRecord? {
    let own = home?.tenant.id
    if let record = state.find(name, at: now, of: own) { return record }
    return unsafe state.find(lowercase(name).span.bytes, at: now, of: own)
  }

  private func lowercase(_ name: RawSpan) -> [UInt8] {
    (0..<name.byteCount).map { SelectorParsing.lowercase(name.byte($0)) }
  }

  private func isID(_ name: RawSpan, _ record: TenantRecord) -> Bool {
    name.matches(record.idText, at: 0)
  }

  private static let ambiguous = TenancyError(
    .invalidArgument, .tenantAmbiguous, "the sources name different tenants")
  private static let pinned = TenancyError(
    .failedPrecondition, .environmentPinConflict,
    "another source names a tenant other than the one that the environment is pinned to")
}
