import Tenancy
import TenancyRPC
import TenancyWire

/// The methods of `tenancy.v1.Tokens` about authentication settings.
struct AuthenticationService: Sendable {
  let plane: ControlPlane
  /// Nil: no tokens are issued or taken. Settings can be made all the same.
  let terms: TokenTerms?

  func methods(_ gate: Gate) -> [TenancyMethod] {
    [
      gate.async(V1.Tokens.getAuthenticationSettings) { (access, _) throws(TenancyError) in
        V1.AuthenticationSettings(try access.requireTarget().tenant.authentication)
      },
      gate.async(
        V1.Tokens.setAuthenticationSettings,
        again: { (access, _, _) throws(TenancyError) in
          guard let record = plane.state.find(try access.requireTarget().tenant.id) else {
            throw .tenantNotFound
          }
          return V1.AuthenticationSettings(record.tenant.authentication)
        }, set),
    ]
  }

  private func set(
    _ access: Access, _ request: V1.SetAuthenticationSettingsRequest
  ) async throws(TenancyError) -> V1.AuthenticationSettings {
    let tenant = try access.requireTarget().tenant.id
    let outside = terms?.outside
    guard let sent = request.settings else { throw .invalid("settings", "is required") }
    var violations: [TenancyError.FieldViolation] = []
    let settings = AuthenticationSettings(sent, &violations)
    violations += AuthenticationRules.violations(
      of: settings, prefixes: terms?.outside.prefixes ?? [],
      foreign: { terms?.isOurs($0) ?? false })
    for (at, issuer) in settings.issuers.enumerated() {
      guard let url = issuer.published?.url, outside?.fetched.allows(url) != true else { continue }
      violations.append(
        TenancyError.FieldViolation(
          field: "settings.issuers[\(at)].jwks_uri",
          description: "the server's configuration has no such host in tokens.jwks.hosts"))
    }
    if let error = TenancyError.invalid(violations.firstOfEachField) { throw error }
    let commands = AuthenticationCommands(
      plane, actor: access.caller.subject,
      judge: try access.requireJudge().validating(only: request.validateOnly))
    let new = try await commands.set(settings, of: tenant, etag: sent.etag)
    // Whoever has made a mistake finds it in the log before a token comes.
    if new.acceptsExternalIssuers, !request.validateOnly {
      outside?.prepare(new.issuers, owner: tenant)
    }
    return V1.AuthenticationSettings(new)
  }
}

extension [TenancyError.FieldViolation] {
  /// A field that can't be read is not said to be empty as well.
  fileprivate var firstOfEachField: Self {
    var seen: Set<String> = []
    return filter { seen.insert($0.field).inserted }
  }
}

// MARK: From messages

extension AuthenticationSettings {
  /// - Parameter violations: what can't be read goes there; the rest is left to `AuthenticationRules`.
  fileprivate init(
    _ sent: V1.AuthenticationSettings, _ violations: inout [TenancyError.FieldViolation]
  ) {
    self.init()
    acceptsOwnTokens = !sent.disableOwnTokens
    acceptsExternalIssuers = !sent.disableExternalIssuers
    acceptsPlatformIssuers = !sent.disablePlatformIssuers
    requiresBinding = sent.requireBinding
    maximumLifeSeconds = sent.maximumLife.map {
      Self.seconds($0, "settings.maximum_life", &violations)
    }
    // More are refused, and not looked at one by one.
    for (at, issuer) in sent.issuers.prefix(Self.maximumIssuers + 1).enumerated() {
      issuers.append(ExternalIssuer(issuer, "settings.issuers[\(at)]", &violations))
    }
  }

  /// 0, which no life is, for what is not whole seconds.
  fileprivate static func seconds(
    _ duration: GoogleProtobuf.Duration, _ field: String,
    _ violations: inout [TenancyError.FieldViolation]
  ) -> Int {
    guard duration.nanos == 0 else {
      violations.append(
        TenancyError.FieldViolation(field: field, description: "whole seconds"))
      return 0
    }
    return Int(duration.seconds)
  }
}

extension ExternalIssuer {
  /// Bytes of a set of keys as it is sent.
  private static let maximumSetBytes = 32_768

