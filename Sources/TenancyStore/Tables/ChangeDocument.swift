internal import Tenancy

/// A change as the log keeps it: form 1, complete, so that others can follow it.
///
/// A log row's `changes` is a JSON array of objects, one for each change, to be applied in order. `change`
/// says which, and the other keys are:
///
///     putTenant               tenant: {id, slug, displayName, state, isolationModel, configuration, version,
///                               epoch, createTime, updateTime, deleteTime?, purgeTime?, stateReason?,
///                               tokenKeys?: [{id, algorithm, publicKey, createTime, reference: {version, key},
///                               retireTime?, verifyUntil?}], authentication?, tokenHorizon?}
///     putRole                 tenant, role: {id, title, summary, permissions, version, createTime, updateTime}
///     putRuledRole            the same, role: and rules: {denials?, exclusions?, parents?}
///     deleteRole              tenant, id
///     putAssignment           tenant, assignment: {id, subject, role, createTime, expireTime?, terms?: {reason?}}
///     putQualifiedAssignment  the same, terms: and condition?, resource?
///     deleteAssignment        tenant, id
///     putGroup                tenant, group: {id, title, summary, version, createTime, updateTime}
///     deleteGroup             tenant, id
///     putGroupMember          tenant, member: {id, group, member, createTime, expireTime?}
///     deleteGroupMember       tenant, id
///     putProvisioningStep     tenant, name
///     clearProvisioningSteps  tenant
///     reserveName             tenant, kind: slug, schema or tenant_identifier; name
///     retireSlug              tenant, name
///     rememberRequest         tenant?, request: {payer?, actor, requestID, digest, resource?, time}
///     forgetRequests          before, tenant?
///     putSecret               tenant?, purpose: database_password, token_key/{id}, authority_key/{id}; version, key
///     deleteSecret            tenant?, purpose
///     putRevocation           tenant, revocation: {kind: token, subject or tenant; target?, before, expireTime,
///                               reason?}
///     forgetRevocations       tenant, before
///     putWorkloadEntry        entry: {id, tenant?, path, selectors: {uid?, gid?, binaryPath?, systemdUnit?, node?},
///                               lifetime in seconds, hint?, createTime}
///     deleteWorkloadEntry     id
///     putDomain               domain: see `TenantDomainDocument`
///     deleteDomain            tenant, name
///     putAuthority            authority: see `AuthorityDocument`
///     deleteAuthority         id
///     putConfigurationItem    item: {setting: see `SettingDefinition`}, {plan: see `Plan`} or
///                               {flag: see `FeatureFlag`}
///     deleteConfigurationItem kind: setting, plan or flag; id
///     putOperation            operation: see `TenantOperation`
///     deleteOperations        tenant
///     putDataKey              key, masterKey, createTime, state: active or retired
///
/// `tenant` is an id except in `putTenant`; times are nanoseconds since 1970, counters unsigned. Of a secret the
/// log says which it is, by its `version` and the id of the data `key` that it is sealed under, and never what
/// it is, sealed or not; `configuration.database.password` is that, too, and the `reference` of a key. A
/// connection string that holds a password is not in the log: then `redacted` is true, and the change can't be
/// decoded. Keys that a reader does not know are to be passed over; a change that it does not know means that it
/// is too old to follow.
struct ChangeDocument: Codable {
  /// Of log rows written by this program. Rows of form 0, of earlier versions, are for people only.
  static let form: Int64 = 1

  let change: Change

  init(_ change: Change) { self.change = change }

  private enum Key: String, CodingKey {
    case change, tenant, role, assignment, id, kind, name, request, before
    case purpose, version, key, masterKey, createTime, state, revocation, entry, authority, domain
    case item, operation, group, member
  }

  /// As it is in the log.
  static func configurationText(
    _ configuration: TenantConfiguration, _ coding: JSONCoding
  ) throws(StoreError) -> String {
    if let text = PlainConfiguration.encode(configuration) { return text }
    return try coding.text(ConfigurationDocument(configuration))
  }

