/// A tenant as event loops read it. Immutable.
public final class TenantRecord: Sendable {
  public let tenant: Tenant
  public let policy: TenantPolicy
  /// Canonical text of the id.
  public let idText: String
  /// Provisioning steps that are done.
  public let provisionedSteps: Set<String>
  /// In the order of the slugs; without those that are retired.
  public let formerSlugs: [FormerSlug]

  init(
    tenant: Tenant, policy: TenantPolicy, provisionedSteps: Set<String>, formerSlugs: [FormerSlug]
  ) {
    self.tenant = tenant
    self.policy = policy
    idText = tenant.id.description
    self.provisionedSteps = provisionedSteps
    self.formerSlugs = formerSlugs
  }
}

/// The control plane at one revision. A value with shared structure: a copy is cheap, and never
/// changes under its reader.
public struct ControlState: Sendable {
  public private(set) var revision: UInt64 = 0
  /// In order of their ids. Others go through them with a cursor.
  private(set) var tenants: [TenantRecord] = []
  /// By id and by slug.
  private var index = ByteTable<TenantRecord>()
  private var databases: [DatabasePlace: TenantID] = [:]
  private var formerSlugs = ByteTable<FormerSlug>()
  private var names = [ReservedName.Kind: ByteTable<TenantID>]()
  /// The few sets of steps that tenants have between them, so that each is in memory once.
  private var stepSets = Set<Set<String>>()
  private var requests = ByteTable<RememberedRequest>()

  public init() {}

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

  public func find(_ name: String) -> TenantRecord? { index[name] }

  public func find(_ id: TenantID) -> TenantRecord? { index[id.description] }

  public func formerSlug(_ text: String) -> FormerSlug? { formerSlugs[text] }

  /// Whose name this is, or was.
  public func owner(of name: ReservedName) -> TenantID? { names[name.kind]?[name.text] }

  /// Which tenant has its data there. In stores of earlier versions there may be several: then the one
  /// of the least id.
  func owner(of place: DatabasePlace) -> TenantID? { databases[place] }

  public func request(_ id: String, of actor: String) -> RememberedRequest? {
    requests[Self.key(id, actor)]
  }

  public var rememberedRequests: Int { requests.count }

  public var tenantCount: Int { tenants.count }

  /// The tenants in order of their ids, those with greater ones than `id` if it is given.
  public func tenants(after id: TenantID? = nil) -> Cursor<TenantRecord> {
    tenants.cursor { record in id.map { record.tenant.id <= $0 } ?? false }
  }

  // MARK: Changing

  /// Applies changes in order and takes the revision.
  public mutating func apply(_ changes: [Change], revision: UInt64) {
    var drafts: [TenantID: Draft] = [:]
    for change in changes { apply(change, &drafts) }
    for draft in drafts.values { seal(draft) }
    self.revision = revision
  }

  private struct Draft {
    var tenant: Tenant
    /// As it was found.
    var slug: Slug?
    var formerSlugs: [FormerSlug] = []
    var formerPlace: DatabasePlace?
    var policy: TenantPolicy
    var steps: Set<String>

    mutating func rename(to slug: Slug) {
      if slug != tenant.slug { addFormer(tenant.slug) }
    }

    mutating func addFormer(_ slug: Slug) {
      if formerSlugs.contains(where: { $0.slug == slug }) { return }
      let at = formerSlugs.firstIndexAfterAll { $0.slug.text < slug.text }
      formerSlugs.insert(FormerSlug(slug, of: tenant.id), at: at)
    }
  }

