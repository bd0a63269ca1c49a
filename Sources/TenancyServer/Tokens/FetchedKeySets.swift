import Synchronization
public import Tenancy

/// The keys of other issuers that are fetched from where these publish them, on this node: what there is of them, and
/// what is to be fetched next. It fetches nothing itself: `run` has that done. Thread-safe.
///
/// Each tenant has its keys for itself, also where two name the same place: what one does is never in the way of the
/// other. A source is known from when it is first asked for, and until its tenant has it no more.
public final class FetchedKeySets: Sendable {
  /// What may be fetched, and how long it counts.
  public struct Terms: Sendable {
    /// Where tenants' issuers may publish their keys; empty: nowhere.
    public var hosts: [HostPattern] = []
    /// Seconds for which keys are kept where their server says nothing of that.
    public var refreshSeconds = 3600
    /// Seconds for which they count since they were last fetched.
    public var staleSeconds = 86_400

    /// None are fetched for tenants.
    public init() {}
  }

  /// What there is of a source's keys.
  enum Keys {
    case good([ExternalKey])
    case notFetched
    case stale
  }

  /// Sources of all tenants.
  static let maximumSources = 8192

  let terms: Terms
  private let clock: @Sendable () -> Int64
  private let state: Mutex<KeySetSources>

  /// - Parameters:
  ///   - terms: what may be fetched.
  ///   - clock: nanoseconds, never set.
  public init(
    _ terms: Terms = Terms(), clock: @escaping @Sendable () -> Int64 = SteadyTime.nanoseconds
  ) {
    self.terms = terms
    self.clock = clock
    state = Mutex(KeySetSources(terms))
  }

  /// Whether a tenant's issuer may publish its keys there.
  func allows(_ url: String) -> Bool {
    guard let url = HTTPSURL(parsing: url) else { return false }
    return terms.hosts.contains { $0.matches(url) }
  }

  // MARK: Who verifies tokens

  /// The keys of a source as they are now. One that was not known is fetched soon.
  /// - Parameter configured: the issuers that the tenant has now whose it is: of others nothing is kept.
  func keys(_ source: KeySource, configured: [ExternalIssuer]) -> Keys {
    let now = clock()
    return state.withLock { $0.keys(source, configured, at: now) }
  }

  /// A token is of a key that is not among a source's.
  /// - Returns: whether they are fetched anew now: not where that was so a moment ago.
  func hasten(_ source: KeySource) -> Bool {
    let now = clock()
    return state.withLock { $0.hasten(source, at: now) }
  }

  // MARK: Who fetches

  /// - Returns: what is to be fetched now; nil: nothing. And what has become of sources that could not be for long.
  func take(_ control: borrowing ControlState) -> (KeySetJob?, [KeySetEvent]) {
    let now = clock()
    return state.withLock { $0.take(control, at: now) }
  }

  /// - Parameter result: the keys, which were judged, and the seconds for which they may be kept; or why there are none.
  func finish(
    _ job: KeySetJob, _ result: Result<(keys: [ExternalKey], maximumAge: Int?), KeySetFailure>,
    chance: Double = .random(in: 0...1)
  ) -> KeySetEvent? {
    let now = clock()
    return state.withLock { $0.finish(job, result, at: now, chance: chance) }
  }

  /// How many sources there are of each kind.
  public var counts: [KeySetEvent.Condition: Int] { state.withLock { $0.counts } }
}

/// Where keys are fetched from, and on whose behalf.
struct KeySource: Hashable, Sendable {
  /// Nil: the platform's.
  let owner: TenantID?
  let issuer: String
  let published: PublishedKeySet
  let algorithms: [String]

  /// Nil where the issuer's keys are not fetched.
  init?(_ issuer: ExternalIssuer, owner: TenantID?) {
    guard let published = issuer.published else { return nil }
    self.owner = owner
    self.issuer = issuer.id
    self.published = published
    algorithms = issuer.algorithms
  }

  func hash(into hasher: inout Hasher) {
    // All of it would take longer than to compare.
    hasher.combine(owner)
    hasher.combine(published.url)
  }

  /// Whether an owner with these issuers has it.
  func isAmong(_ issuers: [ExternalIssuer]) -> Bool {
    issuers.contains { $0.isEnabled && KeySource($0, owner: owner) == self }
  }
}

/// Keys that are to be fetched.
public struct KeySetJob: Sendable {
  let source: KeySource
  /// Nil: the platform's.
  public var owner: TenantID? { source.owner }
  /// Where they are.
  public let url: HTTPSURL
  /// SHA-256 of keys of which one has to be in the server's chain; empty: any may be there.
  public let pins: [[UInt8]]
}

/// Why keys were not fetched, or are not used.
public struct KeySetFailure: Error, Sendable, CustomStringConvertible {
  /// For the log.
  public let description: String
  /// Whether nothing was tried, for want of a place: it is soon tried again, and counts as no failure.
  public let isBusy: Bool
  /// The keys of an answer that is not used: of the former ones no others go on. Nil: there is no answer.
  var listed: Set<ExternalKey>?

  /// - Parameters:
  ///   - description: for the log.
  ///   - isBusy: whether nothing was tried, for want of a place.
  public init(_ description: String, isBusy: Bool = false) {
    self.description = description
    self.isBusy = isBusy
  }
}

/// What has become of a source of keys: told when it changes, and not with each attempt.
public struct KeySetEvent: Sendable {
  /// How it is with a source.
  public enum Condition: String, Sendable, CaseIterable {
    /// Its keys were not fetched yet, and that was not tried either.
    case waiting
    /// There are keys, and the last attempt has brought them.
    case good
    /// The last attempt has failed.
    case failing
    /// There were keys, which do not count any more.
    case stale
  }

  /// As it is from now on.
  public let condition: Condition
  /// Nil: the platform's.
  public let owner: TenantID?
  /// `id` of the issuer.
  public let issuer: String
  /// Where the keys are.
  public let url: String
  /// How many there are that count.
  public let keyCount: Int
  /// Why there are no newer ones; nil: there are.
  public let failure: KeySetFailure?
  /// Whether tokens are good no more that were.
  public let endsTokens: Bool
}

/// A clock that is never set.
public enum SteadyTime {
  private static let start = ContinuousClock.now

  /// Nanoseconds since the process has asked for the first time.
  @Sendable
  public static func nanoseconds() -> Int64 {
    let (seconds, attoseconds) = (ContinuousClock.now - start).components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}
