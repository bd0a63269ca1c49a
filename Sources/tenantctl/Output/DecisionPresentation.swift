import TenancyWire

extension V1.RecordedDecision {
  /// The question.
  fileprivate var question: String {
    "\(subject) \(permission)\(resource.isEmpty ? "" : " \(resource)")"
  }

  fileprivate var note: String {
    if attributesOmitted { return "attributes were too large" }
    return redactedAttributes.isEmpty
      ? "" : "redacted: \(redactedAttributes.joined(separator: ", "))"
  }
}

extension V1.ListDecisionsResponse: Presentable {
  func lines() -> [String] {
    var table = Table("TIME", "SUBJECT", "PERMISSION", "RESOURCE", "ANSWER", "REVISION", "NOTE")
    for one in decisions {
      table.add(
        one.time?.text ?? "", one.subject, one.permission, one.resource,
        one.answer?.lines().joined() ?? "", one.answer.map { String($0.revision) } ?? "",
        one.note)
    }
    var lines = table.lines() + Paging.note(nextPageToken)
    if leftOut > 0 {
      lines.append("\(leftOut) decisions were not recorded: there were too many in a second")
    }
    if overwritten > 0 { lines.append("\(overwritten) had to make room for newer ones") }
    return lines
  }
}

/// What of a tenant's decisions is missing in those that were shown.
struct DecisionGaps {
  let isFiltered: Bool
  private var leftOut: UInt64 = 0
  /// The time of the last that was shown.
  private var last: GoogleProtobuf.Timestamp?

  init(isFiltered: Bool) { self.isFiltered = isFiltered }

  /// What is to be told before the decisions of a page are shown.
  mutating func notes(_ page: V1.ListDecisionsResponse) -> [String] {
    var notes: [String] = []
    // It may have begun anew.
    let more = page.leftOut >= leftOut ? page.leftOut - leftOut : page.leftOut
    leftOut = page.leftOut
    if more > 0 {
      notes.append("\(more) decisions were not recorded: there were too many in a second")
    }
    guard !page.decisions.isEmpty else { return notes }
    if !isFiltered, more == 0, let last, let since = page.completeSince,
      (since.seconds, since.nanos) > (last.seconds, last.nanos)
    {
      notes.append("decisions before \(since.text) may be missing")
    }
    last = page.decisions.last?.time ?? last
    return notes
  }
}

extension V1.DecisionDifference {
  fileprivate func add(to table: inout Table, _ queries: String) {
    let why = steps.first.map { step in
      "\(step.assignment?.subject ?? "") as \(step.rolePath.joined(separator: " > ")) "
        + "\(step.denies ? "denies" : "allows") \(step.permission)"
    }
    table.add(
      decision?.question ?? "\(queries) \(query)", before?.lines().joined() ?? "",
      after?.lines().joined() ?? "", why ?? "", inexact ? "attributes are missing" : "")
  }
}

extension V1.ReplayDecisionsResponse: Presentable {
  func lines() -> [String] {
    var table = Table("QUESTION", "WAS", "IS", "BY", "NOTE")
    for one in differences { one.add(to: &table, "") }
    return table.lines() + [
      "\(differences.count) of \(replayed) differ; \(inexact) without all attributes, \(unanswered) not answered"
    ]
  }
}

extension V1.SimulateResponse: Presentable {
  func lines() -> [String] {
    var table = Table("QUESTION", "IS", "WOULD BE", "BY", "NOTE")
    for one in differences { one.add(to: &table, "query") }
    return table.lines() + [
      "\(differences.count) of \(compared) differ; \(inexact) without all attributes, \(unanswered) not answered"
    ]
  }
}
