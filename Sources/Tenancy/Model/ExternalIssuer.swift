/// Somebody else who issues tokens that a tenant accepts.
public struct ExternalIssuer: Hashable, Sendable, Codable {
  /// A claim that has to have a value.
  public struct RequiredClaim: Hashable, Sendable, Codable {
    /// Of the claim; it is in the payload itself, not within another.
    public let name: String
    /// What the claim is, or what is in it where it is a list. Of a Boolean: `true` or `false`.
    public let value: String

    /// Validates nothing: that is up to `AuthenticationRules`.
    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// How a token may be signed, by the names that JOSE has for it.
  public static let algorithms = ["ES256", "ES384", "EdDSA", "PS256", "RS256"]
  /// Keys of one issuer, at most.
  public static let maximumKeys = 16
  /// Seconds from `iat` to `exp` of a token, however it is configured (two hours).
  public static let longestLife = 7200
  /// The same where nothing else is said (one hour).
  public static let usualLife = 3600

  /// Names it within its tenant: 1 to 32 lower-case letters, digits and hyphens, beginning with a letter.
  public let id: String
  /// `iss`, byte for byte.
  public var issuer: String
  /// Whether its tokens are accepted.
  public var isEnabled = true
  /// What verifies its tokens, in the order in which they were given; none where they are fetched.
  public var keys: [ExternalKey]
  /// Where what verifies its tokens is fetched from; nil: it is in `keys`.
  public var published: PublishedKeySet?
  /// How they may be signed: some of `algorithms`.
  public var algorithms = ExternalIssuer.algorithms
  /// One of these has to be in `aud`. Empty: the tenant's own audience, which names it.
  public var audiences: [String] = []
  /// Whether `typ` may be `JWT` as well as `at+jwt`.
  public var acceptsPlainType = false
  /// The claim that says who the subject is.
  public var subjectClaim = "sub"
  /// What stands before that in the tenant's role assignments; never empty, and of no two issuers such that one
  /// begins with the other: subjects of one issuer are never taken for those of another.
  public var subjectPrefix: String
  /// All of these have to be as they say.
  public var requiredClaims: [RequiredClaim] = []
  /// The claim that says what a token may be used for at most: permissions in a list, or with spaces between. What is
  /// no permission in it is passed over; a token without the claim may be used for nothing. Nil: for all that its
  /// subject may do.
  public var permissionsClaim: String?
  /// Seconds from `iat` to `exp`, at most.
  public var maximumLifeSeconds = usualLife
  /// Whether a token that is bound to no certificate is refused whoever presents it.
  public var requiresBinding = false

  /// Validates nothing: that is up to `AuthenticationRules`.
  public init(id: String, issuer: String, keys: [ExternalKey]) {
    self.id = id
    self.issuer = issuer
    self.keys = keys
    subjectPrefix = Self.usualPrefix(of: id)
  }

  /// What stands before subjects where nothing else is said.
  public static func usualPrefix(of id: String) -> String { "\(id):" }

  /// What its tokens are judged by, without its keys: of these each token needs only its own.
  public var terms: ExternalIssuer {
    var terms = self
    terms.keys = []
    return terms
  }
}

/// A public key of another issuer.
public struct ExternalKey: Hashable, Sendable, Codable {
  /// Bytes of `publicKey`, at most: more than one of RSA with 4,096 bits has.
  public static let maximumBytes = 2048

  /// Its thumbprint, as RFC 7638 makes it.
  public let id: String
  /// A JWK with its algorithm, as JSON text without white space and the members in order. Nobody here reads it.
  public let publicKey: String

  /// Validates nothing: that is up to `AuthenticationRules`.
  public init(id: String, publicKey: String) {
    self.id = id
    self.publicKey = publicKey
  }
}
