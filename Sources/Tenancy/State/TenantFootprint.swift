/// How much a tenant's state takes, roughly: worked out from the sizes of its objects and texts and of their
/// places in tables, rounded up. It is kept with each change and never counted anew, so it costs the same
/// however much there is.
///
/// Names that were once the tenant's are left out: only the platform gives new ones.
public struct TenantFootprint: Hashable, Sendable {
  /// In memory: settings, flags, roles, groups, the keys of tokens and revocations.
  public internal(set) var residentBytes = 0
  /// In memory: assignments and members of groups, with their places in all indexes.
  public internal(set) var assignmentBytes = 0
  /// On disk: the rows of all of it.
  public internal(set) var storedBytes = 0

  static func + (a: Self, b: Self) -> Self {
    TenantFootprint(
      residentBytes: a.residentBytes + b.residentBytes,
      assignmentBytes: a.assignmentBytes + b.assignmentBytes,
      storedBytes: a.storedBytes + b.storedBytes)
  }

  static func - (a: Self, b: Self) -> Self {
    TenantFootprint(
      residentBytes: a.residentBytes - b.residentBytes,
      assignmentBytes: a.assignmentBytes - b.assignmentBytes,
      storedBytes: a.storedBytes - b.storedBytes)
  }

  static func += (a: inout Self, b: Self) { a = a + b }

  /// Counts what takes the place of something else.
  mutating func replace(_ former: TenantFootprint?, by new: TenantFootprint?) {
    if let former { self = self - former }
    if let new { self = self + new }
  }
}

/// Bytes that go with a part beside its text: headers of objects and strings, places in tables.
private enum Overhead {
  static let tenant = 512
  /// A key and a value of a table, or a flag.
  static let entry = 64
  static let role = 512
  /// It is in its role and in the index of what roles grant.
  static let permission = 128
  static let assignment = 384
  /// Compiled, it takes several times its text.
  static let condition = 1024
  /// With its place among the others, whose sets grow with their number.
  static let group = 1024
  static let row = 160
  /// The reference, and a row with what a password is when it is sealed.
  static let secret = 320
  static let tokenKey = 256
  static let settings = 128
  /// Names of members included, in a row.
  static let issuer = 512
  static let text = 24
  /// Keys that are fetched, of which there may be as many as an issuer may have.
  static let fetchedKeys = ExternalIssuer.maximumKeys * (ExternalKey.maximumBytes + 128)
  /// It is by its target and by its end.
  static let revocation = 512
}

extension Tenant {
  var footprint: TenantFootprint {
    var (bytes, entries) = configuration.content
    if hasMetadata {
      let noted = metadata.content
      (bytes, entries) = (bytes + noted.bytes, entries + noted.entries)
    }
    let text = bytes + displayName.utf8.count + stateReason.utf8.count
    return tokenKeys.reduce(
      TenantFootprint(
        residentBytes: Overhead.tenant + text + entries * Overhead.entry,
        storedBytes: Overhead.row + text) + authentication.footprint
    ) { $0 + $1.footprint }
  }

  /// What is written of it with each change.
  var contentBytes: Int { footprint.storedBytes }
}

extension TokenKey {
  var footprint: TenantFootprint {
    let bytes = Overhead.tokenKey + id.utf8.count + publicKey.utf8.count
    return TenantFootprint(residentBytes: bytes, storedBytes: bytes + Overhead.secret)
  }
}

extension AuthenticationSettings {
  var footprint: TenantFootprint {
    guard !isDefault else { return TenantFootprint() }
    let bytes = issuers.reduce(Overhead.settings) { $0 + $1.bytes }
    let fetching = issuers.count { $0.published != nil }
    return TenantFootprint(
      residentBytes: bytes + fetching * Overhead.fetchedKeys, storedBytes: bytes)
  }
}

extension ExternalIssuer {
  fileprivate var bytes: Int {
    var texts = [id, issuer, subjectClaim, subjectPrefix, permissionsClaim ?? ""]
    texts += algorithms + audiences + requiredClaims.flatMap { [$0.name, $0.value] }
    texts += keys.flatMap { [$0.id, $0.publicKey] }
    if let published { texts += [published.url] + published.pins }
    return texts.reduce(Overhead.issuer) { $0 + Overhead.text + $1.utf8.count }
  }
}

extension Revocation {
  var footprint: TenantFootprint {
    let text = target.text.utf8.count + reason.utf8.count
    return TenantFootprint(
      residentBytes: Overhead.revocation + text, storedBytes: Overhead.row + text)
  }
}

