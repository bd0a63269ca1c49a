internal import Tenancy

/// Reads the whole state out of the tables. Runs once per start, so that its statements are not kept.
struct StateReader<Source: RowSource> {
  let source: Source
  let json: JSONCoding
  /// Takes what is wrong, one row after the other; without it, the first is thrown.
  var findings: StoreFindings?
  /// Whether the schema is of a version that knows of tokens.
  var hasTokens = true
  /// And of one that knows of registration entries.
  var hasWorkloads = true
  /// And of one that knows of domains.
  var hasDomains = true
  /// And of one that knows of what is declared of configurations.
  var hasConfigurationItems = true
  /// And of one that knows of signing authorities.
  var hasAuthorities = true
  /// And of one in which roles have rules, and assignments terms.
  var hasRules = true
  /// And of one in which requests are those of tenants' callers as well.
  var hasPayers = true

  /// And of one that knows of groups.
  var hasGroups = true

  /// Inside the caller's transaction.
  /// - Parameters:
  ///   - revision: the last one.
  ///   - isAudited: whether rows that parse are held to what writes promise.
  ///   - sealer: opens all secrets, if they are audited.
  func read(
    revision: UInt64, audited isAudited: Bool, sealer: (any SecretSealer)?
  ) throws(StoreError) -> StoredState {
    let audit = isAudited ? BackgroundAudit(revision: revision) : nil
    let tables = try tables { audit?.check($0) }
    if let audit {
      try audit.finish()
      try SecretAudit.check(
        SecretReader(source: source, json: json), tenants: tables.first ?? [],
        authorities: tables.last ?? [], sealer)
    }
    return StoredState(revision: revision, tables: tables)
  }

  /// All rows, inside the caller's transaction.
  /// - Parameter onTable: called with the rows of each table, when they are read.
  func tables(_ onTable: ([Change]) -> Void = { _ in }) throws(StoreError) -> [[Change]] {
    var tables: [[Change]] = []
    // Tenants first, roles before assignments, groups before members: others refer to them.
    var all = [tenants, names, retiredSlugs, roles, assignments, steps, requests]
    if hasGroups { all += [groups, groupMembers] }
    if hasTokens { all.append(revocations) }
    if hasWorkloads { all.append(workloads) }
    if hasDomains { all.append(domains) }
    if hasConfigurationItems { all.append(configurationItems) }
    // Last: their keys are looked for behind it.
    if hasAuthorities { all.append(authorities) }
    for read in all {
      let rows = try read()
      onTable(rows)
      tables.append(rows)
    }
    return tables
  }

  /// As they lie, and put in order where they are not: ids grow with time, so they mostly are. To go through
  /// them by their key's index takes twice as long.
  private func tenants() throws(StoreError) -> [Change] {
    var (last, isSorted): (TenantID?, Bool) = (nil, true)
    let sql = hasTokens ? Table.tenants.select : Table.tenants.selectWithoutLast
    var tenants = try rows(sql, of: .tenants) {
      row throws(StoreError) in
      var tenant = Tenant(
        id: try row.tenantID(), slug: try row.slug(), displayName: try row.text(),
        state: try row.name(), isolationModel: try row.name(),
        configuration: try row.configuration(),
        version: try row.counter(), epoch: try row.counter(), createTime: try row.time(),
        updateTime: try row.time(), deleteTime: try row.optionalTime(),
        purgeTime: try row.optionalTime(), stateReason: try row.text())
      try row.tokens(of: &tenant)
      if let last, tenant.id < last { isSorted = false }
      last = tenant.id
      return .putTenant(tenant)
    }
    if !isSorted { tenants.sort { $0.tenantPut ?? .least < $1.tenantPut ?? .least } }
    return tenants
  }

  private func names() throws(StoreError) -> [Change] {
    try rows(of: .reservedNames) { row throws(StoreError) in
      .reserveName(ReservedName(try row.name(), try row.text()), try row.tenantID())
    }
  }

  private func retiredSlugs() throws(StoreError) -> [Change] {
    let sql = "SELECT name, tenant_id FROM reserved_names WHERE kind = 'slug' AND retired <> 0"
    return try rows(sql, of: "reserved_names", keyColumns: 1) { row throws(StoreError) in
      .retireSlug(try row.slug(), try row.tenantID())
    }
  }

  private func roles() throws(StoreError) -> [Change] {
    let sql = hasRules ? Table.roles.selectAll : Table.roles.selectWithoutLast + Table.roles.inOrder
    return try rows(sql, of: .roles) { row throws(StoreError) in
      let tenant = try row.tenantID()
      var role = Role(
        id: try row.text(), title: try row.text(), summary: try row.text(),
        permissions: try row.json(), version: try row.counter(), createTime: try row.time(),
        updateTime: try row.time())
      if let rules: RoleRulesDocument = try row.optionalJSON() {
        role.denials = rules.denials ?? []
        role.parents = rules.parents ?? []
        role.exclusions = rules.exclusions ?? []
      }
      return .putRole(tenant, role)
    }
  }