  fileprivate init(
    _ sent: V1.ExternalIssuer, _ field: String,
    _ violations: inout [TenancyError.FieldViolation]
  ) {
    let algorithms = sent.algorithms.isEmpty ? Self.algorithms : sent.algorithms
    let areFetched = !sent.jwksUri.isEmpty
    let place = "\(field).json_web_key_set"
    if areFetched, !sent.jsonWebKeySet.isEmpty {
      violations.append(
        TenancyError.FieldViolation(
          field: place, description: "goes not with jwks_uri: the keys are in one of them"))
    }
    if !areFetched, !sent.keyPins.isEmpty {
      violations.append(
        TenancyError.FieldViolation(field: "\(field).key_pins", description: "goes with jwks_uri"))
    }
    self.init(
      id: sent.id, issuer: sent.issuer,
      keys: areFetched ? [] : Self.keys(sent.jsonWebKeySet, algorithms, place, &violations))
    if areFetched { published = PublishedKeySet(url: sent.jwksUri, pins: sent.keyPins) }
    self.algorithms = algorithms
    isEnabled = !sent.disabled
    audiences = sent.audiences
    acceptsPlainType = sent.acceptJwtType
    if !sent.subjectClaim.isEmpty { subjectClaim = sent.subjectClaim }
    if !sent.subjectPrefix.isEmpty { subjectPrefix = sent.subjectPrefix }
    requiredClaims = sent.requiredClaims.map { RequiredClaim(name: $0.name, value: $0.value) }
    permissionsClaim = sent.permissionsClaim.isEmpty ? nil : sent.permissionsClaim
    if let life = sent.maximumLife {
      maximumLifeSeconds = AuthenticationSettings.seconds(
        life, "\(field).maximum_life", &violations)
    }
    requiresBinding = sent.requireBinding
  }

  private static func keys(
    _ text: String, _ algorithms: [String], _ field: String,
    _ violations: inout [TenancyError.FieldViolation]
  ) -> [ExternalKey] {
    func add(_ description: String) {
      violations.append(TenancyError.FieldViolation(field: field, description: description))
    }
    guard (1...maximumSetBytes).contains(text.utf8.count) else {
      add("1 to \(maximumSetBytes) bytes")
      return []
    }
    do throws(ExternalKeyError) {
      return try ExternalKey.read(set: text, algorithms: algorithms)
    } catch {
      add(error.description)
      return []
    }
  }
}

// MARK: As messages

extension V1.AuthenticationSettings {
  init(_ settings: AuthenticationSettings) {
    self.init(
      disableOwnTokens: !settings.acceptsOwnTokens,
      disableExternalIssuers: !settings.acceptsExternalIssuers,
      disablePlatformIssuers: !settings.acceptsPlatformIssuers,
      maximumLife: settings.maximumLifeSeconds.map { GoogleProtobuf.Duration(seconds: Int64($0)) },
      requireBinding: settings.requiresBinding,
      issuers: settings.issuers.map { V1.ExternalIssuer($0) }, etag: settings.etag)
  }
}

extension V1.ExternalIssuer {
  fileprivate init(_ issuer: ExternalIssuer) {
    let keys = issuer.keys.map(\.publicKey).joined(separator: ",")
    self.init(
      id: issuer.id, issuer: issuer.issuer, disabled: !issuer.isEnabled,
      jsonWebKeySet: issuer.published == nil ? "{\"keys\":[\(keys)]}" : "",
      algorithms: issuer.algorithms,
      audiences: issuer.audiences, acceptJwtType: issuer.acceptsPlainType,
      subjectClaim: issuer.subjectClaim, subjectPrefix: issuer.subjectPrefix,
      requiredClaims: issuer.requiredClaims.map {
        V1.RequiredClaim(name: $0.name, value: $0.value)
      },
      permissionsClaim: issuer.permissionsClaim ?? "",
      maximumLife: GoogleProtobuf.Duration(seconds: Int64(issuer.maximumLifeSeconds)),
      requireBinding: issuer.requiresBinding, jwksUri: issuer.published?.url ?? "",
      keyPins: issuer.published?.pins ?? [])
  }
}
