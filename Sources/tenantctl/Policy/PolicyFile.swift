import Foundation
import Tenancy
import TenancyWire

/// One tenant's policy as a file: all of its roles but those that are built in, its groups, who has what, and what
/// shall come of it.
struct PolicyFile: Sendable {
  var roles: [FleetRole] = []
  var groups: [FleetGroup] = []
  var assignments: [FleetAssignment] = []
  var tests: [PolicyTest] = []
}

/// What a policy is to answer.
struct PolicyTest: Sendable, Equatable {
  var name: String
  var subject: String
  var permission: String
  /// Which of the permission's resources; empty: all of them.
  var resource = ""
  var subjectAttributes: [String: JSONValue]?
  var resourceAttributes: [String: JSONValue]?
  var context: [String: JSONValue]?
  /// When it is asked; nil: now.
  var time: GoogleProtobuf.Timestamp?
  var isAllowed: Bool
  /// The role that is to decide it; empty: any, or none.
  var because = ""
  /// Where in the file it is.
  var line = 0
  var column = 0
}

/// The place of a policy in a file, for what is found when it is read already.
struct PolicySource: Sendable {
  let file: String
  let lines: [String: Int]
  let columns: [String: Int]

  func problem(at field: String, _ text: String) -> FleetProblem {
    var place = field[...]
    while !place.isEmpty, lines[String(place)] == nil {
      let end = place.lastIndex { $0 == "." || $0 == "[" } ?? place.startIndex
      place = place[..<end]
    }
    return FleetProblem(
      file: file, line: lines[String(place)] ?? 1, column: columns[String(place)] ?? 1,
      field: field, text: text)
  }
}

extension PolicyFile {
  /// The policy as a server would have it.
  /// - Precondition: no role inherits from itself, and no group contains itself.
  var draft: PolicyDraft {
    func moment(_ time: GoogleProtobuf.Timestamp) -> Timestamp {
      Timestamp(seconds: time.seconds, subsecondNanoseconds: Int64(time.nanos))
    }
    let epoch = Timestamp(nanoseconds: 0)
    return PolicyDraft(
      roles: roles.map { role in
        Role(
          id: role.id, title: role.title, summary: role.description,
          permissions: role.permissions, denials: role.deniedPermissions, parents: role.parents,
          exclusions: role.excludedRoles, version: 1, createTime: epoch, updateTime: epoch)
      },
      groups: groups.map {
        SubjectGroup(
          id: $0.id, title: $0.title, summary: $0.description, version: 1, createTime: epoch,
          updateTime: epoch)
      },
      members: members.enumerated().map { at, one in
        GroupMember(
          id: Self.id(at), group: one.group, member: one.member.subject, createTime: epoch,
          expireTime: one.member.expireTime.map(moment))
      },
      assignments: assignments.enumerated().map { at, one in
        RoleAssignment(
          id: Self.id(at), subject: one.subject, role: one.role,
          terms: .init(
            scope: ResourceScope(parsing: one.resource), condition: one.condition,
            reason: one.reason),
          createTime: epoch, expireTime: one.expireTime.map(moment))
      })
  }

  /// Members of all groups, one after the other.
  private var members: [(group: String, member: FleetMember)] {
    groups.flatMap { group in group.members.map { (group.id, $0) } }
  }

  /// Ids are in the order of the file.
  private static func id(_ at: Int) -> String {
    let digits = String(at)
    return String(repeating: "0", count: max(0, 9 - digits.count)) + digits
  }

  /// What a server would refuse, where the file says it.
  func problems(in source: PolicySource) -> [FleetProblem] {
    let places = groups.enumerated().flatMap { at, group in
      group.members.indices.map { "groups[\(at)].members[\($0)]" }
    }
    let now = Timestamp(seconds: Int64(Date.now.timeIntervalSince1970), subsecondNanoseconds: 0)
    return draft.problems(at: now).map { problem in
      let field: String
      switch problem.part {
      case .whole: field = ""
      case .role(let at):
        field = FleetPart.role(at).member(of: problem.field[...]) ?? "roles[\(at)]"
      case .group(let at):
        field = "groups[\(at)]" + problem.field.dropFirst("group".count)
      case .member(let at):
        // In range: members are numbered as these places are.
        field = places[at]
      case .assignment(let at):
        field = FleetPart.assignment(at).member(of: problem.field[...]) ?? "assignments[\(at)]"
      }
      return source.problem(at: field, problem.text)
    }
  }
}
