internal import Tenancy

/// The text of `ChangeDocument`s, byte by byte what its encoder makes, without an encoder: every write makes
/// one, on the one thread that commits.
extension ChangeDocument {
  /// A log row's `changes`.
  static func text(of changes: [Change], _ coding: JSONCoding) throws(StoreError) -> String {
    var json = JSONText(capacity: 512 * changes.count)
    try json.array { json throws(StoreError) in
      for change in changes { try Self(change).write(to: &json, coding) }
    }
    return json.text
  }

  /// Keys in order, as in all JSON that is stored.
  private func write(to json: inout JSONText, _ coding: JSONCoding) throws(StoreError) {
    try json.object { json throws(StoreError) in
      switch change {
      case .putTenant(let tenant):
        json.pair("change", "putTenant")
        json.key("tenant")
        try Self.write(tenant, to: &json, coding)
      case .putRole(let tenant, let role):
        json.pair("change", role.hasRules ? "putRuledRole" : "putRole")
        json.key("role")
        try Self.write(role, to: &json)
        json.pair("tenant", tenant.description)
      case .deleteRole(let tenant, let id):
        json.pairs(("change", "deleteRole"), ("id", id), ("tenant", tenant.description))
      case .putAssignment(let tenant, let assignment):
        json.key("assignment")
        try Self.write(assignment, to: &json)
        json.pair(
          "change", assignment.terms.isQualified ? "putQualifiedAssignment" : "putAssignment")
        json.pair("tenant", tenant.description)
      case .deleteAssignment(let tenant, let id):
        json.pairs(("change", "deleteAssignment"), ("id", id), ("tenant", tenant.description))
      case .putGroup(let tenant, let group):
        json.pair("change", "putGroup")
        json.key("group")
        try GroupDocument.write(group, to: &json)
        json.pair("tenant", tenant.description)
      case .deleteGroup(let tenant, let id):
        json.pairs(("change", "deleteGroup"), ("id", id), ("tenant", tenant.description))
      case .putGroupMember(let tenant, let member):
        json.pair("change", "putGroupMember")
        json.key("member")
        try GroupMemberDocument.write(member, to: &json)
        json.pair("tenant", tenant.description)
      case .deleteGroupMember(let tenant, let id):
        json.pairs(("change", "deleteGroupMember"), ("id", id), ("tenant", tenant.description))
      case .putProvisioningStep(let tenant, let name):
        json.pairs(
          ("change", "putProvisioningStep"), ("name", name), ("tenant", tenant.description))
      case .clearProvisioningSteps(let tenant):
        json.pairs(("change", "clearProvisioningSteps"), ("tenant", tenant.description))
      case .reserveName(let name, let tenant):
        json.pairs(
          ("change", "reserveName"), ("kind", name.kind.rawValue), ("name", name.text),
          ("tenant", tenant.description))
      case .retireSlug(let slug, let tenant):
        json.pairs(("change", "retireSlug"), ("name", slug.text), ("tenant", tenant.description))
      case .rememberRequest(let request):
        json.pair("change", "rememberRequest")
        json.key("request")
        try Self.write(request, to: &json)
        if let tenant = request.tenant { json.pair("tenant", tenant.description) }
      case .forgetRequests(let before, let payer):
        json.pair("before", before)
        json.pair("change", "forgetRequests")
        if let payer { json.pair("tenant", payer.description) }
      case .putSecret(let tenant, let purpose, let reference, _):
        json.pairs(
          ("change", "putSecret"), ("key", reference.key.description),
          ("purpose", purpose.rawValue))
        if tenant != SecretPlace.platform { json.pair("tenant", tenant.description) }
        json.pair("version", reference.version)
      case .deleteSecret(let tenant, let purpose):
        json.pairs(("change", "deleteSecret"), ("purpose", purpose.rawValue))
        if tenant != SecretPlace.platform { json.pair("tenant", tenant.description) }
      case .putRevocation(let tenant, let revocation):
        json.pair("change", "putRevocation")
        json.key("revocation")
        try RevocationDocument.write(revocation, to: &json)
        json.pair("tenant", tenant.description)
      case .forgetRevocations(let tenant, let before):
        json.pair("before", before)
        json.pairs(("change", "forgetRevocations"), ("tenant", tenant.description))
      case .putWorkloadEntry(let entry):
        json.pair("change", "putWorkloadEntry")
        json.key("entry")
        try WorkloadEntryDocument.write(entry, to: &json)
      case .deleteWorkloadEntry(let id):
        json.pairs(("change", "deleteWorkloadEntry"), ("id", id))
      case .putDomain(let domain):
        json.pair("change", "putDomain")
        json.key("domain")
        try TenantDomainDocument.write(domain, to: &json)
      case .deleteDomain(let tenant, let name):
        json.pairs(("change", "deleteDomain"), ("name", name), ("tenant", tenant.description))
      case .putAuthority(let authority):
        json.key("authority")
        try AuthorityDocument.write(authority, to: &json)
        json.pair("change", "putAuthority")
      case .deleteAuthority(let id):
        json.pairs(("change", "deleteAuthority"), ("id", id))
      case .putConfigurationItem(let item):
        json.pair("change", "putConfigurationItem")
        json.key("item")
        json.json(try coding.text(item))
      case .deleteConfigurationItem(let kind, let id):
        json.pairs(("change", "deleteConfigurationItem"), ("id", id), ("kind", kind.rawValue))
      case .putOperation(let operation):
        json.pair("change", "putOperation")
        json.key("operation")
        json.json(try coding.text(operation))
      case .deleteOperations(let tenant):
        json.pairs(("change", "deleteOperations"), ("tenant", tenant.description))
      case .putDataKey(let key):
        json.pair("change", "putDataKey")
        json.pair("createTime", key.createTime)
        json.pairs(
          ("key", key.id.description), ("masterKey", key.masterKey.description),
          ("state", key.state.rawValue))
      }
    }
  }

