/// What authentication settings have to be, whoever makes them: tenants' admins, and whoever writes the server's
/// configuration.
public enum AuthenticationRules {
  /// Bytes of `iss` and of an audience.
  public static let maximumTextBytes = 256
  /// Of one issuer.
  public static let maximumAudiences = 8
  /// Of one issuer.
  public static let maximumClaims = 8
  /// Bytes of a claim's name.
  public static let maximumNameBytes = 128
  /// Bytes of `ExternalIssuer.id`.
  public static let maximumIDBytes = 32
  /// Bytes of `ExternalIssuer.subjectPrefix`.
  public static let maximumPrefixBytes = 64
  /// Claims that mean something to every reader: none of them says who the subject is, but `sub`.
  private static let fixedClaims: Set<String> = [
    "iss", "aud", "exp", "nbf", "iat", "jti", "cnf", "act",
  ]
  /// What subjects of the platform begin with, or are.
  private static let reserved = ["spiffe:", "uid:", "insecure", "system"]

  /// What is wrong with one field.
  public typealias Violation = TenancyError.FieldViolation

  /// All that is wrong with settings.
  /// - Parameters:
  ///   - foreign: whether an `iss` is another's: this service's, or of an issuer for all tenants.
  ///   - prefixes: those of the issuers for all tenants.
  ///   - field: what stands before the names of fields.
  public static func violations(
    of settings: AuthenticationSettings, field: String = "settings",
    prefixes: [String] = [], isStored: Bool = false, foreign: (String) -> Bool = { _ in false }
  ) -> [Violation] {
    var found: [Violation] = []
    if let life = settings.maximumLifeSeconds, !AuthenticationSettings.lives.contains(life) {
      let lives = AuthenticationSettings.lives
      found.add("\(field).maximum_life", "\(lives.lowerBound) to \(lives.upperBound) seconds")
    }
    let issuers = settings.issuers
    guard issuers.count <= AuthenticationSettings.maximumIssuers else {
      found.add("\(field).issuers", "at most \(AuthenticationSettings.maximumIssuers)")
      return found
    }
    for (at, issuer) in issuers.enumerated() {
      let place = "\(field).issuers[\(at)]"
      found += violations(of: issuer, field: place, isStored: isStored)
      if foreign(issuer.issuer) {
        found.add("\(place).issuer", "is the platform's, and can't be a tenant's")
      }
      if prefixes.contains(where: { overlap($0, issuer.subjectPrefix) }) {
        found.add("\(place).subject_prefix", "is that of an issuer for all tenants")
      }
      for earlier in issuers[..<at] { found += clashes(issuer, earlier, place) }
    }
    return found
  }

  /// What two issuers can't have in common.
  private static func clashes(
    _ issuer: ExternalIssuer, _ earlier: ExternalIssuer, _ place: String
  ) -> [Violation] {
    var found: [Violation] = []
    if issuer.id == earlier.id { found.add("\(place).id", "is there twice") }
    if issuer.issuer.utf8.elementsEqual(earlier.issuer.utf8) {
      found.add("\(place).issuer", "is there twice")
    }
    if overlap(issuer.subjectPrefix, earlier.subjectPrefix) {
      found.add(
        "\(place).subject_prefix", "begins like that of \(earlier.id), or that like this")
    }
    return found
  }

  /// Whether subjects with the one could be taken for those with the other.
  public static func overlap(_ one: String, _ other: String) -> Bool {
    one.utf8.starts(with: other.utf8) || other.utf8.starts(with: one.utf8)
  }

  /// All that is wrong with one issuer by itself.
  /// - Parameters:
  ///   - field: what stands before the names of its fields.
  ///   - isStored: whether an earlier version may have let it in, which knew of no groups.
  public static func violations(
    of issuer: ExternalIssuer, field: String, isStored: Bool = false
  ) -> [Violation] {
    var found: [Violation] = []
    if !isID(issuer.id) {
      found.add(
        "\(field).id",
        "1 to \(maximumIDBytes) lower-case letters, digits and hyphens, beginning with a letter")
    }
    if !isVisible(issuer.issuer, maximumTextBytes) || !issuer.issuer.utf8.contains(0x3A) {
      found.add("\(field).issuer", "a URI of at most \(maximumTextBytes) bytes of visible ASCII")
    }
    found += keyViolations(of: issuer, field) + sourceViolations(of: issuer, field)
    found += claimViolations(of: issuer, field)
    if !isStored { found += groupViolations(of: issuer, field) }
    let lives = 1...ExternalIssuer.longestLife
    if !lives.contains(issuer.maximumLifeSeconds) {
      found.add("\(field).maximum_life", "1 to \(lives.upperBound) seconds")
    }
    return found
  }

  /// None of its subjects is to be taken for a group, whose subjects are `group:{id}`.
  private static func groupViolations(
    of issuer: ExternalIssuer, _ field: String
  ) -> [Violation] {
    var found: [Violation] = []
    let reserved = SubjectGroup.subjectPrefix
    if ExternalIssuer.usualPrefix(of: issuer.id) == reserved {
      found.add("\(field).id", "its subjects would be taken for groups")
    }
    let prefix = issuer.subjectPrefix.lowercased()
    if !prefix.isEmpty, overlap(prefix, reserved) {
      found.add("\(field).subject_prefix", "its subjects would be taken for groups")
    }
    return found
  }

