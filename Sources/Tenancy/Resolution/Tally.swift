/// What the sources of one request have said so far.
struct Tally: ~Copyable {
  /// The tenant that credentials name.
  private let own: TenantRecord?
  private let isStrict: Bool
  private var said = Resolution.Statements()
  /// The first source that named something, and what tenant that is, if it is one that the caller may see.
  private(set) var strategy: ResolutionStrategy?
  private var record: TenantRecord?
  /// The first name, in lower case, if it is no tenant's that the caller may see.
  private var unknown: [UInt8]?
  /// The first name was not that of the caller's own tenant.
  private var isForeign = false
  /// A source contradicts the first one.
  private var disagrees = false
  /// A source contradicts itself.
  private var contradicts = false
  /// The first other tenant that a caller with one of its own named.
  private var attempted: TenantID?

  init(_ own: TenantRecord?, isStrict: Bool) {
    self.own = own
    self.isStrict = isStrict
  }

  consuming func conclude(at now: Timestamp) throws(TenancyError) -> Resolution {
    guard let strategy else {
      throw TenancyError(.notFound, .tenantUnresolved, "no source names a tenant")
    }
    if disagrees || contradicts {
      let names = said.named.union(said.others)
      let isPin = isStrict && names.contains(.environment) && names != StrategySet(.environment)
      throw isPin ? Self.pinned : Self.ambiguous
    }
    guard let record, !isForeign else {
      throw own == nil ? .tenantNotFound : .tenantMismatch(reaching: attempted)
    }
    if let refusal = record.refusal(at: now) { throw refusal }
    let isOwn = strategy == .credential || strategy == .token
    return Resolution(
      record: record, strategy: strategy,
      rule: isOwn ? .ownTenant : isStrict ? .agreement : .firstMatch, said: said)
  }

  /// Notes what a source says.
  mutating func add(
    _ strategy: ResolutionStrategy, _ text: RawSpan, _ reading: SelectorReading,
    _ state: borrowing ControlState, _ now: Timestamp
  ) {
    switch reading {
    case .name(let range): add(strategy, text.extracting(range), state, now)
    case .domain(let range):
      // One that is nobody's is about something else than tenants.
      let domain = text.extracting(range)
      if let holder = state.holder(ofDomain: domain) { add(strategy, domain, found: holder) }
    case .contradictory(let range):
      contradicts = true
      add(strategy, text.extracting(range), state, now)
    case .notGiven: return
    case .noMatch: break
    case .excluded: said.excluded.insert(StrategySet(strategy))
    case .ignored: said.ignored.insert(StrategySet(strategy))
    }
    said.given.insert(StrategySet(strategy))
  }

  private mutating func add(
    _ strategy: ResolutionStrategy, _ name: RawSpan, _ state: borrowing ControlState,
    _ now: Timestamp
  ) {
    add(strategy, name, found: find(name, state, now))
  }

  private mutating func add(
    _ strategy: ResolutionStrategy, _ name: RawSpan, found: TenantRecord?
  ) {
    // A caller with a tenant of its own learns of every other name only that it is another.
    let foreign = own != nil && found?.tenant.id != own?.tenant.id
    let seen = foreign ? nil : found
    if foreign, attempted == nil { attempted = found?.tenant.id }
    if self.strategy != nil {
      guard agrees(name, seen, foreign) else {
        if isStrict { disagrees = true }
        said.others.insert(StrategySet(strategy))
        return
      }
    } else {
      self.strategy = strategy
      record = seen
      isForeign = foreign
      if own == nil, seen == nil { unknown = lowercase(name) }
    }
    said.named.insert(StrategySet(strategy))
    if name.byteCount == UUIDText.length, let seen, name.matches(seen.idText, at: 0) {
      said.namedByID.insert(StrategySet(strategy))
    }
  }

  /// Whether a source says what the first one said. For platform identities, who may know of every tenant,
  /// two names that are none's are still two.
  private func agrees(_ name: RawSpan, _ seen: TenantRecord?, _ isForeign: Bool) -> Bool {
    guard own == nil else { return isForeign == self.isForeign }
    guard let unknown else { return seen === record }
    return seen == nil && unknown == lowercase(name)
  }

  /// Notes a credential, where no selector names a tenant.
  mutating func note(_ strategy: ResolutionStrategy, _ record: TenantRecord, isID: Bool) {
    said.given.insert(StrategySet(strategy))
    said.named.insert(StrategySet(strategy))
    if isID { said.namedByID.insert(StrategySet(strategy)) }
    self.strategy = strategy
    self.record = record
  }

  /// Looks a name up in canonical, lower-case form.
  private func find(
    _ name: RawSpan, _ state: borrowing ControlState, _ now: Timestamp
  ) -> TenantRecord? {
    let own = own?.tenant.id
    if let record = state.find(name, at: now, of: own) { return record }
    return unsafe state.find(lowercase(name).span.bytes, at: now, of: own)
  }

  private func lowercase(_ name: RawSpan) -> [UInt8] {
    (0..<name.byteCount).map { SelectorParsing.lowercase(name.byte($0)) }
  }

  private static let ambiguous = TenancyError(
    .invalidArgument, .tenantAmbiguous, "the sources name different tenants")
  private static let pinned = TenancyError(
    .failedPrecondition, .environmentPinConflict,
    "another source names a tenant other than the one that the environment is pinned to")
}
