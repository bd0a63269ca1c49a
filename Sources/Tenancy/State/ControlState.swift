import Synchronization

/// A tenant as event loops read it. Immutable.
public final class TenantRecord: Ordered {
  /// As it was stored.
  public let tenant: Tenant
  /// Its roles and assignments.
  public let policy: TenantPolicy
  /// Canonical text of the id.
  public let idText: String
  public var orderKey: TenantID { tenant.id }
  /// Provisioning steps that are done.
  public let provisionedSteps: Set<String>
  /// In the order of the slugs; without those that are retired.
  public let formerSlugs: [FormerSlug]
  /// Which of its tokens are void.
  public let revocations: RevocationSet
  /// How much all of it takes.
  public let footprint: TenantFootprint
  private let rendition = LazyBytes()

  init(
    tenant: Tenant, policy: TenantPolicy, provisionedSteps: Set<String>, formerSlugs: [FormerSlug],
    revocations: RevocationSet, footprint: TenantFootprint
  ) {
    self.revocations = revocations
    self.footprint = footprint
    self.tenant = tenant
    self.policy = policy
    idText = tenant.textOfID
    self.provisionedSteps = provisionedSteps
    self.formerSlugs = formerSlugs
  }

  /// What whoever serves the tenant says of it: made at the first call, kept as long as the record. Not counted in
  /// `footprint`: some 200 bytes, and what the tenant's texts take once more.
  /// - Parameters:
  ///   - make: depends on nothing but the tenant, and is the same for all who call.
  ///   - body: is lent them.
  public func withRendition(made make: (Tenant) -> [UInt8], _ body: (RawSpan) -> Void) {
    rendition.withBytes(made: { make(tenant) }, body)
  }
}

/// The control plane at one revision. A value with shared structure: a copy is cheap, and never
/// changes under its reader. What a change costs does not depend on how many tenants there are.
///
/// The structures are our own: questions come as bytes of a message, for which `TreeDictionary` of
/// swift-collections would need a `String` each, and lists begin behind any id.
public struct ControlState: Sendable {
  /// Of the last change that it includes; 0: none.
  public private(set) var revision: UInt64 = 0
  /// Others go through them with a cursor.
  private(set) var tenants = OrderedTree<TenantRecord>()
  /// By id and by slug.
  private var index = ByteTable<TenantRecord>()
  private var databases = ByteTable<TenantID>()
  /// By the ids of their keys.
  private var keyOwners = ByteTable<TenantID>()
  /// Tenants that trust issuers of their own: most have none, and then most tokens need not be looked at.
  public private(set) var tenantsWithIssuers = 0
  private var formerSlugs = ByteTable<FormerSlug>()
  private var names = ReservedNames()
  /// The few sets of steps that tenants have between them, so that each is in memory once.
  private var stepSets = Set<Set<String>>()
  /// The registration entries of workloads.
  public private(set) var workloads = WorkloadEntrySet()
  /// The domains of tenants.
  public private(set) var domains = TenantDomainSet()
  /// What the platform declares of tenants' configurations.
  public private(set) var catalog = ConfigurationCatalog()
  /// What signs the certificates of workloads.
  public private(set) var authorities = SigningAuthoritySet()
  private var due = DueTenants()
  /// Tenants in other orders, and by what they share.
  private(set) var indexes = TenantIndexes()
  /// What was carried out under ids of callers'.
  private(set) var requests = RememberedRequests()

  /// Empty, of revision 0.
  public init() {}

  /// A state of what is loaded at once.
  init(
    revision: UInt64, tenants: OrderedTree<TenantRecord>, index: ByteTable<TenantRecord>,
    indexes: TenantIndexes, names: ReservedNames, stepSets: Set<Set<String>>
  ) {
    self.revision = revision
    self.tenants = tenants
    self.index = index
    self.indexes = indexes
    self.names = names
    self.stepSets = stepSets
    var (all, budget) = (tenants.cursor(), WorkBudget.uncapped)
    while let record = all.next(&budget) {
      notePlace(nil, of: record.tenant)
      noteKeys([], of: record.tenant)
      noteIssuers(false, of: record.tenant)
      catalog.notePlan(nil, record.tenant.configuration.limits?.plan)
      due.note(nil, record.tenant.due, of: record.tenant.id)
      due.noteLogins(false, record.tenant.hasLoginsDue, of: record.tenant.id)
    }
  }

