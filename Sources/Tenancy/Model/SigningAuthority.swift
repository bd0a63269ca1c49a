/// A CA that the store keeps, which signs the certificates of workloads or did, or a key that does the same for their
/// tokens. Its key is sealed, and in the store only.
public struct SigningAuthority: Hashable, Sendable {
  /// What it signs. Raw values are those stored on disk.
  public enum Kind: String, Hashable, Sendable, CaseIterable, Codable {
    /// Certificates.
    case x509
    /// JWT-SVIDs. It has a public key in place of a certificate, and no end of its own.
    case jwt

    /// Seconds that the longest lasts that one may sign.
    public var longestLife: Int64 {
      switch self {
      case .x509: WorkloadEntry.lifetimes.upperBound
      case .jwt: 300
      }
    }
  }

  /// Raw values are those stored on disk. One that has gone is not there any more.
  public enum State: String, Hashable, Sendable, CaseIterable, Codable {
    /// Its key is made, and the company's own CA is to sign its request. In no bundle.
    case awaitingCertificate = "awaiting_certificate"
    /// In all bundles, and signs nothing yet.
    case prepared
    /// Signs. Of a trust domain there is one of a kind at most.
    case active
    /// Signs nothing any more, and stays in bundles until the last that it has signed is over.
    case retiring
    /// Taken away by force: its key may be with others. It has no key here any more and is in no bundle, and chains with
    /// its key are refused until its certificate has ended, whoever else vouches for them. Never one of tokens: of that
    /// nobody else vouches for, it just goes.
    case revoked
  }

  /// In the form of a tenant's id.
  public let id: String
  /// What it signs.
  public let kind: Kind
  /// The SPIFFE trust domain of all that it signs.
  public let trustDomain: String
  /// What it is used for by now.
  public var state: State
  /// PEM: its own certificate first, then that of whoever signed it, the root last. Empty while it awaits one,
  /// and of a key of tokens.
  public var chain: String
  /// PEM: what the company's own CA is asked to sign. Empty where nobody else signs.
  public let request: String
  /// Of a key of tokens: the JWK that bundles have, as JSON. Empty of a CA.
  public let publicKey: String
  /// When the first of `chain` ends; nil without one. Of one that is revoked, its own certificate's end: `chain` has no
  /// other then.
  public var expireTime: Timestamp?
  /// Seconds that it has to be in all bundles before it signs.
  public let propagation: Int64
  /// When its key was made.
  public let createTime: Timestamp
  /// Since when it is in bundles.
  public var prepareTime: Timestamp?
  /// When it last began to sign.
  public var activateTime: Timestamp?
  /// When another took its place, or it was revoked.
  public var retireTime: Timestamp?
  /// While it is retiring: until when it is in bundles.
  public var trustUntil: Timestamp?
  /// Counts its changes, from 1.
  public var version: UInt64
  /// Which secret its key is.
  public var reference: SecretReference

  /// Validates nothing: that is up to `AuthorityCommands`.
  public init(
    id: String, kind: Kind = .x509, trustDomain: String, state: State, chain: String = "",
    request: String = "", publicKey: String = "", expireTime: Timestamp? = nil, propagation: Int64,
    createTime: Timestamp, prepareTime: Timestamp? = nil, activateTime: Timestamp? = nil,
    retireTime: Timestamp? = nil,
    trustUntil: Timestamp? = nil, version: UInt64, reference: SecretReference
  ) {
    self.id = id
    self.kind = kind
    self.trustDomain = trustDomain
    self.state = state
    self.chain = chain
    self.request = request
    self.publicKey = publicKey
    self.expireTime = expireTime
    self.propagation = propagation
    self.createTime = createTime
    self.prepareTime = prepareTime
    self.activateTime = activateTime
    self.retireTime = retireTime
    self.trustUntil = trustUntil
    self.version = version
    self.reference = reference
  }

  /// For `If-Match`, as it were: changes with each change.
  public var etag: String { "\(version)" }

  /// Which place its key is sealed for.
  public var keyPlace: SecretPlace {
    SecretPlace(tenant: SecretPlace.platform, purpose: .authorityKey(id))
  }

  /// Whether bundles have it.
  public func isTrusted(at now: Timestamp) -> Bool {
    switch state {
    case .awaitingCertificate, .revoked: false
    case .prepared, .active: true
    case .retiring: trustUntil.map { now < $0 } ?? true
    }
  }

  /// From when on it may be made to sign; nil where that is not a matter of time.
  public var activatableTime: Timestamp? {
    guard state == .prepared, let prepareTime else { return nil }
    return prepareTime + .seconds(propagation)
  }

  // MARK: What one may be

  /// Of a store and a kind, in all states but `revoked`.
  public static let maximumCount = 8
  /// Of a store, of both kinds and with those that are revoked.
  public static let maximumKept = 64
  /// Bytes of a chain, and of a request.
  public static let maximumPEMBytes = 65_536
  /// Seconds, of `propagation`.
  public static let propagations: ClosedRange<Int64> = 1...604_800
  /// Where none is asked for: an hour.
  public static let defaultPropagation: Int64 = 3_600

  /// Whether it is an id of one.
  public static func isID(_ text: String) -> Bool { TenantID(parsing: text) != nil }

  /// Whether it is the name of a trust domain (SPIFFE-ID §2.1).
  public static func isTrustDomain(_ text: String) -> Bool {
    (1...255).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
          || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
          || [UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_")].contains(byte)
      }
  }

  /// Whether it is one that commands leave: a file may have been changed by others.
  public var isSound: Bool {
    Self.isID(id) && Self.isTrustDomain(trustDomain) && (kind == .x509 ? isSoundCA : isSoundKey)
      && Self.propagations.contains(propagation)
      && (state != .active || activateTime != nil)
      && [.retiring, .revoked].contains(state) == (retireTime != nil)
      && (state == .retiring) == (trustUntil != nil)
      && version >= 1 && reference.version >= 1
  }

  private var isSoundCA: Bool {
    let hasCertificate = state != .awaitingCertificate
    return chain.utf8.count <= Self.maximumPEMBytes && request.utf8.count <= Self.maximumPEMBytes
      && chain.isEmpty != hasCertificate && (hasCertificate || !request.isEmpty)
      && hasCertificate == (expireTime != nil) && hasCertificate == (prepareTime != nil)
      && publicKey.isEmpty
  }

  private var isSoundKey: Bool {
    [.prepared, .active, .retiring].contains(state) && chain.isEmpty && request.isEmpty
      && (1...TokenKey.maximumPublicKeyBytes).contains(publicKey.utf8.count)
      && expireTime == nil && prepareTime != nil
  }
}