  private func assignments() throws(StoreError) -> [Change] {
    let table = Table.assignments
    let sql = hasRules ? table.selectAll : table.selectWithoutLast + table.inOrder
    return try rows(sql, of: .assignments) { row throws(StoreError) in
      let tenant = try row.tenantID()
      let (id, subject, role) = (try row.text(), try row.text(), try row.text())
      let (createTime, expireTime) = (try row.time(), try row.optionalTime())
      return .putAssignment(
        tenant,
        RoleAssignment(
          id: id, subject: subject, role: role, terms: try row.terms(), createTime: createTime,
          expireTime: expireTime))
    }
  }

  private func groups() throws(StoreError) -> [Change] {
    try rows(of: .groups) { row throws(StoreError) in
      .putGroup(
        try row.tenantID(),
        SubjectGroup(
          id: try row.text(), title: try row.text(), summary: try row.text(),
          version: try row.counter(), createTime: try row.time(), updateTime: try row.time()))
    }
  }

  private func groupMembers() throws(StoreError) -> [Change] {
    try rows(of: .groupMembers) { row throws(StoreError) in
      .putGroupMember(
        try row.tenantID(),
        GroupMember(
          id: try row.text(), group: try row.text(), member: try row.text(),
          createTime: try row.time(), expireTime: try row.optionalTime()))
    }
  }

  private func steps() throws(StoreError) -> [Change] {
    try rows(of: .provisioningSteps) { row throws(StoreError) in
      .putProvisioningStep(try row.tenantID(), name: try row.text())
    }
  }

  private func requests() throws(StoreError) -> [Change] {
    let sql = hasPayers ? Table.requests.selectAll : RequestTable.selectFormer
    return try rows(sql, of: .requests) { row throws(StoreError) in
      .rememberRequest(
        RememberedRequest(
          payer: try row.payer(), actor: try row.text(), requestID: try row.text(),
          digest: try row.text(), tenant: try row.optionalTenantID(),
          resource: try row.text(), time: try row.time()))
    }
  }

  private func revocations() throws(StoreError) -> [Change] {
    try rows(of: .revocations) { row throws(StoreError) in
      .putRevocation(
        try row.tenantID(),
        Revocation(
          target: try row.target(), before: try row.time(), expireTime: try row.time(),
          reason: try row.text()))
    }
  }

  private func workloads() throws(StoreError) -> [Change] {
    try rows(of: .workloadEntries) { row throws(StoreError) in
      .putWorkloadEntry(
        WorkloadEntry(
          id: try row.text(), tenant: try row.optionalTenantID(), path: try row.text(),
          selectors: try row.selectors(), lifetime: try row.integer(), hint: try row.text(),
          createTime: try row.time()))
    }
  }

  private func domains() throws(StoreError) -> [Change] {
    try rows(of: .tenantDomains) { row throws(StoreError) in
      .putDomain(
        TenantDomain(
          tenant: try row.tenantID(), name: try row.domainName(),
          challenge: TenantDomain.Challenge(token: try row.text(), proof: try row.text()),
          claimTime: try row.time(), verification: try row.verification()))
    }
  }

  private func configurationItems() throws(StoreError) -> [Change] {
    try rows(of: .configurationItems) { row throws(StoreError) in
      let (kind, id): (ConfigurationItem.Kind, String) = (try row.name(), try row.text())
      let item: ConfigurationItem = try row.json()
      guard item.kind == kind, item.id == id else { throw row.corruption("it is another's") }
      return .putConfigurationItem(item)
    }
  }

  private func authorities() throws(StoreError) -> [Change] {
    try rows(of: .signingAuthorities) { row throws(StoreError) in
      let id = try row.text()
      let document: AuthorityDocument = try row.json()
      guard document.authority.id == id else { throw row.corruption("it is another's") }
      return .putAuthority(document.authority)
    }
  }

  private func rows(
    of table: Table, decode: (inout RowReader<Source.Row>) throws(StoreError) -> Change
  ) throws(StoreError) -> [Change] {
    try rows(table.selectAll, of: table, decode: decode)
  }

  private func rows(
    _ sql: String, of table: Table,
    decode: (inout RowReader<Source.Row>) throws(StoreError) -> Change
  ) throws(StoreError) -> [Change] {
    try rows(sql, of: table.name, keyColumns: table.keyCount, decode: decode)
  }

  private func rows(
    _ sql: String, of table: String, keyColumns: Int,
    decode: (inout RowReader<Source.Row>) throws(StoreError) -> Change
  ) throws(StoreError) -> [Change] {
    var changes: [Change] = []
    try tolerating { () throws(StoreError) in
      try source.readRows(sql) { (row: Source.Row) throws(StoreError) -> Void in
        var reader = RowReader(row, table: table, keyColumns: Int32(keyColumns), json: json)
        do throws(StoreError) {
          changes.append(try decode(&reader))
        } catch {
          try note(error)
        }
      }
    }
    return changes
  }

  /// A table that can't be read to its end ends where it can't.
  private func tolerating(_ body: () throws(StoreError) -> Void) throws(StoreError) {
    do throws(StoreError) { try body() } catch { try note(error) }
  }

  private func note(_ error: StoreError) throws(StoreError) {
    guard let findings else { throw error }
    findings.add(error)
  }
}

extension Change {
  /// Which tenant it puts.
  fileprivate var tenantPut: TenantID? {
    if case .putTenant(let tenant) = self { tenant.id } else { nil }
  }
}

extension TenantID {
  fileprivate static let least = TenantID(high: 0, low: 0)
}
