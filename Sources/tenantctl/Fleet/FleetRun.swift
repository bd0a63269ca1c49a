import Tenancy
import TenancyClient
import TenancyRPC
import TenancyWire

/// Compares files with the server, and makes of the one what the others say.
struct FleetRun: Sendable {
  /// Tenants at a time, at most.
  static let maximumParallel = 64
  /// Tries of what the server asks to be tried again.
  private static let maximumTries = 5
  /// Longest that one waits for that.
  private static let maximumWait = Duration.seconds(30)

  let connection: Connection
  let parallel: Int
  /// Whether what is refused or fails keeps the rest from being done.
  let keepsGoing: Bool
  /// Which tenants go if no file declares them: a filter. Nil: none.
  let prunes: String?
  /// Who this is, where it might prune what it has itself.
  private var caller: String?

  init(connection: Connection, parallel: Int, keepsGoing: Bool, prunes: String?) {
    self.connection = connection
    self.parallel = parallel
    self.keepsGoing = keepsGoing
    self.prunes = prunes
  }

  // MARK: Planning

  func plan(_ documents: [FleetDocument]) async throws -> FleetPlan {
    var run = self
    if documents.contains(where: { $0.tenant.assignments != nil }) {
      run.caller = try await Self.patiently {
        try await connection.identity.whoAmI(V1.WhoAmIRequest(), options: connection.options)
          .subject
      }
    }
    let planned = try await Self.each(documents, parallel) { [run] in try await run.plan($0) }
    return FleetPlan(tenants: planned + (try await pruned(planned)))
  }

  private func plan(_ document: FleetDocument) async throws -> PlannedTenant {
    let slug = document.tenant.slug
    var planned = PlannedTenant(slug: slug, source: document, action: .keep)
    do {
      guard let current = try await find(slug) else { return try await create(document) }
      planned.name = current.name
      guard current.slug == slug else {
        planned.refusals = [
          FleetRefusal(
            RPCStatus(
              .failedPrecondition, "it was renamed: the file has to call it \(current.slug)"),
            source: document)
        ]
        return planned
      }
      let access = try await FleetSource(connection: connection)
        .access(to: current.name, for: document.tenant, prunes: prunes != nil)
      try await plan(
        FleetChanges(of: document.tenant, from: current, access, prunes: prunes != nil),
        of: current, access, &planned)
    } catch let status as RPCStatus {
      planned.refusals = [try refusal(status, document)]
    }
    return planned
  }

  /// What changes, if the server would do it and anything came of it.
  private func plan(
    _ changes: FleetChanges, of current: V1.Tenant, _ access: TenantAccess,
    _ planned: inout PlannedTenant
  ) async throws {
    var fields = changes.fields
    if let request = changes.update(of: current) {
      if try await isTaken(.update(request), &planned) {
        planned.writes.append(.update(request))
      } else if planned.refusals.isEmpty {
        // To the server both are the same.
        fields.removeAll { !$0.isBesideTheTenant }
      }
    }
    try await planRoles(changes, of: current, &planned)
    try await planAssignments(changes, of: current, &planned)
    if let settings = changes.authentication {
      let write = FleetWrite.authenticate(
        V1.SetAuthenticationSettingsRequest(parent: current.name, settings: settings),
        from: access.authentication ?? V1.AuthenticationSettings())
      let refusals = planned.refusals.count
      if try await isTaken(write, &planned) {
        planned.writes.append(write)
      } else if planned.refusals.count == refusals {
        fields.removeAll { $0.isOfAuthentication }
      }
    }
    planned.writes = FleetWrite.inOrder(planned.writes)
    planned.fields = fields
    planned.action = fields.isEmpty ? .keep : .update
  }

  private func planRoles(
    _ changes: FleetChanges, of current: V1.Tenant, _ planned: inout PlannedTenant
  ) async throws {
    let ours = planned.source?.tenant.roles
    let circle = changes.families.circle
    if !circle.isEmpty {
      planned.refuse("a role would inherit from itself: \(circle.joined(separator: " from "))")
    }
    for role in changes.roleWrites(in: current.name) {
      var tolerated = changes.endsExclusions ? Self.rolesExcluded : nil
      if case .delete(let name, _) = role.change {
        let id = ResourceName.last(name)
        if let other = changes.named(id, by: ours) {
          planned.refuse("the role '\(id)' is left out, but '\(other.id)' names it")
          continue
        }
        // Those that name it now do so no longer when it goes.
        if changes.named(id, by: Array(changes.formerRoles.values)) != nil {
          tolerated = "ROLE_IN_USE"
        }
      }
      if let asked = role.asked, !(try await isTaken(asked, &planned, tolerating: tolerated)) {
        continue
      }
      planned.writes += role.writes
      if case .delete(let name, _) = role.change,
        changes.heldRoles.contains(ResourceName.last(name)), planned.refusals.isEmpty
      {
        planned.refuse(
          "the role '\(ResourceName.last(name))' is left out, but somebody is to have it")
      }
    }
  }

