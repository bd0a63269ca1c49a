/// What all nodes together have let through, by the store. Calls block.
public protocol LimitLedger: Sendable {
  /// Whether other nodes may have it, too.
  var isShared: Bool { get }

  /// Adds what this node has let through, and tells what all have: in one transaction.
  ///
  /// A bucket is emptied and a quota begins anew by the store's clock. A loss of the last moments in a crash of the
  /// store is accepted.
  /// - Parameters:
  ///   - uses: each limit once.
  ///   - node: counts as alive for `LimitSettlement.nodeLasts`.
  /// - Throws: `StoreError`; nothing was added then, unless it is `.unknownOutcome`.
  func settle(_ uses: [LimitUse], by node: String) throws(StoreError) -> LimitSettlement

  /// What quotas have used, at most of so many.
  /// - Throws: `StoreError`.
  func quotas(limit: Int) throws(StoreError) -> [LimitKey: UsedQuota]

  /// Removes what counts no more.
  func prune() throws(StoreError)

  /// Takes a node out of those that are alive.
  func leave(_ node: String) throws(StoreError)
}

/// What a limit counts.
public struct LimitKey: Hashable, Sendable {
  /// Whose requests.
  public let tenant: TenantID
  /// Which limit of that tenant: its name, its period and, where Envoy asks for a lower one, how low.
  public let text: String

  /// - Parameter text: which of the tenant's.
  public init(tenant: TenantID, text: String) {
    self.tenant = tenant
    self.text = text
  }
}

/// What is used of a quota.
public struct UsedQuota: Hashable, Sendable {
  /// How many requests.
  public let used: Double
  /// When its period has begun: seconds since 1970.
  public let begin: Int64

  /// - Parameter begin: seconds since 1970.
  public init(used: Double, begin: Int64) {
    self.used = used
    self.begin = begin
  }
}

/// What a node has let through of a limit since it last told.
public struct LimitUse: Hashable, Sendable {
  /// Which limit.
  public let key: LimitKey
  /// How many requests.
  public let spent: Double
  /// Requests in a second that are forgotten; 0 of a quota.
  public let rate: Double
  /// The most that is remembered: what was let through beyond a limit is paid back, and not for ever.
  public let most: Double
  /// What a quota begins anew with; nil: it is none.
  public let period: RequestLimit.Period?

  /// - Parameter period: a quota's.
  public init(
    key: LimitKey, spent: Double, rate: Double, most: Double, period: RequestLimit.Period?
  ) {
    self.key = key
    self.spent = spent
    self.rate = rate
    self.most = most
    self.period = period
  }
}

/// What the ledger has by now.
public struct LimitSettlement: Sendable {
  /// How long a node that says nothing counts as alive.
  public static let nodeLasts = Duration.seconds(15)

  /// Nodes that are alive, the one that asks among them: at least 1.
  public let nodes: Int
  /// What counts of each limit that was asked for: of a bucket what is missing in it, of a quota what is used.
  public let used: [LimitKey: Double]

  /// - Parameter nodes: at least 1.
  public init(nodes: Int, used: [LimitKey: Double]) {
    self.nodes = nodes
    self.used = used
  }
}
