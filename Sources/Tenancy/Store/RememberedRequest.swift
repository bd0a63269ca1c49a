/// A request that was carried out under an id of its caller's, so that its repetition is answered alike (AIP-155).
public struct RememberedRequest: Hashable, Sendable {
  /// Whose it is: ids are unique among those of one caller only.
  public struct Key: Hashable, Sendable {
    /// The caller's tenant, on whose account it is remembered; nil: the platform's.
    public let payer: TenantID?
    /// Who asked.
    public let actor: String
    /// As the caller gave it; not empty.
    public let requestID: String

    /// Validates nothing.
    public init(payer: TenantID?, actor: String, requestID: String) {
      self.payer = payer
      self.actor = actor
      self.requestID = requestID
    }

    /// Of one caller and one id only: ids have no spaces, and tenants' have one length.
    var text: String { "\(requestID) \(payer?.description ?? "-") \(actor)" }
  }

  /// In order of their times.
  struct OrderKey: Comparable, Sendable {
    let time: Timestamp
    let key: Key

    static func < (a: Self, b: Self) -> Bool {
      a.time == b.time ? a.key.text < b.key.text : a.time < b.time
    }
  }

  /// The caller's tenant, on whose account it is remembered; nil: the platform's.
  public let payer: TenantID?
  /// Who asked.
  public let actor: String
  /// As the caller gave it; not empty.
  public let requestID: String
  /// Of the request's content: SHA-256, lower-case hex.
  public let digest: String
  /// The tenant that it made, or is about; nil: none.
  public let tenant: TenantID?
  /// The id that it has given to something; empty: none.
  public internal(set) var resource: String
  /// When it was carried out.
  public let time: Timestamp

  /// Validates nothing.
  public init(
    payer: TenantID? = nil, actor: String, requestID: String, digest: String, tenant: TenantID?,
    resource: String = "", time: Timestamp
  ) {
    self.payer = payer
    self.actor = actor
    self.requestID = requestID
    self.digest = digest
    self.tenant = tenant
    self.resource = resource
    self.time = time
  }

  /// What it is found by.
  public var key: Key { Key(payer: payer, actor: actor, requestID: requestID) }
  /// Of what is stored, roughly.
  var contentBytes: Int { 384 + 2 * actor.utf8.count + resource.utf8.count }

  var order: OrderKey { OrderKey(time: time, key: key) }
}