  // MARK: Reading

  /// The tenant of this id or slug, in canonical form.
  @inline(__always)
  public func find(_ name: RawSpan) -> TenantRecord? { index.find(name) }

  /// The same, and if there is none, the tenant that had this slug until it was renamed, which counts
  /// as a use of it.
  /// - Parameter home: if given, the only tenant that is found by a former slug.
  @inline(__always)
  public func find(
    _ name: RawSpan, at now: Timestamp, of home: TenantID? = nil
  ) -> TenantRecord? {
    index.find(name) ?? findRenamed(name, now, home)
  }

  private func findRenamed(_ name: RawSpan, _ now: Timestamp, _ home: TenantID?) -> TenantRecord? {
    guard let former = formerSlugs.find(name), home == nil || home == former.tenant else {
      return nil
    }
    former.noteUse(at: now)
    return find(former.tenant)
  }

  /// A tenant by its id or its slug, not by a former one.
  public func find(_ name: String) -> TenantRecord? { index[name] }

  /// A tenant by its id.
  public func find(_ id: TenantID) -> TenantRecord? { index[id.description] }

  /// What a slug that is not current any more stands for; nil also after its retirement.
  public func formerSlug(_ text: String) -> FormerSlug? { formerSlugs[text] }

  /// Whose name this is, or was.
  public func owner(of name: ReservedName) -> TenantID? { names[name.kind][name.text] }

  /// Whose tokens a key signs, or has signed. A key is one tenant's: its id is the hash of it.
  public func owner(ofTokenKey id: String) -> TenantID? { keyOwners[id] }

  /// Which tenant has its data there. In stores of earlier versions there may be several: then the one
  /// of the least id.
  func owner(of place: DatabasePlace) -> TenantID? { databases[place.text] }

  /// A request that was carried out, if it isn't forgotten.
  public func request(_ key: RememberedRequest.Key) -> RememberedRequest? { requests.find(key) }

  /// Tenants in every state, deleted ones that are not purged included.
  public var tenantCount: Int { tenants.count }

  /// The tenants in order of their ids, those with greater ones than `id` if it is given.
  public func tenants(after id: TenantID? = nil) -> Cursor<TenantRecord> {
    tenants.cursor(after: id)
  }

  /// Tenants of which something is scheduled up to a moment, the first due first.
  func scheduled(
    after place: DueTenants.Place? = nil, by moment: Timestamp, limit: Int
  ) -> [DueTenants.Place] {
    due.scheduled(after: place, by: moment, limit: limit)
  }

  /// Deleted tenants whose data is to be destroyed up to a moment, those first of which that has begun.
  func purgeable(
    after place: DueTenants.Place? = nil, by moment: Timestamp, limit: Int
  ) -> [DueTenants.Place] {
    due.purgeable(after: place, by: moment, limit: limit)
  }

  /// Tenants whose logins are to be opened or closed, in order of their ids.
  func withLoginsDue(after tenant: TenantID? = nil, limit: Int) -> [TenantID] {
    due.withLogins(after: tenant, limit: limit)
  }

  // MARK: Changing

  /// Applies changes in order and takes the revision.
  public mutating func apply(_ changes: [Change], revision: UInt64) {
    var drafts = Drafts()
    for change in changes { apply(change, &drafts) }
    for at in drafts.list.indices { seal(&drafts.list[at], revision) }
    self.revision = revision
  }