  private enum Kind: String, Codable {
    case putTenant, putRole, deleteRole, putAssignment, deleteAssignment, putProvisioningStep
    /// Who does not know what these have would allow too much, and so must not know them.
    case putRuledRole, putQualifiedAssignment
    case clearProvisioningSteps, reserveName, retireSlug, rememberRequest, forgetRequests
    case putSecret, deleteSecret, putDataKey, putRevocation, forgetRevocations
    case putWorkloadEntry, deleteWorkloadEntry, putAuthority, deleteAuthority
    case putDomain, deleteDomain, putConfigurationItem, deleteConfigurationItem
    case putOperation, deleteOperations
    case putGroup, deleteGroup, putGroupMember, deleteGroupMember
  }

  func encode(to encoder: any Encoder) throws {
    var box = encoder.container(keyedBy: Key.self)
    func put(_ kind: Kind, _ tenant: TenantID) throws {
      try box.encode(kind, forKey: .change)
      if tenant != SecretPlace.platform { try box.encode(tenant.description, forKey: .tenant) }
    }
    switch change {
    case .putTenant(let tenant):
      try box.encode(Kind.putTenant, forKey: .change)
      try box.encode(TenantDocument(tenant), forKey: .tenant)
    case .putRole(let tenant, let role):
      try put(role.hasRules ? .putRuledRole : .putRole, tenant)
      try box.encode(RoleDocument(role), forKey: .role)
    case .deleteRole(let tenant, let id):
      try put(.deleteRole, tenant)
      try box.encode(id, forKey: .id)
    case .putAssignment(let tenant, let assignment):
      try put(assignment.terms.isQualified ? .putQualifiedAssignment : .putAssignment, tenant)
      try box.encode(AssignmentDocument(assignment), forKey: .assignment)
    case .deleteAssignment(let tenant, let id):
      try put(.deleteAssignment, tenant)
      try box.encode(id, forKey: .id)
    case .putGroup(let tenant, let group):
      try put(.putGroup, tenant)
      try box.encode(GroupDocument(group), forKey: .group)
    case .deleteGroup(let tenant, let id):
      try put(.deleteGroup, tenant)
      try box.encode(id, forKey: .id)
    case .putGroupMember(let tenant, let member):
      try put(.putGroupMember, tenant)
      try box.encode(GroupMemberDocument(member), forKey: .member)
    case .deleteGroupMember(let tenant, let id):
      try put(.deleteGroupMember, tenant)
      try box.encode(id, forKey: .id)
    case .putProvisioningStep(let tenant, let name):
      try put(.putProvisioningStep, tenant)
      try box.encode(name, forKey: .name)
    case .clearProvisioningSteps(let tenant):
      try put(.clearProvisioningSteps, tenant)
    case .reserveName(let name, let tenant):
      try put(.reserveName, tenant)
      try box.encode(name.kind.rawValue, forKey: .kind)
      try box.encode(name.text, forKey: .name)
    case .retireSlug(let slug, let tenant):
      try put(.retireSlug, tenant)
      try box.encode(slug.text, forKey: .name)
    case .rememberRequest(let request):
      try box.encode(Kind.rememberRequest, forKey: .change)
      try box.encodeIfPresent(request.tenant?.description, forKey: .tenant)
      try box.encode(RequestDocument(request), forKey: .request)
    case .forgetRequests(let before, let payer):
      try box.encode(Kind.forgetRequests, forKey: .change)
      try box.encodeIfPresent(payer?.description, forKey: .tenant)
      try box.encode(before.nanoseconds, forKey: .before)
    case .putSecret(let tenant, let purpose, let reference, _):
      try put(.putSecret, tenant)
      try box.encode(purpose.rawValue, forKey: .purpose)
      try box.encode(reference.version, forKey: .version)
      try box.encode(reference.key, forKey: .key)
    case .deleteSecret(let tenant, let purpose):
      try put(.deleteSecret, tenant)
      try box.encode(purpose.rawValue, forKey: .purpose)
    case .putRevocation(let tenant, let revocation):
      try put(.putRevocation, tenant)
      try box.encode(RevocationDocument(revocation), forKey: .revocation)
    case .forgetRevocations(let tenant, let before):
      try put(.forgetRevocations, tenant)
      try box.encode(before.nanoseconds, forKey: .before)
    case .putWorkloadEntry(let entry):
      try box.encode(Kind.putWorkloadEntry, forKey: .change)
      try box.encode(WorkloadEntryDocument(entry), forKey: .entry)
    case .deleteWorkloadEntry(let id):
      try box.encode(Kind.deleteWorkloadEntry, forKey: .change)
      try box.encode(id, forKey: .id)
    case .putDomain(let domain):
      try box.encode(Kind.putDomain, forKey: .change)
      try box.encode(TenantDomainDocument(domain), forKey: .domain)
    case .deleteDomain(let tenant, let name):
      try put(.deleteDomain, tenant)
      try box.encode(name, forKey: .name)
    case .putAuthority(let authority):
      try box.encode(Kind.putAuthority, forKey: .change)
      try box.encode(AuthorityDocument(authority), forKey: .authority)
    case .deleteAuthority(let id):
      try box.encode(Kind.deleteAuthority, forKey: .change)
      try box.encode(id, forKey: .id)
    case .putConfigurationItem(let item):
      try box.encode(Kind.putConfigurationItem, forKey: .change)
      try box.encode(item, forKey: .item)
    case .deleteConfigurationItem(let kind, let id):
      try box.encode(Kind.deleteConfigurationItem, forKey: .change)
      try box.encode(kind, forKey: .kind)
      try box.encode(id, forKey: .id)
    case .putOperation(let operation):
      try box.encode(Kind.putOperation, forKey: .change)
      try box.encode(operation, forKey: .operation)
    case .deleteOperations(let tenant):
      try put(.deleteOperations, tenant)
    case .putDataKey(let key):
      try box.encode(Kind.putDataKey, forKey: .change)
      try box.encode(key.id, forKey: .key)
      try box.encode(key.masterKey, forKey: .masterKey)
      try box.encode(key.createTime.nanoseconds, forKey: .createTime)
      try box.encode(key.state.rawValue, forKey: .state)
    }
  }

