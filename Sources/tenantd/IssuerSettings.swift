import FoundationEssentials
import Logging
import Tenancy
import TenancyServer

/// One of `tokens.issuers`: an issuer whose tokens are accepted for all tenants, and the file that its keys are in.
struct IssuerSettings: Sendable {
  /// Bytes of a file with keys.
  private static let maximumFileBytes = 131_072

  /// Without keys where these are in a file.
  var issuer: PlatformIssuer
  /// Nil: they are in the configuration.
  let file: String?

  init(_ settings: inout SettingsReader) throws {
    var issuer = ExternalIssuer(
      id: try settings.string("id"), issuer: try settings.string("issuer"), keys: [])
    issuer.algorithms = try settings.strings("algorithms") ?? issuer.algorithms
    issuer.audiences = try settings.strings("audiences") ?? []
    issuer.acceptsPlainType = try settings.boolean("accept_jwt_type") ?? false
    issuer.subjectClaim = try settings.optionalString("subject_claim") ?? issuer.subjectClaim
    issuer.subjectPrefix = try settings.optionalString("subject_prefix") ?? issuer.subjectPrefix
    issuer.requiredClaims = try settings.list("required_claims") { claim in
      ExternalIssuer.RequiredClaim(
        name: try claim.string("name"), value: try claim.string("value"))
    }
    issuer.permissionsClaim = try settings.optionalString("permissions_claim")
    issuer.maximumLifeSeconds =
      try settings.integer("maximum_life_seconds", in: 1...ExternalIssuer.longestLife)
      ?? issuer.maximumLifeSeconds
    issuer.requiresBinding = try settings.boolean("require_binding") ?? false
    let file = try settings.optionalString("jwks_file")
    self.file = file
    let inline = try settings.object("jwks")
    let url = try settings.optionalString("jwks_uri")
    let pins = try settings.strings("key_pins")
    guard [file != nil, inline != nil, url != nil].count(where: \.self) == 1 else {
      throw settings.error("one of jwks, jwks_file and jwks_uri is required, and not two")
    }
    guard url != nil || pins == nil else { throw settings.error("key_pins: goes with jwks_uri") }
    issuer.published = url.map { PublishedKeySet(url: $0, pins: pins ?? []) }
    if let inline {
      let place = settings
      issuer.keys = try Self.keys(inline.text(), of: issuer) { place.error("jwks: \($0)") }
    }
    let naming = try Self.naming(&settings)
    // Those in a file are judged when it is read.
    let violations = AuthenticationRules.violations(of: issuer, field: "").filter {
      file == nil || $0.field != ".json_web_key_set"
    }
    if let first = violations.first {
      throw settings.error("\(first.field.dropFirst()): \(first.description)")
    }
    self.issuer = PlatformIssuer(issuer, naming: naming)
  }

  private static func naming(_ settings: inout SettingsReader) throws -> PlatformIssuer.Naming {
    let tenant = try settings.optionalString("tenant")
    let claim = try settings.optionalString("tenant_claim")
    let values = try settings.stringLists("tenants") ?? []
    switch (tenant, claim) {
    case (let tenant?, nil):
      guard values.isEmpty else { throw settings.error("tenants: goes with tenant_claim") }
      return .tenant(tenant)
    case (nil, let claim?):
      var names: [String: String] = [:]
      for (tenant, values) in values {
        for value in values where names.updateValue(tenant, forKey: value) != nil {
          throw settings.error("tenants: \(value) stands for two of them")
        }
      }
      return .claim(claim, names: names)
    case (nil, nil), (_?, _?):
      throw settings.error("tenant or tenant_claim is required, and not both")
    }
  }

  /// Keys as a tenant's admin could set them.
  private static func keys(
    _ text: String, of issuer: ExternalIssuer, _ error: (String) -> ConfigurationError
  ) throws -> [ExternalKey] {
    let keys: [ExternalKey]
    do throws(ExternalKeyError) {
      keys = try ExternalKey.read(set: text, algorithms: issuer.algorithms)
    } catch let problem {
      throw error(problem.description)
    }
    guard (1...ExternalIssuer.maximumKeys).contains(keys.count) else {
      throw error("1 to \(ExternalIssuer.maximumKeys) keys that can verify tokens are expected")
    }
    return keys
  }

  /// Nil where they are not in a file.
  /// - Throws: `ConfigurationError`.
  func readKeys() throws -> [ExternalKey]? {
    guard let file else { return nil }
    try OwnFiles.checkTrusted(file)
    // Lost is a long text of Foundation's, for which there are few causes.
    guard let data = try? Data(contentsOf: URL(filePath: file)) else {
      throw ConfigurationError(
        description: "cannot read \(file), which is missing or not to be read by this user")
    }
    guard data.count <= Self.maximumFileBytes else {
      throw ConfigurationError(
        description: "\(file) has more than \(Self.maximumFileBytes) bytes")
    }
    return try Self.keys(String(decoding: data, as: UTF8.self), of: issuer.issuer) {
      ConfigurationError(description: "\(file): \($0)")
    }
  }
}

extension [IssuerSettings] {
  /// Of one list: what they can't have in common.
  func check(_ settings: SettingsReader) throws {
    for (at, one) in enumerated() {
      for other in self[..<at] {
        let (a, b) = (one.issuer.issuer, other.issuer.issuer)
        guard a.id != b.id, a.issuer != b.issuer,
          !AuthenticationRules.overlap(a.subjectPrefix, b.subjectPrefix)
        else {
          throw settings.error("issuers[\(at)]: has the id, issuer or subject_prefix of \(b.id)")
        }
      }
    }
  }

  /// Reads the files with keys; where one can't be read or is wrong, all keys stay.
  /// - Throws: `ConfigurationError`.
  func loadKeys(into issuers: PlatformIssuers) throws {
    var keys: [String: [ExternalKey]] = [:]
    for one in self {
      if let read = try one.readKeys() { keys[one.issuer.issuer.id] = read }
    }
    issuers.replaceKeys(keys)
  }

  /// On SIGHUP. What runs goes on with the keys that it has, whatever goes wrong.
  func reload(
    into issuers: PlatformIssuers?, _ reloads: ReloadCounters, _ logger: Logger
  ) {
    guard let issuers, contains(where: { $0.file != nil }) else { return }
    do {
      try loadKeys(into: issuers)
      reloads.ended(.issuerKeys, succeeded: true)
    } catch {
      reloads.ended(.issuerKeys, succeeded: false)
      logger.error("keys of token issuers not reloaded", metadata: ["error": "\(error)"])
    }
  }
}