  private mutating func apply(_ change: Change, _ drafts: inout Drafts) {
    switch change {
    case .putTenant(let tenant):
      if let at = draft(tenant.id, &drafts) {
        drafts.list[at].footprint.replace(
          drafts.list[at].tenant.footprint, by: tenant.footprint)
        drafts.list[at].rename(to: tenant.slug)
        drafts.list[at].tenant = tenant
      } else {
        _ = drafts.add(Draft(new: tenant))
      }
    case .putRole(let id, let role):
      edit(id, &drafts) {
        $0.footprint.replace($0.policy.role(role.id)?.footprint, by: role.footprint)
        $0.policy.put(role)
      }
    case .deleteRole(let id, let role):
      edit(id, &drafts) {
        $0.footprint.replace($0.policy.role(role)?.footprint, by: nil)
        $0.policy.deleteRole(role)
      }
    case .putAssignment(let id, let assignment):
      guard let at = draft(id, &drafts) else { return }
      let held = assignment.held(by: holder(assignment.subject, in: drafts.list[at].tenant))
      drafts.list[at].footprint.replace(
        drafts.list[at].policy.assignment(held.id)?.footprint, by: held.footprint)
      drafts.list[at].policy.put(held)
    case .deleteAssignment(let id, let assignment):
      edit(id, &drafts) {
        $0.footprint.replace($0.policy.assignment(assignment)?.footprint, by: nil)
        $0.policy.deleteAssignment(assignment)
      }
    case .putGroup(let id, let group):
      edit(id, &drafts) {
        $0.footprint.replace($0.policy.group(group.id)?.footprint, by: group.footprint)
        $0.policy.put(group)
      }
    case .deleteGroup(let id, let group):
      edit(id, &drafts) {
        $0.footprint.replace($0.policy.group(group)?.footprint, by: nil)
        $0.policy.deleteGroup(group)
      }
    case .putGroupMember(let id, let member):
      guard let at = draft(id, &drafts) else { return }
      let held = member.held(by: holder(member.member, in: drafts.list[at].tenant))
      drafts.list[at].footprint.replace(
        drafts.list[at].policy.groupMember(held.id)?.footprint, by: held.footprint)
      drafts.list[at].policy.put(held)
    case .deleteGroupMember(let id, let member):
      edit(id, &drafts) {
        $0.footprint.replace($0.policy.groupMember(member)?.footprint, by: nil)
        $0.policy.deleteGroupMember(member)
      }
    case .putProvisioningStep(let id, let step):
      edit(id, &drafts) { $0.steps.insert(step) }
    case .clearProvisioningSteps(let id):
      edit(id, &drafts) { $0.steps = [] }
    case .reserveName(let name, let id):
      names[name.kind][name.text] = id
      if name.kind == .slug { noteSlug(name.text, of: id, &drafts) }
    case .retireSlug(let slug, let id):
      edit(id, &drafts) { draft in draft.formerSlugs.removeAll { $0.slug == slug } }
    case .rememberRequest(let request):
      requests.put(request)
    case .forgetRequests(let moment, let payer):
      requests.forget(of: payer, before: moment)
    case .putRevocation(let id, let revocation):
      edit(id, &drafts) {
        $0.footprint.replace(
          $0.revocations.find(revocation.target)?.footprint, by: revocation.footprint)
        $0.revocations.put(revocation)
      }
    case .forgetRevocations(let id, let moment):
      edit(id, &drafts) { $0.footprint.replace($0.revocations.forget(before: moment), by: nil) }
    case .putWorkloadEntry(let entry): workloads.put(entry)
    case .deleteWorkloadEntry(let id): workloads.remove(id)
    case .putDomain(let domain): domains.put(domain)
    case .deleteDomain(let id, let name): domains.remove(name, of: id)
    case .putAuthority(let authority): authorities.put(authority)
    case .deleteAuthority(let id): authorities.remove(id)
    case .putConfigurationItem(let item): catalog.put(item)
    case .deleteConfigurationItem(let kind, let id): catalog.remove(kind, id)
    case .putSecret, .deleteSecret, .putDataKey:
      break  // Who has them refers to them; they and the keys are in the store only.
    case .putOperation, .deleteOperations: break  // Likewise: they are asked for rarely.
    }
  }

  /// Where the draft of a tenant that exists is, begun if need be.
  private func draft(_ id: TenantID, _ drafts: inout Drafts) -> Int? {
    drafts.position(of: id) ?? find(id).map { drafts.add(Draft(of: $0)) }
  }

  private func edit(_ id: TenantID, _ drafts: inout Drafts, _ body: (inout Draft) -> Void) {
    guard let at = draft(id, &drafts) else { return }
    body(&drafts.list[at])
  }

  /// A reserved slug that is not the tenant's current one is a former one. Those of the time before
  /// they were kept are, too.
  private func noteSlug(_ text: String, of id: TenantID, _ drafts: inout Drafts) {
    edit(id, &drafts) { draft in
      guard draft.tenant.slug.text != text, let slug = Slug(parsing: text) else { return }
      draft.addFormer(slug)
    }
  }

  /// A subject of this tenant by its id: by whichever of its slugs it was given, it is the same.
  private func holder(_ subject: String, in tenant: borrowing Tenant) -> String {
    guard let name = unsafe TenantSubject.name(in: subject.utf8Span.span.bytes) else {
      return subject
    }
    let slug = TenantSubject.name(name, of: subject)
    guard slug == tenant.slug.text || names[.slug][slug] == tenant.id else { return subject }
    return TenantSubject.text(subject, name, replacedBy: tenant.id.description)
  }