  /// - Throws: `ChangeDecodingError`, or `DecodingError`.
  init(from decoder: any Decoder) throws {
    let box = try decoder.container(keyedBy: Key.self)
    func text(_ key: Key) throws -> String { try box.decode(String.self, forKey: key) }
    func tenant() throws -> TenantID {
      try TenantID(parsing: text(.tenant)).decoded()
    }
    func optionalTenant() throws -> TenantID? {
      try box.decodeIfPresent(String.self, forKey: .tenant).map {
        try TenantID(parsing: $0).decoded()
      }
    }
    func secretOwner() throws -> TenantID {
      guard case .authorityKey = try purpose() else { return try tenant() }
      return SecretPlace.platform
    }
    func key(_ key: Key) throws -> KeyID { try box.decode(KeyID.self, forKey: key) }
    func moment() throws -> Timestamp {
      Timestamp(nanoseconds: try box.decode(Int64.self, forKey: .before))
    }
    func purpose() throws -> SecretPurpose {
      try SecretPurpose(rawValue: text(.purpose)).decoded()
    }
    switch try box.decode(Kind.self, forKey: .change) {
    case .putTenant:
      change = .putTenant(try box.decode(TenantDocument.self, forKey: .tenant).tenant())
    case .putRole, .putRuledRole:
      change = .putRole(try tenant(), try box.decode(RoleDocument.self, forKey: .role).role)
    case .deleteRole:
      change = .deleteRole(try tenant(), id: try text(.id))
    case .putAssignment, .putQualifiedAssignment:
      let document = try box.decode(AssignmentDocument.self, forKey: .assignment)
      change = .putAssignment(try tenant(), try document.assignment.decoded())
    case .deleteAssignment:
      change = .deleteAssignment(try tenant(), id: try text(.id))
    case .putGroup:
      change = .putGroup(try tenant(), try box.decode(GroupDocument.self, forKey: .group).group)
    case .deleteGroup:
      change = .deleteGroup(try tenant(), id: try text(.id))
    case .putGroupMember:
      let document = try box.decode(GroupMemberDocument.self, forKey: .member)
      change = .putGroupMember(try tenant(), document.content)
    case .deleteGroupMember:
      change = .deleteGroupMember(try tenant(), id: try text(.id))
    case .putProvisioningStep:
      change = .putProvisioningStep(try tenant(), name: try text(.name))
    case .clearProvisioningSteps:
      change = .clearProvisioningSteps(try tenant())
    case .reserveName:
      let kind = try ReservedName.Kind(rawValue: text(.kind)).decoded()
      change = .reserveName(ReservedName(kind, try text(.name)), try tenant())
    case .retireSlug:
      change = .retireSlug(try Slug(parsing: text(.name)).decoded(), try tenant())
    case .rememberRequest:
      let document = try box.decode(RequestDocument.self, forKey: .request)
      let payer = try document.payer.map { try TenantID(parsing: $0).decoded() }
      change = .rememberRequest(document.request(of: try optionalTenant(), payer: payer))
    case .forgetRequests:
      change = .forgetRequests(before: try moment(), of: try optionalTenant())
    case .putSecret:
      let version = try box.decode(UInt64.self, forKey: .version)
      change = .putSecret(
        try secretOwner(), try purpose(), SecretReference(version: version, key: try key(.key)), nil
      )
    case .deleteSecret:
      change = .deleteSecret(try secretOwner(), try purpose())
    case .putRevocation:
      let document = try box.decode(RevocationDocument.self, forKey: .revocation)
      change = .putRevocation(try tenant(), try document.revocation())
    case .forgetRevocations:
      change = .forgetRevocations(try tenant(), before: try moment())
    case .putWorkloadEntry:
      let document = try box.decode(WorkloadEntryDocument.self, forKey: .entry)
      change = .putWorkloadEntry(try document.entry())
    case .deleteWorkloadEntry:
      change = .deleteWorkloadEntry(id: try text(.id))
    case .putDomain:
      change = .putDomain(
        try box.decode(TenantDomainDocument.self, forKey: .domain).domain().decoded())
    case .deleteDomain:
      change = .deleteDomain(try tenant(), name: try text(.name))
    case .putAuthority:
      change = .putAuthority(
        try box.decode(AuthorityDocument.self, forKey: .authority).authority)
    case .deleteAuthority:
      change = .deleteAuthority(id: try text(.id))
    case .putConfigurationItem:
      change = .putConfigurationItem(try box.decode(ConfigurationItem.self, forKey: .item))
    case .deleteConfigurationItem:
      let kind = try box.decode(ConfigurationItem.Kind.self, forKey: .kind)
      change = .deleteConfigurationItem(kind, id: try text(.id))
    case .putOperation:
      change = .putOperation(try box.decode(TenantOperation.self, forKey: .operation))
    case .deleteOperations:
      change = .deleteOperations(try tenant())
    case .putDataKey:
      let time = try box.decode(Int64.self, forKey: .createTime)
      change = .putDataKey(
        WrappedDataKey(
          id: try key(.key), masterKey: try key(.masterKey), wrapped: [],
          createTime: Timestamp(nanoseconds: time),
          state: try WrappedDataKey.State(rawValue: text(.state)).decoded()))
    }
  }
}

/// Why a change of the log can't be had again.
enum ChangeDecodingError: Error, Hashable {
  /// It is not what this program writes.
  case malformed
  /// A secret was left out without which it is another change.
  case redacted
}

extension Optional {
  /// The value of a text that parses.
  func decoded() throws(ChangeDecodingError) -> Wrapped {
    guard let self else { throw .malformed }
    return self
  }
}

extension Change {
  /// Whether it has no form from which it can be had again: because a connection string would have to go.
  var isRedactedInLog: Bool {
    guard case .putTenant(let tenant) = self else { return false }
    return tenant.configuration.database?.hasSecretConnectionString ?? false
  }
}
