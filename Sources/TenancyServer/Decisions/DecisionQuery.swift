import Tenancy
import TenancyWire

/// Which recorded decisions are asked for.
struct DecisionQuery: Sendable {
  private let subject, permission: String
  private let isAllowed: Bool?
  private let start, end: Timestamp?
  /// What must not change from page to page.
  let text: String

  /// - Throws: INVALID_ARGUMENT for what no decision could be.
  init(_ filter: V1.DecisionFilter?) throws(TenancyError) {
    let filter = filter ?? V1.DecisionFilter()
    guard filter.subject.utf8.count <= RoleCommands.maximumSubjectBytes else {
      throw .invalid("filter.subject", "at most \(RoleCommands.maximumSubjectBytes) bytes")
    }
    guard filter.permission.utf8.count <= Permission.maximumLength else {
      throw .invalid("filter.permission", "at most \(Permission.maximumLength) bytes")
    }
    switch filter.outcome {
    case .unspecified: isAllowed = nil
    case .allowed: isAllowed = true
    case .denied: isAllowed = false
    default: throw .invalid("filter.outcome", "ALLOWED or DENIED")
    }
    subject = filter.subject
    permission = filter.permission
    start = try filter.startTime?.domain("filter.start_time")
    end = try filter.endTime?.domain("filter.end_time")
    text = filter.json().text()
  }

  func matches(_ decision: RecordedDecision) -> Bool {
    if let isAllowed, decision.answer.isAllowed != isAllowed { return false }
    if let start, decision.time < start { return false }
    if let end, decision.time >= end { return false }
    return (subject.isEmpty || decision.subject.utf8.elementsEqual(subject.utf8))
      && (permission.isEmpty || decision.permission.utf8.elementsEqual(permission.utf8))
  }
}
