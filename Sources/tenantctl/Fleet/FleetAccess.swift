import Foundation
import Tenancy
import TenancyRPC
import TenancyTokens
import TenancyWire

/// Who has a role.
struct FleetAssignment: Sendable {
  var subject: String
  var role: String
  /// When it ends by itself; nil: never.
  var expireTime: GoogleProtobuf.Timestamp?
  /// Of which resources, as the server has it; empty: of all.
  var resource = ""
  /// Empty: always.
  var condition = ""
  /// For people.
  var reason = ""

  var message: V1.RoleAssignment {
    V1.RoleAssignment(
      subject: subject, role: role, expireTime: expireTime, resource: resource,
      condition: condition, reason: reason)
  }

  /// Whom and what, where and when: a subject has a role once for the same resources and condition. Bytes, for texts that
  /// are canonically equivalent are not the same.
  var key: [UInt8] {
    [role, subject, resource, condition].flatMap { Array("\($0.utf8.count) \($0)".utf8) }
  }

  /// Whether it ends later than another does.
  func isLonger(than other: Self) -> Bool {
    guard let end = other.expireTime else { return false }
    return expireTime.map { ($0.seconds, $0.nanos) > (end.seconds, end.nanos) } ?? true
  }

  func isOver(at now: Date) -> Bool {
    expireTime.map { Double($0.seconds) <= now.timeIntervalSince1970 } ?? false
  }

  /// What it is called where it changes.
  var field: String {
    "assignments.\(role).\(subject)" + (resource.isEmpty ? "" : " of \(resource)")
      + (condition.isEmpty ? "" : " if \(condition)")
  }

  var ending: String {
    guard let expireTime else { return JSONValue.string("without end").text() }
    return expireTime.json().text()
  }

  /// The tenant's own workloads by its slug: on another server its id is another.
  static func portable(_ subject: String, of tenant: V1.Tenant) -> String {
    // spiffe: / / trust domain / tenant / name / the rest
    var parts = subject.split(
      separator: "/", maxSplits: 5, omittingEmptySubsequences: false
    ).map(String.init)
    // In range: there are five at least.
    guard parts.count >= 5, parts[0] == "spiffe:", parts[1].isEmpty, parts[3] == "tenant",
      parts[4] == tenant.id || tenant.formerSlugs.contains(where: { $0.slug == parts[4] })
    else { return subject }
    parts[4] = tenant.slug  // In range: there are five at least.
    return parts.joined(separator: "/")
  }
}

extension FleetAssignment {
  /// - Parameter tenant: whose it is.
  init(_ assignment: V1.RoleAssignment, of tenant: V1.Tenant) {
    self.init(
      subject: Self.portable(assignment.subject, of: tenant),
      role: ResourceName.last(assignment.role), expireTime: assignment.expireTime,
      resource: assignment.resource, condition: assignment.condition, reason: assignment.reason)
  }
}

/// Authentication settings as they are in fleet files: those of the API, keys as JSON, without the etag.
enum FleetAuthentication {
  static func exported(_ settings: V1.AuthenticationSettings) -> V1.AuthenticationSettings {
    var settings = settings
    settings.etag = ""
    return settings
  }

  static func json(_ settings: V1.AuthenticationSettings) -> [String: JSONValue] {
    var members = members(of: settings.json())
    members["etag"] = nil
    guard case .array(let issuers)? = members["issuers"] else { return members }
    members["issuers"] = .array(
      issuers.map { issuer in
        var issuer = Self.members(of: issuer)
        if case .string(let text)? = issuer["jsonWebKeySet"], let keys = try? keySet(text) {
          issuer["jsonWebKeySet"] = keys
        }
        return .object(issuer)
      })
    return members
  }

  /// Members by their names, issuers by theirs.
  static func byName(_ settings: V1.AuthenticationSettings) -> [String: String] {
    var found: [String: String] = [:]
    for (name, value) in json(settings) {
      guard name == "issuers", case .array(let issuers) = value else {
        found[name] = value.text()
        continue
      }
      for (at, issuer) in issuers.enumerated() {
        var name = "\(at)"
        if case .string(let id)? = members(of: issuer)["id"] { name = id }
        found["issuers.\(name)"] = issuer.text()
      }
    }
    return found
  }

  private static func members(of value: JSONValue) -> [String: JSONValue] {
    guard case .object(let members) = value else { return [:] }
    return members
  }

  private static func keySet(_ text: String) throws(TokenJSONError) -> JSONValue {
    JSONValue(
      try TokenJSONReader.value(
        Array(text.utf8), TokenJSONReader.Limits(bytes: AuthenticationFile.maximumBytes)))
  }

  static func read(_ value: JSONValue) throws(InputFailure) -> V1.AuthenticationSettings {
    let settings = try AuthenticationFile(parsing: Array(value.text().utf8)).settings
    guard settings.etag.isEmpty else {
      throw InputFailure(reason: "settings.etag: no such member in a fleet file")
    }
    return settings
  }
}

/// What a server has of a tenant beside the tenant itself; nil: nobody has asked.
struct TenantAccess: Sendable {
  var roles: [V1.Role]?
  var assignments: [V1.RoleAssignment]?
  var authentication: V1.AuthenticationSettings?
}

/// What becomes of who has a role.
enum AssignmentChange: Equatable {
  case create(V1.RoleAssignment, at: Int)
  /// In one: at no moment is the subject without the role.
  case replace(V1.RoleAssignment, at: Int, isLonger: Bool = false)
  case delete(name: String, subject: String, role: String, AssignmentEnd)
}

