/// What a revision makes of tenants before they are records again.
extension ControlState {
  /// A tenant while a revision changes it.
  struct Draft {
    var tenant: Tenant
    /// As it was found.
    var former: Tenant?
    var slug: Slug?
    var formerSlugs: [FormerSlug] = []
    var formerPlace: DatabasePlace?
    var formerKeys: [TokenKey] = []
    var hadIssuers = false
    var formerPlan: String?
    var formerDue: Tenant.Due?
    var policy: TenantPolicy
    var steps: Set<String>
    var revocations = RevocationSet()
    var footprint: TenantFootprint

    init(new tenant: Tenant) {
      (self.tenant, policy, steps, footprint) = (tenant, TenantPolicy(), [], tenant.footprint)
    }

    init(of record: TenantRecord) {
      tenant = record.tenant
      former = tenant
      slug = tenant.slug
      formerSlugs = record.formerSlugs
      formerPlace = tenant.configuration.database?.place
      formerKeys = tenant.tokenKeys
      hadIssuers = !tenant.authentication.issuers.isEmpty
      formerPlan = tenant.configuration.limits?.plan
      formerDue = tenant.due
      policy = record.policy
      steps = record.provisionedSteps
      revocations = record.revocations
      footprint = record.footprint
    }

    mutating func rename(to slug: Slug) {
      if slug != tenant.slug { addFormer(tenant.slug) }
    }

    mutating func addFormer(_ slug: Slug) {
      if formerSlugs.contains(where: { $0.slug == slug }) { return }
      let at = formerSlugs.firstIndexAfterAll { $0.slug.text < slug.text }
      formerSlugs.insert(FormerSlug(slug, of: tenant.id), at: at)
    }
  }

  /// The tenants that a revision changes: one, or all of a store that is loaded.
  struct Drafts {
    /// Above it, looking for one by one would cost more than an index.
    private static let fewest = 8

    var list: [Draft] = []
    private var positions: [TenantID: Int] = [:]

    func position(of id: TenantID) -> Int? {
      list.count <= Self.fewest ? list.firstIndex { $0.tenant.id == id } : positions[id]
    }

    /// - Returns: where it is.
    mutating func add(_ draft: Draft) -> Int {
      list.append(draft)
      if list.count == Self.fewest + 1 {
        for (at, draft) in list.enumerated() { positions[draft.tenant.id] = at }
      } else if list.count > Self.fewest {
        positions[draft.tenant.id] = list.count - 1
      }
      return list.count - 1
    }
  }
}