  private static func keyViolations(of issuer: ExternalIssuer, _ field: String) -> [Violation] {
    var found: [Violation] = []
    let place = "\(field).json_web_key_set"
    // Those that are fetched are judged when they are.
    let counts = issuer.published == nil ? 1...ExternalIssuer.maximumKeys : 0...0
    if issuer.published != nil, !issuer.keys.isEmpty {
      found.add(place, "has to be empty: the keys are fetched from jwks_uri")
    } else if !counts.contains(issuer.keys.count) {
      found.add(place, "1 to \(ExternalIssuer.maximumKeys) keys that can verify tokens")
    }
    let areKeys = issuer.keys.allSatisfy { key in
      TokenKey.isID(key.id) && (2...ExternalKey.maximumBytes).contains(key.publicKey.utf8.count)
        && !key.publicKey.utf8.contains(0)
    }
    if !areKeys { found.add(place, "a key of more than \(ExternalKey.maximumBytes) bytes") }
    let algorithms = issuer.algorithms
    if algorithms.isEmpty || Set(algorithms).count != algorithms.count
      || !algorithms.allSatisfy({ ExternalIssuer.algorithms.contains($0) })
    {
      found.add("\(field).algorithms", "each once: some of \(ExternalIssuer.algorithms)")
    }
    return found
  }

  private static func sourceViolations(
    of issuer: ExternalIssuer, _ field: String
  ) -> [Violation] {
    guard let published = issuer.published else { return [] }
    var found: [Violation] = []
    if HTTPSURL(parsing: published.url) == nil {
      found.add(
        "\(field).jwks_uri",
        "https:// and a server's name in lower case, at most \(HTTPSURL.maximumBytes) bytes, "
          + "without a user and a fragment")
    }
    let pins = published.pins
    if pins.count > PublishedKeySet.maximumPins || Set(pins).count != pins.count
      || !pins.allSatisfy({ PublishedKeySet.digest(ofPin: $0) != nil })
    {
      found.add(
        "\(field).key_pins",
        "at most \(PublishedKeySet.maximumPins), each once: SHA-256 of a SubjectPublicKeyInfo in base64"
      )
    }
    return found
  }

  private static func claimViolations(of issuer: ExternalIssuer, _ field: String) -> [Violation] {
    var found: [Violation] = []
    let audiences = issuer.audiences
    if audiences.count > maximumAudiences || Set(audiences).count != audiences.count
      || !audiences.allSatisfy({ isVisible($0, maximumTextBytes) })
    {
      found.add(
        "\(field).audiences",
        "at most \(maximumAudiences), each once, of 1 to \(maximumTextBytes) bytes of visible ASCII"
      )
    }
    if !isClaim(issuer.subjectClaim) || isFixed(issuer.subjectClaim) {
      found.add("\(field).subject_claim", "the name of a claim that can say who the subject is")
    }
    if let claim = issuer.permissionsClaim, !isClaim(claim) || isFixed(claim) {
      found.add(
        "\(field).permissions_claim", "the name of a claim that can say what a token is for")
    }
    if !isPrefix(issuer.subjectPrefix) {
      found.add(
        "\(field).subject_prefix",
        "1 to \(maximumPrefixBytes) bytes of visible ASCII, and none that the platform's subjects have"
      )
    }
    let claims = issuer.requiredClaims
    if claims.count > maximumClaims || Set(claims.map(\.name)).count != claims.count {
      found.add("\(field).required_claims", "at most \(maximumClaims), each name once")
    }
    for (at, claim) in claims.enumerated() {
      if !isClaim(claim.name) {
        found.add(
          "\(field).required_claims[\(at)].name",
          "1 to \(maximumNameBytes) bytes: a name, or a JSON Pointer to a claim within another")
      }
      if !isText(claim.value, maximumTextBytes) {
        found.add("\(field).required_claims[\(at)].value", "1 to \(maximumTextBytes) bytes")
      }
    }
    return found
  }

  // MARK: Texts

  static func isID(_ text: String) -> Bool {
    (1...maximumIDBytes).contains(text.utf8.count)
      && text.utf8.first.map { (0x61...0x7A).contains($0) } ?? false
      && text.utf8.allSatisfy {
        (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D
      }
  }

  /// Whether subjects with this before them can't be taken for the platform's, whatever follows.
  static func isPrefix(_ text: String) -> Bool {
    guard isVisible(text, maximumPrefixBytes) else { return false }
    let folded = text.lowercased()
    return !reserved.contains { overlap($0, folded) }
  }

  /// Without NUL, `"` and `\`, which not all places where it is shown can have.
  private static func isVisible(_ text: String, _ maximum: Int) -> Bool {
    (1...maximum).contains(text.utf8.count)
      && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C }
  }

  private static func isClaim(_ text: String) -> Bool {
    isText(text, maximumNameBytes) && ClaimPath.names(of: text) != nil
  }

  /// Also what is within such a one means something to every reader.
  private static func isFixed(_ claim: String) -> Bool {
    ClaimPath.names(of: claim)?.first.map(fixedClaims.contains) ?? false
  }

  private static func isText(_ text: String, _ maximum: Int) -> Bool {
    (1...maximum).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
  }
}

extension [TenancyError.FieldViolation] {
  fileprivate mutating func add(_ field: String, _ description: String) {
    append(TenancyError.FieldViolation(field: field, description: description))
  }
}

extension TenancyError {
  /// All that is wrong with a request's fields; nil: nothing is.
  public static func invalid(_ violations: [FieldViolation]) -> TenancyError? {
    guard let first = violations.first else { return nil }
    return TenancyError(
      .invalidArgument, .invalidField, "\(first.field): \(first.description)",
      violations: violations)
  }
}
