package import Tenancy

/// What changes make, in memory: the reference that stores are compared with.
package struct StateModel: Equatable {
  package struct Key: Hashable {
    package let tenant: TenantID
    package let id: String

    package init(tenant: TenantID, id: String) {
      self.tenant = tenant
      self.id = id
    }
  }

  package struct RevocationKey: Hashable {
    package let tenant: TenantID
    package let kind: Revocation.Target.Kind
    package let text: [UInt8]

    package init(tenant: TenantID, target: Revocation.Target) {
      (self.tenant, kind, text) = (tenant, target.kind, Array(target.text.utf8))
    }
  }

  package var revision: UInt64 = 0
  package var tenants: [TenantID: Tenant] = [:]
  package var names: [ReservedName: TenantID] = [:]
  package var retired: Set<Slug> = []
  package var roles: [Key: Role] = [:]
  package var assignments: [Key: RoleAssignment] = [:]
  package var groups: [Key: SubjectGroup] = [:]
  package var groupMembers: [Key: GroupMember] = [:]
  package var steps: Set<Key> = []
  package var revocations: [RevocationKey: Revocation] = [:]
  package var workloads: [String: WorkloadEntry] = [:]
  package var domains: [Key: TenantDomain] = [:]
  package var authorities: [String: SigningAuthority] = [:]
  package var items: [ConfigurationItem.Kind: [String: ConfigurationItem]] = [:]
  package var requests: [RememberedRequest.Key: RememberedRequest] = [:]

  package init() {}

  package mutating func apply(_ change: Change) {
    switch change {
    case .putTenant(let tenant): tenants[tenant.id] = tenant
    case .putRole(let tenant, let role): roles[Key(tenant: tenant, id: role.id)] = role
    case .deleteRole(let tenant, let id): roles[Key(tenant: tenant, id: id)] = nil
    case .putAssignment(let tenant, let assignment):
      assignments[Key(tenant: tenant, id: assignment.id)] = assignment
    case .deleteAssignment(let tenant, let id): assignments[Key(tenant: tenant, id: id)] = nil
    case .putGroup(let tenant, let group): groups[Key(tenant: tenant, id: group.id)] = group
    case .deleteGroup(let tenant, let id): groups[Key(tenant: tenant, id: id)] = nil
    case .putGroupMember(let tenant, let member):
      groupMembers[Key(tenant: tenant, id: member.id)] = member
    case .deleteGroupMember(let tenant, let id): groupMembers[Key(tenant: tenant, id: id)] = nil
    case .putProvisioningStep(let tenant, let name): steps.insert(Key(tenant: tenant, id: name))
    case .clearProvisioningSteps(let tenant): steps = steps.filter { $0.tenant != tenant }
    case .reserveName(let name, let tenant):
      names[name] = tenant
      if name.kind == .slug, let slug = Slug(parsing: name.text) { retired.remove(slug) }
    case .retireSlug(let slug, _): retired.insert(slug)
    case .rememberRequest(let request):
      requests[request.key] = request
    case .forgetRequests(let moment, let payer):
      requests = requests.filter { $0.value.payer != payer || $0.value.time >= moment }
    case .putRevocation(let tenant, let revocation):
      revocations[RevocationKey(tenant: tenant, target: revocation.target)] = revocation
    case .forgetRevocations(let tenant, let moment):
      revocations = revocations.filter { $0.key.tenant != tenant || $0.value.expireTime >= moment }
    case .putWorkloadEntry(let entry): workloads[entry.id] = entry
    case .deleteWorkloadEntry(let id): workloads[id] = nil
    case .putDomain(let domain):
      domains[Key(tenant: domain.tenant, id: domain.name.text)] = domain
    case .deleteDomain(let tenant, let name): domains[Key(tenant: tenant, id: name)] = nil
    case .putAuthority(let authority): authorities[authority.id] = authority
    case .deleteAuthority(let id): authorities[id] = nil
    case .putConfigurationItem(let item): items[item.kind, default: [:]][item.id] = item
    case .deleteConfigurationItem(let kind, let id):
      items[kind]?[id] = nil
      if items[kind]?.isEmpty == true { items[kind] = nil }
    case .putSecret, .deleteSecret, .putDataKey, .putOperation, .deleteOperations:
      break  // No load gives them back.
    }
  }
}

extension StateModel {
  /// Whose a domain is.
  package func holder(of name: DomainName) -> TenantID? {
    domains.values.first { $0.name == name && $0.isVerified }?.tenant
  }

  package init(_ stored: StoredState) {
    for change in stored.changes { apply(change) }
    revision = stored.revision
  }

  package mutating func apply(_ entry: LogEntry) {
    for change in entry.changes { apply(change) }
    revision = entry.revision
  }

  /// Changes that make it anew, tenants first.
  package var changes: [Change] {
    func less(_ a: Key, _ b: Key) -> Bool { (a.tenant, a.id) < (b.tenant, b.id) }
    let names = names.sorted {
      ($0.key.kind.rawValue, $0.key.text) < ($1.key.kind.rawValue, $1.key.text)
    }
    let retired = retired.sorted { $0.text < $1.text }
    let requests = requests.values.sorted {
      ($0.payer?.description ?? "", $0.actor, $0.requestID)
        < ($1.payer?.description ?? "", $1.actor, $1.requestID)
    }
    let revocations = revocations.sorted { one, other in
      let (first, second) = (one.key, other.key)
      if first.tenant != second.tenant { return first.tenant < second.tenant }
      if first.kind != second.kind { return first.kind.rawValue < second.kind.rawValue }
      return first.text.lexicographicallyPrecedes(second.text)
    }
    return tenants.sorted { $0.key < $1.key }.map { .putTenant($0.value) }
      + names.map { .reserveName($0.key, $0.value) }
      + retired.compactMap { slug in
        self.names[ReservedName(.slug, slug.text)].map { .retireSlug(slug, $0) }
      }
      + roles.sorted { less($0.key, $1.key) }.map { .putRole($0.key.tenant, $0.value) }
      + assignments.sorted { less($0.key, $1.key) }.map { .putAssignment($0.key.tenant, $0.value) }
      + steps.sorted(by: less).map { .putProvisioningStep($0.tenant, name: $0.id) }
      + requests.map(Change.rememberRequest)
      + groups.sorted { less($0.key, $1.key) }.map { .putGroup($0.key.tenant, $0.value) }
      + groupMembers.sorted { less($0.key, $1.key) }.map {
        .putGroupMember($0.key.tenant, $0.value)
      }
      + revocations.map { .putRevocation($0.key.tenant, $0.value) }
      + workloads.sorted { $0.key < $1.key }.map { .putWorkloadEntry($0.value) }
      + domains.sorted { less($0.key, $1.key) }.map { .putDomain($0.value) }
      + items.sorted { $0.key.rawValue < $1.key.rawValue }.flatMap { _, items in
        items.sorted { $0.key < $1.key }.map { .putConfigurationItem($0.value) }
      }
      + authorities.sorted { $0.key < $1.key }.map { .putAuthority($0.value) }
  }
}
