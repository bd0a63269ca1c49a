import Tenancy
import TenancyWire

/// A group of a tenant's subjects as a whole: what the file does not say is empty.
struct FleetGroup: Sendable {
  var id: String
  var title = ""
  var description = ""
  var members: [FleetMember] = []
}

/// Who is directly in a group.
struct FleetMember: Sendable {
  var subject: String
  /// When it ends by itself; nil: never.
  var expireTime: GoogleProtobuf.Timestamp?

  var isOver: Bool {
    FleetAssignment(subject: "", role: "", expireTime: expireTime).isOver(at: .now)
  }

  var ending: String { FleetAssignment(subject: "", role: "", expireTime: expireTime).ending }
}

extension FleetReader {
  func groups(_ node: FleetNode) -> [FleetGroup]? {
    var seen: Set<String> = []
    let groups = node.list { element -> FleetGroup? in
      part(element, needing: ["id"], known: ["id", "title", "description", "members"]) { values in
        let idNode = values.removeValue(forKey: "id")
        var group = FleetGroup(id: idNode?.text() ?? "")
        if let idNode, !group.id.isEmpty {
          if !SubjectGroup.isID(group.id) {
            idNode.complain(
              "the id of a group: 1 to 63 of a-z, 0-9 and '-', starting with a letter, and not everyone"
            )
          }
          if !seen.insert(group.id).inserted {
            idNode.complain("the group '\(group.id)' is there twice")
          }
        }
        group.title = values.removeValue(forKey: "title")?.text() ?? ""
        group.description = values.removeValue(forKey: "description")?.text() ?? ""
        group.members = values.removeValue(forKey: "members").flatMap { members($0) } ?? []
        return group
      }
    }
    if let groups { refuseCircle(groups, node) }
    return groups
  }

  /// A subject, or one with an end.
  private func members(_ node: FleetNode) -> [FleetMember]? {
    var seen: Set<[UInt8]> = []
    return node.list { element in
      var member: FleetMember?
      if case .mapping = element.node {
        member = part(element, needing: ["subject"], known: ["subject", "expires"]) { values in
          FleetMember(
            subject: values.removeValue(forKey: "subject")?.text() ?? "",
            expireTime: values.removeValue(forKey: "expires")?.moment())
        }
      } else {
        member = element.text().map { FleetMember(subject: $0) }
      }
      if let member, !seen.insert(Array(member.subject.utf8)).inserted {
        element.complain("'\(member.subject)' is in the group twice")
      }
      return member
    }
  }

  /// Groups that contain each other are as roles that inherit from each other.
  private func refuseCircle(_ groups: [FleetGroup], _ node: FleetNode) {
    let families = FleetFamilies(
      groups.map { group in
        FleetRole(
          id: group.id, parents: group.members.compactMap { SubjectGroup.id(in: $0.subject) })
      })
    guard let first = families.circle.first,
      let at = groups.firstIndex(where: { $0.id == first })
    else { return }
    let field = "groups[\(at)].members"
    node.notes.note(
      "the group contains itself: \(families.circle.joined(separator: " contains "))", at: field,
      node.notes.lines[field])
  }
}