  private static func write(
    _ tenant: Tenant, to json: inout JSONText, _ coding: JSONCoding
  ) throws(StoreError) {
    try json.object { json throws(StoreError) in
      if !tenant.authentication.isDefault {
        json.key("authentication")
        json.json(try coding.text(tenant.authentication))
      }
      json.key("configuration")
      json.json(try configurationText(tenant.configuration, coding))
      json.pair("createTime", tenant.createTime)
      if let login = tenant.dataLogin {
        json.key("dataLogin")
        try DataLoginDocument.write(login, to: &json)
      }
      json.pair("deleteTime", tenant.deleteTime)
      json.pair("displayName", tenant.displayName)
      json.pair("epoch", tenant.epoch)
      json.pairs(("id", tenant.id.description), ("isolationModel", tenant.isolationModel.rawValue))
      if tenant.hasMetadata {
        json.key("metadata")
        try TenantMetadataDocument.write(tenant.metadata, to: &json)
      }
      if tenant.hasPlans {
        json.key("plans")
        try LifecyclePlansDocument.write(tenant.plans, to: &json)
      }
      json.pair("purgeTime", tenant.purgeTime)
      json.pairs(("slug", tenant.slug.text), ("state", tenant.state.rawValue))
      if !tenant.stateReason.isEmpty { json.pair("stateReason", tenant.stateReason) }
      json.pair("tokenHorizon", tenant.tokenHorizon)
      if !tenant.tokenKeys.isEmpty {
        json.key("tokenKeys")
        try TokenKeyDocument.write(tenant.tokenKeys, to: &json)
      }
      json.pair("updateTime", tenant.updateTime)
      json.pair("version", tenant.version)
    }
  }

  private static func write(_ role: Role, to json: inout JSONText) throws(StoreError) {
    try json.object { json throws(StoreError) in
      json.pair("createTime", role.createTime)
      json.pair("id", role.id)
      json.key("permissions")
      try json.array { json throws(StoreError) in
        for permission in role.permissions { json.string(permission) }
      }
      if role.hasRules {
        json.key("rules")
        try RoleRulesDocument.write(role, to: &json)
      }
      json.pairs(("summary", role.summary), ("title", role.title))
      json.pair("updateTime", role.updateTime)
      json.pair("version", role.version)
    }
  }

  private static func write(
    _ assignment: RoleAssignment, to json: inout JSONText
  ) throws(StoreError) {
    try json.object { json throws(StoreError) in
      json.pair("createTime", assignment.createTime)
      json.pair("expireTime", assignment.expireTime)
      json.pairs(("id", assignment.id), ("role", assignment.role), ("subject", assignment.subject))
      if assignment.terms.isNoted {
        json.key("terms")
        try AssignmentTermsDocument.write(assignment.terms, to: &json)
      }
    }
  }

  private static func write(
    _ request: RememberedRequest, to json: inout JSONText
  ) throws(StoreError) {
    try json.object { json throws(StoreError) in
      json.pairs(("actor", request.actor), ("digest", request.digest))
      if let payer = request.payer { json.pair("payer", payer.description) }
      json.pair("requestID", request.requestID)
      if !request.resource.isEmpty { json.pair("resource", request.resource) }
      json.pair("time", request.time)
    }
  }
}

extension JSONText {
  mutating func pair(_ key: StaticString, _ value: String) {
    self.key(key)
    string(value)
  }

  mutating func pairs(_ pairs: (StaticString, String)...) {
    for (key, value) in pairs { pair(key, value) }
  }

  mutating func pair(_ key: StaticString, _ value: UInt64) {
    self.key(key)
    number(value)
  }

  /// A key that is left out without a value.
  mutating func pair(_ key: StaticString, _ value: Timestamp?) {
    guard let value else { return }
    self.key(key)
    number(value.nanoseconds)
  }
}
