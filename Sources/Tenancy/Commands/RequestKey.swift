import Synchronization

/// What a call is known by that is carried out once, however often it is made (AIP-155).
public struct RequestKey: Sendable {
  /// How many requests are remembered.
  struct Bounds {
    /// Those of the platform above which those of more than a day ago are forgotten.
    var platformsBeforeForgetting = 10_000
    /// Those of the platform at most: above it the oldest goes, however young.
    var platforms = 100_000
    /// The same of each tenant: what one has asked for takes no room from others.
    var tenants = 1_000
    /// The same of all tenants together.
    var allTenants = 100_000
    /// Those of one account that one write forgets at most.
    var forgotten = 64
  }

  /// Accounts whose old requests one write forgets besides, at most.
  private static let swept = 2

  /// Whose it is.
  public let key: RememberedRequest.Key
  /// Of the request's content: SHA-256, lower-case hex, of nothing that could be guessed by it.
  public let digest: String
  /// What the call is about; nil: no tenant.
  public let tenant: TenantID?
  /// False in a transaction that only begins what the call asks for.
  var remembers = true
  /// Whether the call has been let pass before.
  var isBegun = false
  private let mark = Mark()

  /// Validates nothing.
  public init(key: RememberedRequest.Key, digest: String, about tenant: TenantID?) {
    self.key = key
    self.digest = digest
    self.tenant = tenant
  }

  /// Whether this call itself has been carried out, and not another of the same id. What fails behind that is its own.
  public var isCarriedOut: Bool { mark.isSet.load(ordering: .acquiring) }

  /// Whether the call has been carried out before, as far as a state knows, within a day.
  /// - Throws: INVALID_ARGUMENT with REQUEST_REUSED if another one was, under the same id.
  public func earlier(
    in state: ControlState, at now: Timestamp
  ) throws(TenancyError) -> RememberedRequest? {
    guard let earlier = known(in: state, at: now) else { return nil }
    guard earlier.digest == digest else { throw Self.reused }
    return earlier
  }

  private func known(in state: ControlState, at now: Timestamp) -> RememberedRequest? {
    state.request(key).flatMap { $0.time >= now + Days(-1) ? $0 : nil }
  }

  /// - Throws: ABORTED with REQUEST_REPEATED if it was carried out meanwhile.
  func pass(_ transaction: inout Transaction) throws(TenancyError) {
    // What the server ends is done, whoever has asked for it first.
    if isBegun, known(in: transaction.state, at: transaction.now) != nil { return }
    if try earlier(in: transaction.state, at: transaction.now) != nil {
      // Also where it was, in a transaction that another node's was faster than.
      mark.isSet.store(false, ordering: .releasing)
      throw Self.repeated
    }
    guard remembers else { return }
    mark.isSet.store(true, ordering: .releasing)
    Self.makeRoom(for: 1, of: key.payer, &transaction)
    transaction.remember(
      RememberedRequest(
        payer: key.payer, actor: key.actor, requestID: key.requestID, digest: digest,
        tenant: tenant, time: transaction.now))
  }

  static let reused = TenancyError.invalid(
    "request_id", "was used for another request", reason: .requestReused)
  /// Nobody is told: the call is answered as the earlier one was.
  static let repeated = TenancyError(
    .aborted, .requestRepeated, "the request was carried out meanwhile", retryAfterSeconds: 1)

  /// Forgets as many requests as it takes to remember so many more on an account, and old ones of others.
  static func makeRoom(
    for count: Int, of payer: TenantID?, _ transaction: inout Transaction,
    bounds: Bounds = Bounds()
  ) {
    let (requests, now) = (transaction.state.requests, transaction.now)
    let yesterday = now + Days(-1)
    let limit = payer == nil ? bounds.platforms : bounds.tenants
    let before = payer == nil ? bounds.platformsBeforeForgetting : 0
    let excess = requests.count(of: payer) + count - limit
    var forgotten: [TenantID?: Timestamp] = [:]
    if excess > 0, let last = requests.oldest(excess, of: payer).last {
      forgotten[payer] = last.time.next
    }
    /// Before when an account's old ones are forgotten: so many of them that nobody waits for it.
    func old(of payer: TenantID?) -> Timestamp? {
      let oldest = requests.oldest(bounds.forgotten, of: payer)
      guard let first = oldest.first, let last = oldest.last, first.time < yesterday else {
        return nil
      }
      return min(yesterday, last.time.next)
    }
    if requests.count(of: payer) >= before, let moment = old(of: payer) {
      forgotten[payer] = max(forgotten[payer] ?? moment, moment)
    }
    // Who asks for nothing any more keeps nothing for ever, and all together not more than there is room for.
    var surplus = requests.countOfTenants + (payer == nil ? 0 : count) - bounds.allTenants
    for request in requests.oldestOfTenants(swept) where request.time < yesterday || surplus > 0 {
      let moment = old(of: request.payer) ?? request.time.next
      forgotten[request.payer] = max(forgotten[request.payer] ?? moment, moment)
      surplus -= 1
    }
    for (payer, moment) in forgotten.sorted(by: {
      ($0.key?.description ?? "") < ($1.key?.description ?? "")
    }) {
      transaction.emit(.forgetRequests(before: moment, of: payer))
    }
  }
}

extension ControlPlane {
  /// Remembers a call for which there was nothing to be written.
  /// - Parameter judge: that of the call, which is `knowing` its request.
  /// - Throws: as `write`.
  public func remember(by actor: String, judge: WriteJudge) async throws(TenancyError) {
    try await write(actor: actor, action: "requests.remember", terms: judge.terms()) {
      (transaction) throws(TenancyError) in try judge.judge(&transaction)
    }
  }
}

/// Of the one call.
private final class Mark: Sendable {
  let isSet = Atomic(false)
}

extension Timestamp {
  /// A time from a store can be any.
  fileprivate var next: Timestamp { Timestamp(nanoseconds: min(nanoseconds, .max - 1) + 1) }
}
