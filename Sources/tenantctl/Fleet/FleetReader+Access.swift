import Foundation
import Tenancy
import TenancyWire

extension FleetReader {
  private static let assignmentMembers = [
    "subject", "role", "resource", "condition", "expires", "reason",
  ]

  /// Judged here as far as can be: of a tenant that does not exist yet, the server can't be asked.
  func assignments(_ node: FleetNode) -> [FleetAssignment]? {
    var seen: Set<[UInt8]> = []
    return node.list { element in
      part(element, needing: ["subject", "role"], known: Self.assignmentMembers) { values in
        let role = values.removeValue(forKey: "role")
        var assignment = FleetAssignment(
          subject: values.removeValue(forKey: "subject")?.text() ?? "", role: role?.text() ?? "")
        if let role, !assignment.role.isEmpty {
          if RoleCommands.isRoleID(assignment.role) {
            role.notes.note(role: assignment.role, at: role.field)
          } else {
            role.complain("the id of a role: 1 to 63 of a-z, 0-9 and '-', starting with a letter")
          }
        }
        // What is refused of it is no reason to take it for another.
        var isKnown = true
        func take(_ name: String, _ read: (FleetNode) -> String?) -> String {
          guard let node = values.removeValue(forKey: name) else { return "" }
          guard let text = read(node) else {
            isKnown = false
            return ""
          }
          return text
        }
        assignment.resource = take("resource") { $0.resource() }
        assignment.condition = take("condition") { $0.condition() }
        assignment.reason = values.removeValue(forKey: "reason")?.text() ?? ""
        assignment.expireTime = values.removeValue(forKey: "expires")?.moment()
        if isKnown, !seen.insert(assignment.key).inserted {
          element.complain(
            "'\(assignment.subject)' has the role '\(assignment.role)' twice, for the same resources and condition"
          )
        }
        return assignment
      }
    }
  }

  func authentication(_ node: FleetNode) -> V1.AuthenticationSettings? {
    guard let members = node.dictionary({ $0.json(resolver) }) else { return nil }
    do throws(InputFailure) {
      return try FleetAuthentication.read(.object(members))
    } catch {
      let reason = error.reason
      return node.refuse(
        reason.hasPrefix("settings")
          ? "authentication\(reason.dropFirst("settings".count))" : reason)
    }
  }
}

extension FleetNode {
  /// Of which resources an assignment is, as the server has it. One that is empty would be of all: who means that says
  /// nothing.
  func resource() -> String? {
    guard let text = text() else { return nil }
    return ResourceScope(parsing: text)?.text
      ?? refuse("TYPE, TYPE/PATH or TYPE/PATH/* is expected")
  }

  /// Judged as the server does, for nobody can ask it about tenants that do not exist yet.
  func condition() -> String? {
    guard let text = text() else { return nil }
    if let problem = PolicyConditions.problem(with: text) { return refuse(problem) }
    return text
  }

  /// RFC 3339, with nanoseconds at most.
  func moment() -> GoogleProtobuf.Timestamp? {
    guard let text = text() else { return nil }
    return GoogleProtobuf.Timestamp(moment: text)
      ?? refuse("a time such as 2027-01-31T12:00:00Z is expected")
  }
}

extension GoogleProtobuf.Timestamp {
  init?(moment text: String) {
    var (rest, nanos) = (text, Int32(0))
    if let dot = text.firstIndex(of: ".") {
      let digits = text[text.index(after: dot)...].prefix { ("0"..."9").contains($0) }
      guard (1...9).contains(digits.count),
        let number = Int32(digits + String(repeating: "0", count: 9 - digits.count))
      else { return nil }
      (rest, nanos) = (String(text[..<dot] + text[digits.endIndex...]), number)
    }
    guard let date = try? Date(rest, strategy: .iso8601) else { return nil }
    self.init(seconds: Int64(date.timeIntervalSince1970), nanos: nanos)
  }
}