/// Why an assignment goes.
enum AssignmentEnd {
  /// The file has it with an end that is past.
  case declared
  /// The file does not have it.
  case pruned
  /// It has ended by itself, and its role goes.
  case over
}

extension AssignmentChange {
  /// Who applies files goes on with what it may: it does not take that away from itself.
  /// - Parameter caller: nil: nobody has asked.
  func refusal(to caller: String?, of tenant: V1.Tenant) -> RPCStatus? {
    guard case .delete(_, let subject, let role, let why) = self, why != .over, let caller,
      FleetAssignment.portable(caller, of: tenant).hasSameBytes(as: subject)
    else { return nil }
    return RPCStatus(
      .failedPrecondition,
      "the caller would take the role '\(role)' from itself: declare it for \(subject), or let "
        + "another apply this")
  }
}

extension FleetChanges {
  /// - Parameter prunes: whether those go that the file does not have.
  mutating func compare(
    _ wanted: [FleetAssignment], with former: [V1.RoleAssignment], of tenant: V1.Tenant?,
    prunes: Bool, at now: Date = .now
  ) {
    var there: [[UInt8]: V1.RoleAssignment] = [:]
    for one in former {
      let known = tenant.map { FleetAssignment(one, of: $0) } ?? FleetAssignment(one)
      // What is over is as if it were not there, except for a role that goes.
      if !known.isOver(at: now) {
        there[known.key] = one
      } else if goingRoles.contains(known.role) {
        drop(one, known, .over)
      }
    }
    for (at, one) in wanted.enumerated() {
      var one = one
      if let tenant { one.subject = FleetAssignment.portable(one.subject, of: tenant) }
      let old = there.removeValue(forKey: one.key)
      guard !one.isOver(at: now) else {
        if let old { drop(old, one, .declared) }
        continue
      }
      heldRoles.insert(one.role)
      guard let old else {
        assignments.append(.create(one.message, at: at))
        fields.append(FieldChange(field: one.field, from: nil, to: one.ending))
        noteReason(of: one, from: "")
        continue
      }
      let before = FleetAssignment(old, of: tenant ?? V1.Tenant())
      let isMoved = before.expireTime != one.expireTime
      guard isMoved || !before.reason.hasSameBytes(as: one.reason) else { continue }
      assignments.append(.replace(one.message, at: at, isLonger: one.isLonger(than: before)))
      if isMoved {
        fields.append(FieldChange(field: one.field, from: before.ending, to: one.ending))
      }
      noteReason(of: one, from: before.reason)
    }
    guard prunes else { return }
    for old in there.values.sorted(by: { $0.name < $1.name }) {
      drop(old, tenant.map { FleetAssignment(old, of: $0) } ?? FleetAssignment(old), .pruned)
    }
  }

  /// Where the file does not say who has roles, nobody loses one: what has ended goes with roles that go.
  mutating func keep(_ former: [V1.RoleAssignment], of tenant: V1.Tenant, at now: Date = .now) {
    for one in former {
      let known = FleetAssignment(one, of: tenant)
      if !known.isOver(at: now) {
        heldRoles.insert(known.role)
      } else if goingRoles.contains(known.role) {
        drop(one, known, .over)
      }
    }
  }

  private mutating func drop(
    _ old: V1.RoleAssignment, _ known: FleetAssignment, _ why: AssignmentEnd
  ) {
    assignments.append(.delete(name: old.name, subject: known.subject, role: known.role, why))
    var before = known
    before.expireTime = old.expireTime
    fields.append(FieldChange(field: known.field, from: before.ending, to: nil))
  }

  private mutating func noteReason(of one: FleetAssignment, from old: String) {
    func text(_ reason: String) -> String? {
      reason.isEmpty ? nil : JSONValue.string(reason).text()
    }
    if one.reason.hasSameBytes(as: old) { return }
    fields.append(
      FieldChange(field: "\(one.field).reason", from: text(old), to: text(one.reason)))
  }

  /// Whatever differs, all of them are sent.
  mutating func compare(
    _ wanted: V1.AuthenticationSettings, with former: V1.AuthenticationSettings
  ) {
    let (old, new) = (
      FleetAuthentication.byName(former), FleetAuthentication.byName(wanted)
    )
    let changed = Set(old.keys).union(new.keys).sorted().filter { name in
      guard let from = old[name], let to = new[name] else { return true }
      return !from.hasSameBytes(as: to)
    }
    if changed.isEmpty { return }
    for name in changed {
      fields.append(
        FieldChange(field: "authentication.\(name)", from: old[name], to: new[name]))
    }
    var settings = wanted
    settings.etag = former.etag
    authentication = settings
  }
}

extension FleetAssignment {
  fileprivate init(_ assignment: V1.RoleAssignment) { self.init(assignment, of: V1.Tenant()) }
}

extension FleetChanges {
  /// Ids of roles that are yet to be made.
  var newRoles: Set<String> {
    Set(roles.compactMap { if case .create(_, let id, _) = $0 { id } else { nil } })
  }

  /// Ids of roles that are deleted.
  var goingRoles: Set<String> {
    Set(
      roles.compactMap {
        if case .delete(let name, _) = $0 { ResourceName.last(name) } else { nil }
      }
    )
  }

  /// Whether all who have a role lose it before it goes.
  func frees(_ role: String) -> Bool {
    !heldRoles.contains(role)
      && assignments.contains { if case .delete(_, _, role, _) = $0 { true } else { false } }
  }
}

extension FieldChange {
  var isOfAuthentication: Bool { field.hasPrefix("authentication.") }
  /// Whether it is changed by a request of its own.
  var isBesideTheTenant: Bool {
    isOfAuthentication || field.hasPrefix("roles.") || field.hasPrefix("assignments.")
  }
}
