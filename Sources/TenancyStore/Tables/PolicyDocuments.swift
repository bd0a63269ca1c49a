internal import Tenancy

/// A role as the log has it.
struct RoleDocument: Codable {
  let id, title, summary: String
  let permissions: [String]
  let version: UInt64
  let createTime, updateTime: Int64
  let rules: RoleRulesDocument?

  init(_ role: Role) {
    id = role.id
    title = role.title
    summary = role.summary
    permissions = role.permissions
    version = role.version
    createTime = role.createTime.nanoseconds
    updateTime = role.updateTime.nanoseconds
    rules = RoleRulesDocument(of: role)
  }

  var role: Role {
    Role(
      id: id, title: title, summary: summary, permissions: permissions,
      denials: rules?.denials ?? [], parents: rules?.parents ?? [],
      exclusions: rules?.exclusions ?? [], version: version,
      createTime: Timestamp(nanoseconds: createTime),
      updateTime: Timestamp(nanoseconds: updateTime))
  }
}

/// What a role has beside its permissions, in its row and in the log. Most have nothing.
struct RoleRulesDocument: Codable {
  let denials, exclusions, parents: [String]?

  init?(of role: Role) {
    guard role.hasRules else { return nil }
    denials = role.denials.isEmpty ? nil : role.denials
    exclusions = role.exclusions.isEmpty ? nil : role.exclusions
    parents = role.parents.isEmpty ? nil : role.parents
  }

  /// As the column has it; nil for a role that has nothing but permissions.
  static func text(of role: Role) throws(StoreError) -> String? {
    guard role.hasRules else { return nil }
    var json = JSONText(capacity: 512)
    try write(role, to: &json)
    return json.text
  }

  /// What the encoder makes of the document.
  static func write(_ role: Role, to json: inout JSONText) throws(StoreError) {
    try json.object { json throws(StoreError) in
      for (key, list) in [
        ("denials", role.denials), ("exclusions", role.exclusions), ("parents", role.parents),
      ] as [(StaticString, [String])] where !list.isEmpty {
        json.key(key)
        try json.array { json throws(StoreError) in
          for name in list { json.string(name) }
        }
      }
    }
  }
}

extension Role {
  /// Whether it has more than permissions.
  var hasRules: Bool { !(denials.isEmpty && parents.isEmpty && exclusions.isEmpty) }
}

/// Where, when and why a role is held, in the assignment's row and in the log. Most are held of everything, always, and
/// without a word.
struct AssignmentTermsDocument: Codable {
  let condition, reason, resource: String?

  init?(_ terms: RoleAssignment.Terms) {
    guard terms.isNoted else { return nil }
    condition = terms.condition.isEmpty ? nil : terms.condition
    reason = terms.reason.isEmpty ? nil : terms.reason
    resource = terms.scope?.text
  }

  /// Nil where the scope is none.
  var terms: RoleAssignment.Terms? {
    var scope: ResourceScope?
    if let resource {
      scope = ResourceScope(parsing: resource)
      if scope == nil { return nil }
    }
    return RoleAssignment.Terms(scope: scope, condition: condition ?? "", reason: reason ?? "")
  }

  /// As the column has it.
  static func text(of terms: RoleAssignment.Terms) throws(StoreError) -> String? {
    guard terms.isNoted else { return nil }
    var json = JSONText(capacity: 512)
    try write(terms, to: &json)
    return json.text
  }

  /// What the encoder makes of the document.
  static func write(
    _ terms: RoleAssignment.Terms, to json: inout JSONText
  ) throws(StoreError) {
    try json.object { json throws(StoreError) in
      if !terms.condition.isEmpty { json.pair("condition", terms.condition) }
      if !terms.reason.isEmpty { json.pair("reason", terms.reason) }
      if let scope = terms.scope { json.pair("resource", scope.text) }
    }
  }
}

extension RoleAssignment.Terms {
  /// Whether there is anything to be kept.
  var isNoted: Bool { isQualified || !reason.isEmpty }
}

/// An assignment as the log has it.
struct AssignmentDocument: Codable {
  let id, subject, role: String
  let createTime: Int64
  let expireTime: Int64?
  let terms: AssignmentTermsDocument?

  init(_ assignment: RoleAssignment) {
    id = assignment.id
    subject = assignment.subject
    role = assignment.role
    createTime = assignment.createTime.nanoseconds
    expireTime = assignment.expireTime?.nanoseconds
    terms = AssignmentTermsDocument(assignment.terms)
  }

  /// Nil where its scope is none.
  var assignment: RoleAssignment? {
    guard let terms = terms.map(\.terms) ?? RoleAssignment.Terms() else { return nil }
    return RoleAssignment(
      id: id, subject: subject, role: role, terms: terms,
      createTime: Timestamp(nanoseconds: createTime),
      expireTime: expireTime.map(Timestamp.init(nanoseconds:)))
  }
}

/// A request as the log has it.
struct RequestDocument: Codable {
  let actor, requestID, digest: String
  let payer: String?
  let resource: String?
  let time: Int64

  init(_ request: RememberedRequest) {
    actor = request.actor
    requestID = request.requestID
    digest = request.digest
    payer = request.payer?.description
    resource = request.resource.isEmpty ? nil : request.resource
    time = request.time.nanoseconds
  }

  func request(of tenant: TenantID?, payer: TenantID?) -> RememberedRequest {
    RememberedRequest(
      payer: payer, actor: actor, requestID: requestID, digest: digest, tenant: tenant,
      resource: resource ?? "", time: Timestamp(nanoseconds: time))
  }
}

extension RememberedRequest {
  /// As the column has it.
  var payerText: String { payer?.description ?? "" }
}