  private static let rolesExcluded = "ROLES_EXCLUDED"

  /// Who gets a role that is yet to be made can't be asked about.
  private func planAssignments(
    _ changes: FleetChanges, of tenant: V1.Tenant, _ planned: inout PlannedTenant
  ) async throws {
    let new = changes.newRoles
    for change in changes.assignments {
      let write = changes.write(change, in: tenant.name)
      if let refusal = change.refusal(to: caller, of: tenant) {
        planned.refusals.append(FleetRefusal(refusal, source: planned.source))
      } else if case .create(let assignment, _) = change, new.contains(assignment.role) {
        planned.writes.append(write)
      } else if try await isTaken(
        write, &planned, tolerating: changes.endsExclusions ? Self.rolesExcluded : nil)
      {
        planned.writes.append(write)
      }
    }
  }

  /// Of a tenant that does not exist, its roles can't be asked about.
  private func create(_ document: FleetDocument) async throws -> PlannedTenant {
    let tenant = document.tenant
    var planned = PlannedTenant(slug: tenant.slug, source: document, action: .create)
    let changes = FleetChanges(creating: tenant)
    planned.fields = changes.fields
    let request = V1.CreateTenantRequest(
      tenant: tenant.message, requestId: try FleetWrite.requestID(of: tenant))
    if try await isTaken(.create(request), &planned) { planned.writes.append(.create(request)) }
    let name = "tenants/\(tenant.slug)"
    planned.writes += changes.roleWrites(in: name).flatMap(\.writes)
    planned.writes += changes.assignments.map { changes.write($0, in: name) }
    let new = changes.newRoles
    for (at, role) in (tenant.roles ?? []).enumerated() {
      for (member, names) in [("parents", role.parents), ("excludedRoles", role.excludedRoles)] {
        for other in names where !new.contains(other) {
          if RoleCommands.isBuiltIn(role: other) { continue }
          let line = document.line(of: "roles[\(at)].\(member)")
          planned.refuse(
            "\(document.file):\(line): roles[\(at)].\(member): there is no role '\(other)'")
        }
      }
    }
    if let settings = changes.authentication {
      planned.writes.append(
        .authenticate(
          V1.SetAuthenticationSettingsRequest(
            parent: name, settings: settings),
          from: V1.AuthenticationSettings()))
    }
    planned.writes = FleetWrite.inOrder(planned.writes)
    return planned
  }

  /// Whether the server would do it and something would change.
  /// - Parameter reason: for which it may refuse now, and not when it is done.
  private func isTaken(
    _ write: FleetWrite, _ planned: inout PlannedTenant, tolerating reason: String? = nil
  ) async throws -> Bool {
    do {
      return try await Self.patiently { try await write.validate(connection) }
    } catch let status as RPCStatus where reason != nil && status.errorInfo?.reason == reason {
      return true
    } catch let status as RPCStatus {
      planned.refusals.append(try refusal(status, planned.source, write.part))
      return false
    }
  }

  /// - Throws: the status, where it is about the connection and not about the request.
  private func refusal(
    _ status: RPCStatus, _ source: FleetDocument?, _ part: FleetPart = .tenant
  ) throws -> FleetRefusal {
    switch status.code {
    case .unavailable where status.details.isEmpty: throw status
    case .deadlineExceeded, .unauthenticated, .cancelled: throw status
    default: return FleetRefusal(status, source: source, part)
    }
  }

  private func find(_ slug: String) async throws -> V1.Tenant? {
    do {
      return try await Self.patiently {
        try await connection.tenants.getTenant(
          V1.GetTenantRequest(name: "tenants/\(slug)"), options: connection.options)
      }
    } catch let status as RPCStatus where status.code == .notFound {
      return nil
    }
  }

