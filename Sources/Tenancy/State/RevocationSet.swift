/// What one tenant has revoked. A value: changing a copy leaves the original alone, and costs the same among ten
/// and among ten thousand.
public struct RevocationSet: Sendable {
  private struct Parts: Sendable {
    /// By the tokens' ids.
    var tokens = ByteTable<Revocation>()
    var subjects = ByteTable<Revocation>()
    var tenant: Revocation?
    var byEnd = OrderedTree<Revocation>()
  }

  private final class Contents: Sendable {
    let parts: Parts
    init(_ parts: Parts) { self.parts = parts }
  }

  /// Nil: there are none, as almost always.
  private var contents: Contents?

  /// Nothing is revoked.
  public init() {}

  // MARK: Reading

  /// Whether nothing is revoked.
  public var isEmpty: Bool { contents == nil }

  /// Revocations of every kind, those that have expired and are not forgotten yet included.
  public var count: Int { contents?.parts.byEnd.count ?? 0 }

  /// Revocations of one kind.
  public func count(of kind: Revocation.Target.Kind) -> Int {
    guard let parts = contents?.parts else { return 0 }
    return switch kind {
    case .token: parts.tokens.count
    case .subject: parts.subjects.count
    case .tenant: parts.tenant == nil ? 0 : 1
    }
  }

  /// Whether a token is void. Takes two look-ups and does not allocate.
  /// - Parameters:
  ///   - tokenID: its `jti`; empty if it has none.
  ///   - subject: its `sub`, as the tenant's policy knows it: see `TenantRecord.isRevoked`.
  ///   - issuedAt: its `iat`.
  @inline(__always)
  public func isRevoked(tokenID: RawSpan, subject: RawSpan, issuedAt: Timestamp) -> Bool {
    guard let contents else { return false }
    return Self.isRevoked(contents.parts, tokenID, subject, issuedAt)
  }

  private static func isRevoked(
    _ parts: borrowing Parts, _ tokenID: RawSpan, _ subject: RawSpan, _ issuedAt: Timestamp
  ) -> Bool {
    if let tenant = parts.tenant, issuedAt <= tenant.before { return true }
    if let found = parts.subjects.find(subject), issuedAt <= found.before { return true }
    return parts.tokens.find(tokenID) != nil
  }

  /// The revocation of a target, if there is one.
  public func find(_ target: Revocation.Target) -> Revocation? {
    switch target {
    case .token(let id): contents?.parts.tokens[id]
    case .subject(let subject): contents?.parts.subjects[subject]
    case .tenant: contents?.parts.tenant
    }
  }

  /// In the order in which they expire.
  public func all() -> Cursor<Revocation> { contents?.parts.byEnd.cursor() ?? Cursor() }

  /// The one that expires first.
  public var first: Revocation? { contents?.parts.byEnd.first }

  /// Those that expire before a moment. Costs as much as there are of them.
  func expiring(before moment: Timestamp) -> [Revocation] {
    var (found, all, budget) = ([Revocation](), all(), WorkBudget.uncapped)
    while let next = all.next(&budget), next.expireTime < moment { found.append(next) }
    return found
  }

  // MARK: Changing

  /// Inserts a revocation or replaces the one of the same target.
  mutating func put(_ revocation: Revocation) {
    edit { parts in
      if let former = Self.set(revocation.target, revocation, in: &parts) {
        parts.byEnd.remove(former.orderKey)
      }
      parts.byEnd.put(revocation)
    }
  }

  /// Removes those that expire before a moment.
  /// - Returns: what they took.
  mutating func forget(before moment: Timestamp) -> TenantFootprint {
    var taken = TenantFootprint()
    guard let first, first.expireTime < moment else { return taken }
    edit { parts in
      while let next = parts.byEnd.first, next.expireTime < moment {
        parts.byEnd.remove(next.orderKey)
        _ = Self.set(next.target, nil, in: &parts)
        taken += next.footprint
      }
    }
    return taken
  }

  private mutating func edit(_ body: (inout Parts) -> Void) {
    var parts = contents?.parts ?? Parts()
    // Where nobody else has it, it is changed in place.
    contents = nil
    body(&parts)
    contents = parts.byEnd.isEmpty ? nil : Contents(parts)
  }

  /// - Returns: what was there.
  private static func set(
    _ target: Revocation.Target, _ revocation: Revocation?, in parts: inout Parts
  ) -> Revocation? {
    let former: Revocation?
    switch target {
    case .token(let id):
      former = parts.tokens[id]
      parts.tokens[id] = revocation
    case .subject(let subject):
      former = parts.subjects[subject]
      parts.subjects[subject] = revocation
    case .tenant:
      former = parts.tenant
      parts.tenant = revocation
    }
    return former
  }

  /// For tests, which hold changes to what they touch.
  func unsharedNodes(with other: Self) -> Int {
    let (mine, others) = (contents?.parts ?? Parts(), other.contents?.parts ?? Parts())
    return mine.tokens.unshared(with: others.tokens).nodes
      + mine.subjects.unshared(with: others.subjects).nodes
      + mine.byEnd.unsharedNodes(with: others.byEnd)
  }
}

extension TenantRecord {
  /// Whether a token of the tenant is void. Allocates nothing where nothing is revoked.
  /// - Parameters:
  ///   - tokenID: its `jti`; empty if it has none.
  ///   - subject: its `sub`. By whichever of the tenant's names a workload is called, it is the same.
  ///   - issuedAt: its `iat`.
  @inline(__always)
  public func isRevoked(tokenID: String, subject: String, issuedAt: Timestamp) -> Bool {
    revocations.isEmpty ? false : isAmongRevoked(tokenID, subject, issuedAt)
  }

  private func isAmongRevoked(_ tokenID: String, _ subject: String, _ issuedAt: Timestamp) -> Bool {
    let holder = holder(subject)
    return unsafe revocations.isRevoked(
      tokenID: tokenID.utf8Span.span.bytes, subject: holder.utf8Span.span.bytes,
      issuedAt: issuedAt)
  }
}
