import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.WorkloadEntries`.
struct WorkloadEntryService: Sendable {
  /// Of an entry's name: it is not taken apart if it is longer.
  static let maximumNameBytes = 128
  private static let collection = "workloadEntries/"
  private static let platform = "platform"

  let plane: ControlPlane
  /// What platform roles may do.
  let platformRoles: [String: [Permission]]

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.WorkloadEntries
    return [
      gate.async(
        API.createWorkloadEntry,
        again: { (_, _, earlier) throws(TenancyError) in
          guard let entry = plane.state.workloads.find(earlier.resource) else {
            throw WorkloadEntryCommands.notFound
          }
          return V1.WorkloadEntry(entry)
        }, create),
      gate.inline(API.getWorkloadEntry) { (access, request) throws(TenancyError) in
        let id = try Self.id(in: request.name)
        guard let entry = access.snapshot.state.workloads.find(id) else {
          throw WorkloadEntryCommands.notFound
        }
        return V1.WorkloadEntry(entry)
      },
      gate.async(API.listWorkloadEntries) { (access, request) throws(TenancyError) in
        var budget = WorkBudget()
        return try list(access, request, &budget)
      },
      gate.async(API.deleteWorkloadEntry, again: { _, _, _ in V1.DeleteWorkloadEntryResponse() }) {
        (access, request) throws(TenancyError) in
        let id = try Self.id(in: request.name)
        try await commands(access, validateOnly: request.validateOnly).delete(id)
        return V1.DeleteWorkloadEntryResponse()
      },
    ]
  }

  private func commands(
    _ access: Access, validateOnly: Bool
  ) throws(TenancyError) -> WorkloadEntryCommands {
    WorkloadEntryCommands(
      plane, actor: access.caller.subject,
      judge: try access.requireJudge().validating(only: validateOnly))
  }

  private func create(
    _ access: Access, _ request: V1.CreateWorkloadEntryRequest
  ) async throws(TenancyError) -> V1.WorkloadEntry {
    let sent = request.entry ?? V1.WorkloadEntry()
    var checks = FieldChecks()
    let lifetime = try checks.value { () throws(TenancyError) in
      try Self.lifetime(sent.lifetime)
    }
    let owner = try checks.value { () throws(TenancyError) in
      try Self.owner(sent.tenant, field: "entry.tenant", access)
    }
    var new = NewWorkloadEntry(
      tenant: owner ?? nil, path: sent.path, selectors: sent.selectors?.domain ?? .init(),
      hint: sent.hint)
    new.lifetime = lifetime ?? nil
    // Where the tenant is not known, it is not the platform that is meant.
    if owner != nil, new.tenant == nil {
      try checks.value { () throws(TenancyError) in try checkRole(sent.path, access.caller) }
    } else if owner == nil {
      try checks.finish()
    }
    return V1.WorkloadEntry(
      try await commands(access, validateOnly: request.validateOnly).create(new, checks: checks))
  }

  /// Nobody gives what it does not have.
  private func checkRole(_ path: String, _ caller: Caller) throws(TenancyError) {
    let role = path.split(separator: "/", omittingEmptySubsequences: false).first.map(String.init)
    guard let permissions = role.flatMap({ platformRoles[$0] }) else {
      throw .invalid("entry.path", "begins with no platform role, and entry.tenant is not given")
    }
    for permission in permissions where !caller.permissions.covers(permission) {
      throw .missing(permission: permission.text)
    }
  }

  private func list(
    _ access: Access, _ request: V1.ListWorkloadEntriesRequest, _ budget: inout WorkBudget
  ) throws(TenancyError) -> V1.ListWorkloadEntriesResponse {
    let entries = access.snapshot.state.workloads
    var owner: TenantID??
    if request.owner == Self.platform {
      owner = .some(nil)
    } else if !request.owner.isEmpty {
      owner = .some(try Self.owner(request.owner, field: "owner", access))
    }
    let question: String = owner.map { $0?.description ?? Self.platform } ?? "all"
    let page = try Page(
      size: request.pageSize, token: request.pageToken, question: "workloads \(question)")
    let list =
      owner.map { entries.entries(of: $0, after: page.after) } ?? entries.all(after: page.after)
    let (found, next) = page.collect(list, &budget, key: \.id) { entry in
      (V1.WorkloadEntry(entry), entry.answerBytes)
    }
    return V1.ListWorkloadEntriesResponse(entries: found, nextPageToken: next)
  }

  // MARK: Fields

  /// - Returns: nil for the platform.
  private static func owner(
    _ text: String, field: String, _ access: Access
  ) throws(TenancyError) -> TenantID? {
    if text.isEmpty { return nil }
    let name = text.utf8Span.span.bytes
    return try TenantNames.find(
      name, .tenant, field: field, access.snapshot.state, at: access.now
    ).tenant.id
  }

  private static func lifetime(_ sent: GoogleProtobuf.Duration?) throws(TenancyError) -> Int64? {
    guard let sent else { return nil }
    guard sent.nanos == 0 else { throw .invalid("entry.lifetime", "whole seconds") }
    return sent.seconds
  }

  private static func id(in name: String) throws(TenancyError) -> String {
    guard name.utf8.count <= maximumNameBytes, name.hasPrefix(collection) else {
      throw .invalid("name", "must be \(collection){id}")
    }
    return String(name.dropFirst(collection.count))
  }
}

extension WorkloadEntry {
  fileprivate var answerBytes: Int {
    let texts = [path, hint, selectors.binaryPath, selectors.systemdUnit, selectors.node]
    return texts.reduce(128) { $0 + ($1?.utf8.count ?? 0) }
  }
}

extension V1.WorkloadEntry {
  init(_ entry: WorkloadEntry) {
    self.init(
      name: "workloadEntries/\(entry.id)",
      tenant: entry.tenant.map { "\(TenantNames.collection)\($0)" } ?? "", path: entry.path,
      selectors: V1.WorkloadSelectors(entry.selectors),
      lifetime: GoogleProtobuf.Duration(seconds: entry.lifetime), hint: entry.hint,
      createTime: GoogleProtobuf.Timestamp(entry.createTime))
  }
}

extension V1.WorkloadSelectors {
  init(_ selectors: WorkloadEntry.Selectors) {
    self.init(
      uid: selectors.userID, gid: selectors.groupID, binaryPath: selectors.binaryPath ?? "",
      systemdUnit: selectors.systemdUnit ?? "", node: selectors.node ?? "")
  }

  /// An empty text is one that is not given.
  fileprivate var domain: WorkloadEntry.Selectors {
    WorkloadEntry.Selectors(
      userID: uid, groupID: gid, binaryPath: binaryPath.isEmpty ? nil : binaryPath,
      systemdUnit: systemdUnit.isEmpty ? nil : systemdUnit, node: node.isEmpty ? nil : node)
  }
}