  /// Those that the filter finds and no file declares.
  private func pruned(_ planned: [PlannedTenant]) async throws -> [PlannedTenant] {
    guard let prunes else { return [] }
    let (slugs, names) = (Set(planned.map(\.slug)), Set(planned.map(\.name)))
    var found: [PlannedTenant] = []
    try await FleetSource(connection: connection).tenants(filter: prunes) { page in
      for tenant in page where !slugs.contains(tenant.slug) && !names.contains(tenant.name) {
        var one = PlannedTenant(slug: tenant.slug, source: nil, action: .delete)
        one.name = tenant.name
        one.writes = [.delete(V1.DeleteTenantRequest(name: tenant.name, etag: tenant.etag))]
        found.append(one)
      }
      return true
    }
    return try await Self.each(found, parallel) { one in
      var one = one
      for write in one.writes { _ = try await isTaken(write, &one) }
      return one
    }
  }

  // MARK: Carrying out

  /// Does what was planned: nothing is deleted, be it a tenant or a role, before all else is done, and done well.
  func carryOut(_ plan: FleetPlan) async throws -> FleetPlan {
    var result = plan
    result.isCarriedOut = true
    let first = plan.tenants.filter { $0.action != .delete }
    let last = plan.tenants.filter { $0.action == .delete }
    result.tenants = try await carryOut(first, deleting: false)
    guard result.isWell else {
      result.tenants = (result.tenants + last).map(\.withoutDeletions)
      return result
    }
    result.tenants = try await carryOut(result.tenants, deleting: true)
    result.tenants +=
      result.isWell
      ? try await carryOut(last, deleting: true) : last.map(\.withoutDeletions)
    return result
  }

  /// - Parameter deleting: whether what deletes is done, or the rest.
  private func carryOut(
    _ tenants: [PlannedTenant], deleting: Bool
  ) async throws -> [PlannedTenant] {
    let stop = StopFlag()
    return try await Self.each(tenants, parallel) { tenant in
      var tenant = tenant
      let writes = tenant.writes.filter { $0.isDeletion == deleting }
      guard tenant.action != .keep, tenant.refusals.isEmpty, !writes.isEmpty else { return tenant }
      if stop.isSet {
        if deleting { return tenant.withoutDeletions }
        tenant.outcome = .notTried
        return tenant
      }
      var etags: [String: String] = [:]
      for write in writes {
        do {
          try await Self.patiently { try await write.carryOut(connection, &etags) }
        } catch let status as RPCStatus {
          tenant.refusals = [FleetRefusal(status, source: tenant.source, write.part)]
          tenant.outcome = .failed
          if !keepsGoing || status.isConnectionLost { stop.set() }
          return tenant
        }
      }
      tenant.outcome = .done
      return tenant
    }
  }

  // MARK: Helpers

  /// Results in the order of the items, some of which are worked on at once.
  static func each<Item: Sendable, Result: Sendable>(
    _ items: [Item], _ parallel: Int,
    _ body: @escaping @Sendable (Item) async throws -> Result
  ) async throws -> [Result] {
    try await withThrowingTaskGroup(of: (Int, Result).self) { group in
      var results = [Result?](repeating: nil, count: items.count)
      var next = items.enumerated().makeIterator()
      func start() {
        guard let (at, item) = next.next() else { return }
        group.addTask { (at, try await body(item)) }
      }
      for _ in 0..<max(1, parallel) { start() }
      while let (at, result) = try await group.next() {
        results[at] = result  // In range: it counts the items.
        start()
      }
      return results.compactMap(\.self)
    }
  }

  /// Calls again when the server asks for it.
  static func patiently<Answer>(_ body: () async throws -> Answer) async throws -> Answer {
    for _ in 1..<maximumTries {
      do {
        return try await body()
      } catch let status as RPCStatus where status.isWorthAnotherTry {
        try await Task.sleep(for: min(status.retryDelay ?? .milliseconds(50), maximumWait))
      }
    }
    return try await body()
  }
}

extension RPCStatus {
  /// Nothing was changed, and soon it may be.
  fileprivate var isWorthAnotherTry: Bool {
    switch code {
    case .aborted: errorInfo?.reason == "WRITE_CONFLICT"
    case .resourceExhausted: retryDelay != nil
    default: false
    }
  }

  fileprivate var isConnectionLost: Bool {
    code == .deadlineExceeded || (code == .unavailable && details.isEmpty)
  }
}