  private mutating func seal(_ draft: inout Draft, _ revision: UInt64) {
    draft.policy.settle(
      in: revision, since: find(draft.tenant.id)?.policy ?? TenantPolicy())
    let current = draft.tenant.slug
    if let slug = draft.slug {
      for former in find(slug.text)?.formerSlugs ?? [] { formerSlugs[former.slug.text] = nil }
      if slug != current { index[slug.text] = nil }
    }
    due.note(draft.formerDue, draft.tenant.due, of: draft.tenant.id)
    due.noteLogins(
      draft.former?.hasLoginsDue ?? false, draft.tenant.hasLoginsDue, of: draft.tenant.id)
    if draft.tenant.state == .purged { return remove(draft) }
    indexes.note(draft.former, draft.tenant)
    draft.formerSlugs.removeAll { $0.slug == current }
    for former in draft.formerSlugs { formerSlugs[former.slug.text] = former }
    let record = TenantRecord(
      tenant: draft.tenant, policy: draft.policy,
      provisionedSteps: stepSets.insert(draft.steps).memberAfterInsert,
      formerSlugs: draft.formerSlugs, revocations: draft.revocations,
      footprint: draft.footprint)
    notePlace(draft.formerPlace, of: draft.tenant)
    noteKeys(draft.formerKeys, of: draft.tenant)
    noteIssuers(draft.hadIssuers, of: draft.tenant)
    catalog.notePlan(draft.formerPlan, draft.tenant.configuration.limits?.plan)
    index[record.idText] = record
    index[draft.tenant.slug.text] = record
    tenants.put(record)
  }

  /// Its names stay reserved.
  private mutating func remove(_ draft: borrowing Draft) {
    let tenant = draft.tenant
    indexes.note(draft.former, nil)
    notePlace(draft.formerPlace, of: tenant)
    noteKeys(draft.formerKeys, of: tenant)
    noteIssuers(draft.hadIssuers, of: tenant)
    catalog.notePlan(draft.formerPlan, nil)
    index[tenant.id.description] = nil
    index[tenant.slug.text] = nil
    tenants.remove(tenant.id)
  }

  private mutating func notePlace(_ formerPlace: DatabasePlace?, of tenant: borrowing Tenant) {
    let (former, place) = (formerPlace?.text, tenant.configuration.database?.place?.text)
    if let former, former != place, databases[former] == tenant.id { databases[former] = nil }
    if let place, databases[place].map({ tenant.id < $0 }) ?? true {
      databases[place] = tenant.id
    }
  }

  private mutating func noteKeys(_ former: [TokenKey], of tenant: borrowing Tenant) {
    if former.isEmpty, tenant.tokenKeys.isEmpty { return }
    let keys = tenant.tokenKeys
    for key in former where !keys.contains(where: { $0.id == key.id }) {
      if keyOwners[key.id] == tenant.id { keyOwners[key.id] = nil }
    }
    for key in keys where keyOwners[key.id] == nil { keyOwners[key.id] = tenant.id }
  }

  private mutating func noteIssuers(_ had: Bool, of tenant: borrowing Tenant) {
    tenantsWithIssuers += (tenant.authentication.issuers.isEmpty ? 0 : 1) - (had ? 1 : 0)
  }

  /// What is not shared with another state, in nodes: for tests, which hold changes to what they touch.
  func unsharedNodes(with other: Self) -> Int {
    tenants.unsharedNodes(with: other.tenants) + index.unshared(with: other.index).nodes
      + databases.unshared(with: other.databases).nodes
      + keyOwners.unshared(with: other.keyOwners).nodes
      + formerSlugs.unshared(with: other.formerSlugs).nodes + due.unsharedNodes(with: other.due)
      + indexes.unsharedNodes(with: other.indexes)
      + ReservedName.Kind.allCases.reduce(0) { sum, kind in
        sum + names[kind].unshared(with: other.names[kind]).nodes
      } + workloads.unsharedNodes(with: other.workloads)
      + domains.unsharedNodes(with: other.domains)
      + catalog.unsharedNodes(with: other.catalog)
      + requests.unsharedNodes(with: other.requests)
  }
}
