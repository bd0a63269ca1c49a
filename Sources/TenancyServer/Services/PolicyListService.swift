import Tenancy
import TenancyRPC
import TenancyWire

/// The lists of `tenancy.v1.Authorization` about who may do what.
struct PolicyListService: Sendable {
  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.Authorization
    return [
      gate.async(API.listPermissions) { (access, request) throws(TenancyError) in
        try permissions(access, request)
      },
      gate.async(API.listSubjects) { (access, request) throws(TenancyError) in
        try subjects(access, request)
      },
      gate.async(API.listResources) { (access, request) throws(TenancyError) in
        try resources(access, request)
      },
    ]
  }

  static let tooMuch = TenancyError.invalid(
    "subject", "holds too many roles, or under too many conditions, for one question")

  /// The tenant if it is asked about; nil: nobody may do anything there.
  static func target(_ access: Access) throws(TenancyError) -> TenantRecord? {
    let record = try access.requireTarget()
    switch record.tenant.state {
    case .active: return record
    case .deleted, .purging, .purged: throw .tenantNotFound
    case .pending, .provisioning, .suspended, .maintenance, .provisionFailed: return nil
    }
  }

  // MARK: Methods

  private func permissions(
    _ access: Access, _ request: V1.ListPermissionsRequest
  ) throws(TenancyError) -> V1.ListPermissionsResponse {
    try Self.check(subject: request.subject)
    var place: ResourceScope?
    if !request.resource.isEmpty {
      place = ResourceScope(parsing: request.resource)
      guard place != nil, !request.resource.hasSuffix("*") else { throw Self.notAPlace }
    }
    let attributes = try Self.attributes(request.attributes)
    let page = try Self.page(
      access, request.pageSize, request.pageToken,
      "permissions", request.subject, request.resource, request.attributes)
    var answer = V1.ListPermissionsResponse(revision: access.snapshot.state.revision)
    guard let record = try Self.target(access) else { return answer }
    var budget = WorkBudget()
    guard
      let found = record.permissions(
        of: request.subject, on: place, attributes, at: access.now, after: page.after ?? "",
        size: page.size, &budget)
    else { throw Self.tooMuch }
    answer.permissions = found.elements.map { V1.HeldPermission($0, tenant: record.idText) }
    answer.nextPageToken = found.next.map(page.token) ?? ""
    return answer
  }

  private func subjects(
    _ access: Access, _ request: V1.ListSubjectsRequest
  ) throws(TenancyError) -> V1.ListSubjectsResponse {
    let permission = try Self.permission(request.permission)
    guard
      request.resource.isEmpty || ResourceScope.isPath(request.resource.utf8Span.span.bytes)
    else { throw CheckService.notAPath }
    let attributes = try Self.attributes(request.attributes)
    let page = try Self.page(
      access, request.pageSize, request.pageToken,
      "subjects", request.permission, request.resource, request.attributes)
    var answer = V1.ListSubjectsResponse(revision: access.snapshot.state.revision)
    guard let record = try Self.target(access) else { return answer }
    var budget = WorkBudget()
    guard
      let found = record.subjects(
        with: permission, on: request.resource, attributes ?? RequestAttributes(), at: access.now,
        after: page.after ?? "", size: page.size, &budget)
    else { throw Page.badToken }
    answer.subjects = found.elements.map { V1.AllowedSubject(subject: $0.subject, role: $0.role) }
    answer.nextPageToken = found.next.map(page.token) ?? ""
    return answer
  }

  private func resources(
    _ access: Access, _ request: V1.ListResourcesRequest
  ) throws(TenancyError) -> V1.ListResourcesResponse {
    try Self.check(subject: request.subject)
    let permission = try Self.permission(request.permission)
    let attributes = try Self.attributes(request.attributes)
    let page = try Self.page(
      access, request.pageSize, request.pageToken,
      "resources", request.subject, request.permission, request.attributes)
    var answer = V1.ListResourcesResponse(revision: access.snapshot.state.revision)
    guard let record = try Self.target(access) else { return answer }
    var budget = WorkBudget()
    guard
      let found = record.resources(
        of: request.subject, permission, attributes, at: access.now, after: page.after ?? "",
        size: page.size, &budget)
    else { throw Self.tooMuch }
    answer.resources = found.elements.map { V1.AllowedResource($0, tenant: record.idText) }
    answer.nextPageToken = found.next.map(page.token) ?? ""
    return answer
  }

  // MARK: Requests

  private static let notAPlace = TenancyError.invalid(
    "resource", "{type}, or {type}/{path} of one resource")

  /// For a page, everything that is asked is the question.
  private static func page(
    _ access: Access, _ size: Int32, _ token: String, _ list: String, _ one: String,
    _ other: String, _ attributes: V1.CheckAttributes?
  ) throws(TenancyError) -> Page {
    let told = attributes.map { $0.json().text() } ?? ""
    return try Page(
      size: size, token: token,
      question: "\(list) \(try access.requireTarget().idText) \(one) \(other) \(told)")
  }

  private static func check(subject: String) throws(TenancyError) {
    guard (1...RoleCommands.maximumSubjectBytes).contains(subject.utf8.count) else {
      throw .invalid("subject", "1 to \(RoleCommands.maximumSubjectBytes) bytes")
    }
  }

  private static func permission(_ text: String) throws(TenancyError) -> Permission {
    guard let permission = Permission(parsing: text), !permission.hasWildcard else {
      throw CheckService.notAQuestion
    }
    return permission
  }

  /// As Check has them.
  static func attributes(
    _ sent: V1.CheckAttributes?
  ) throws(TenancyError) -> RequestAttributes? {
    guard let sent else { return nil }
    let bytes = [sent.subject, sent.resource, sent.context].compactMap { $0 }
      .reduce(0) { $0 + StructCodec.encode($1).count }
    guard bytes <= CheckService.maximumAttributeBytes else { throw CheckService.tooManyAttributes }
    return RequestAttributes(sent, bytes: bytes)
  }
}

// MARK: Messages

extension V1.HeldPermission {
  fileprivate init(_ listed: ListedPermission, tenant: String) {
    self.init(
      permission: listed.permission,
      grants: listed.grants.map { V1.PermissionGrant($0, tenant: tenant) },
      denials: listed.denials.map { V1.PermissionGrant($0, tenant: tenant) },
      truncated: listed.isTruncated)
  }
}

extension V1.PermissionGrant {
  fileprivate init(_ grant: ListedPermission.Grant, tenant: String) {
    self.init(
      assignment: V1.RoleAssignment(grant.assignment, tenant: tenant),
      permission: grant.permission, conditional: grant.isConditional)
  }
}

extension V1.AllowedResource {
  fileprivate init(_ listed: ListedResource, tenant: String) {
    self.init(
      resource: listed.resource.text,
      assignment: V1.RoleAssignment(listed.assignment, tenant: tenant),
      conditional: listed.isConditional,
      exclusions: listed.exclusions.map {
        V1.ExcludedResource(
          resource: $0.resource.text, conditional: $0.isConditional, role: $0.role)
      })
  }
}