  private mutating func apply(_ change: Change, _ drafts: inout [TenantID: Draft]) {
    switch change {
    case .putTenant(let tenant):
      if draft(tenant.id, &drafts) == nil {
        drafts[tenant.id] = Draft(tenant: tenant, policy: TenantPolicy(), steps: [])
      } else {
        drafts[tenant.id]?.rename(to: tenant.slug)
        drafts[tenant.id]?.tenant = tenant
      }
    case .putRole(let id, let role):
      edit(id, &drafts) { $0.policy.put(role) }
    case .deleteRole(let id, let role):
      edit(id, &drafts) { $0.policy.deleteRole(role) }
    case .putAssignment(let id, let assignment):
      let tenant = draft(id, &drafts)?.tenant
      let held = assignment.held(by: holder(assignment.subject, in: tenant))
      edit(id, &drafts) { $0.policy.put(held) }
    case .deleteAssignment(let id, let assignment):
      edit(id, &drafts) { $0.policy.deleteAssignment(assignment) }
    case .putProvisioningStep(let id, let step):
      edit(id, &drafts) { $0.steps.insert(step) }
    case .clearProvisioningSteps(let id):
      edit(id, &drafts) { $0.steps = [] }
    case .reserveName(let name, let id):
      names[name.kind, default: ByteTable()][name.text] = id
      if name.kind == .slug { noteSlug(name.text, of: id, &drafts) }
    case .retireSlug(let slug, let id):
      edit(id, &drafts) { draft in draft.formerSlugs.removeAll { $0.slug == slug } }
    case .rememberRequest(let request):
      requests[Self.key(request.requestID, request.actor)] = request
    case .forgetRequests(let moment):
      for (key, request) in requests.entries where request.time < moment { requests[key] = nil }
    case .putSecret, .deleteSecret, .putDataKey:
      break  // The tenant refers to its secrets; they and the keys are in the store only.
    }
  }

  /// The draft of a tenant that exists, begun if need be.
  private func draft(_ id: TenantID, _ drafts: inout [TenantID: Draft]) -> Draft? {
    if let draft = drafts[id] { return draft }
    guard let record = find(id) else { return nil }
    drafts[id] = Draft(
      tenant: record.tenant, slug: record.tenant.slug, formerSlugs: record.formerSlugs,
      formerPlace: record.tenant.configuration.database?.place, policy: record.policy,
      steps: record.provisionedSteps)
    return drafts[id]
  }

  private func edit(
    _ id: TenantID, _ drafts: inout [TenantID: Draft], _ body: (inout Draft) -> Void
  ) {
    guard draft(id, &drafts) != nil, let position = drafts.index(forKey: id) else { return }
    body(&drafts.values[position])
  }

  /// A reserved slug that is not the tenant's current one is a former one. Those of the time before
  /// they were kept are, too.
  private mutating func noteSlug(
    _ text: String, of id: TenantID, _ drafts: inout [TenantID: Draft]
  ) {
    edit(id, &drafts) { draft in
      guard draft.tenant.slug.text != text, let slug = Slug(parsing: text) else { return }
      draft.addFormer(slug)
    }
  }

  /// A subject of this tenant by its id: by whichever of its slugs it was given, it is the same.
  private func holder(_ subject: String, in tenant: Tenant?) -> String {
    guard let tenant, let name = TenantSubject.name(in: subject.utf8Span.span.bytes) else {
      return subject
    }
    let slug = TenantSubject.name(name, of: subject)
    guard slug == tenant.slug.text || names[.slug]?[slug] == tenant.id else { return subject }
    return TenantSubject.text(subject, name, replacedBy: tenant.id.description)
  }

  private mutating func seal(_ changed: Draft) {
    var draft = changed
    let current = draft.tenant.slug
    let before = draft.slug.flatMap { find($0.text) }?.formerSlugs ?? []
    if let former = draft.slug, former != current { index[former.text] = nil }
    draft.formerSlugs.removeAll { $0.slug == current }
    for former in before { formerSlugs[former.slug.text] = nil }
    for former in draft.formerSlugs { formerSlugs[former.slug.text] = former }
    let record = TenantRecord(
      tenant: draft.tenant, policy: draft.policy,
      provisionedSteps: stepSets.insert(draft.steps).memberAfterInsert,
      formerSlugs: draft.formerSlugs)
    let (former, place) = (draft.formerPlace, draft.tenant.configuration.database?.place)
    if let former, former != place, databases[former] == draft.tenant.id { databases[former] = nil }
    if let place, databases[place].map({ draft.tenant.id < $0 }) ?? true {
      databases[place] = draft.tenant.id
    }
    index[record.idText] = record
    index[draft.tenant.slug.text] = record
    let at = tenants.firstIndexAfterAll { $0.tenant.id < draft.tenant.id }
    if at < tenants.count, tenants[at].tenant.id == draft.tenant.id {
      tenants[at] = record
    } else {
      tenants.insert(record, at: at)
    }
  }

  private static func key(_ id: String, _ actor: String) -> String { "\(id) \(actor)" }
}