extension SigningAuthority {
  /// About what its texts take.
  var contentBytes: Int {
    256 + trustDomain.utf8.count + chain.utf8.count + request.utf8.count + publicKey.utf8.count
  }
}

extension WorkloadEntry {
  /// What is written of it.
  var contentBytes: Int {
    let texts = [path, hint, selectors.binaryPath, selectors.systemdUnit, selectors.node]
    return texts.reduce(2 * Overhead.row) { $0 + ($1?.utf8.count ?? 0) }
  }
}

extension TenantDomain {
  /// What is written of it.
  var contentBytes: Int { 2 * Overhead.row + name.text.utf8.count }
}

extension TenantConfiguration {
  /// Bytes of text, and how many values there are.
  fileprivate var content: (bytes: Int, entries: Int) {
    var (bytes, entries) = (0, featureFlags.count + 4 * routes.count)
    for rule in routes { bytes += rule.textBytes }
    for name in featureFlags.keys { bytes += name.utf8.count + 8 }
    for (key, value) in customSettings {
      bytes += key.utf8.count
      value.measure(&bytes, &entries)
    }
    if let database {
      bytes += database.connectionString.utf8.count + database.username.utf8.count
      if database.password != nil { bytes += Overhead.secret }
    }
    for (name, secret) in secretSettings {
      bytes += name.utf8.count + secret.byteCount + Overhead.secret
      entries += 1
    }
    bytes += schema?.schemaName.utf8.count ?? 0
    bytes += shared?.tenantIdentifier.utf8.count ?? 0
    if let placement { bytes += placement.region.utf8.count + placement.cluster.utf8.count }
    for category in dataCategories {
      let place = category.placement ?? PlacementSettings()
      bytes += category.name.utf8.count + place.region.utf8.count + place.cluster.utf8.count
      entries += 1
    }
    return (bytes, entries)
  }
}

extension JSONValue {
  fileprivate func measure(_ bytes: inout Int, _ entries: inout Int) {
    entries += 1
    switch self {
    case .null, .bool, .number: bytes += 8
    case .string(let text): bytes += text.utf8.count
    case .array(let items): for item in items { item.measure(&bytes, &entries) }
    case .object(let members):
      for (key, item) in members {
        bytes += key.utf8.count
        item.measure(&bytes, &entries)
      }
    }
  }
}

extension Role {
  var footprint: TenantFootprint {
    let text = title.utf8.count + summary.utf8.count + id.utf8.count
    let names = self.names
    let bytes = names.reduce(0) { $0 + $1.utf8.count }
    return TenantFootprint(
      residentBytes: Overhead.role + text + 2 * bytes + names.count * Overhead.permission,
      storedBytes: Overhead.row + text + bytes + 4 * names.count)
  }

  /// Everything that it lists.
  var names: [String] { permissions + denials + parents + exclusions }

  /// What is written of it with each change.
  var contentBytes: Int { footprint.storedBytes }
}

extension RoleAssignment {
  var footprint: TenantFootprint {
    // A condition that others have as well is in memory once; each is counted as if it were alone.
    let condition =
      terms.condition.isEmpty ? 0 : Overhead.condition + 8 * terms.condition.utf8.count
    return TenantFootprint(
      assignmentBytes: Overhead.assignment + textBytes + condition,
      storedBytes: Overhead.row + textBytes)
  }

  /// Bytes of all its texts.
  var textBytes: Int {
    subject.utf8.count + role.utf8.count + terms.scope.text.utf8.count
      + terms.condition.utf8.count + terms.reason.utf8.count
  }
}

extension SubjectGroup {
  var footprint: TenantFootprint {
    let text = title.utf8.count + summary.utf8.count + id.utf8.count
    return TenantFootprint(
      residentBytes: Overhead.group + text, storedBytes: Overhead.row + text)
  }

  /// What is written of it with each change.
  var contentBytes: Int { footprint.storedBytes }
}

extension GroupMember {
  var footprint: TenantFootprint {
    let text = group.utf8.count + member.utf8.count
    return TenantFootprint(
      assignmentBytes: Overhead.assignment + text, storedBytes: Overhead.row + text)
  }
}

extension TenantPolicy.CompiledRole {
  /// Built-in roles are in memory once for all tenants.
  var footprint: TenantFootprint? { isBuiltIn ? nil : role.footprint }
}
