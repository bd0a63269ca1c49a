import TenancyWire

extension V1.ListTenantOperationsResponse: Presentable {
  func lines() -> [String] {
    var table = Table("OPERATION", "KIND", "STATE", "STEPS", "BEGUN", "BY", "PROBLEM")
    for operation in operations {
      let done = operation.steps.count { $0.state == .done }
      table.add(
        operation.name, operation.kind.shortName, operation.state.shortName,
        "\(done)/\(operation.steps.count)", operation.createTime?.text ?? "", operation.subject,
        operation.failure.map { "\($0.step): \($0.reason)" } ?? "")
    }
    return table.lines()
  }
}

extension V1.TenantOperation: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Operation", name)
    fields.add("Kind", kind.shortName)
    fields.add("State", state.shortName)
    fields.add("By", subject)
    fields.add("Place", place)
    fields.add("Begun", createTime?.text ?? "")
    fields.add("Over", endTime?.text ?? "")
    if let failure {
      fields.add("Failed at", failure.step)
      fields.add("Because", failure.reason)
    }
    var table = Table("STEP", "STATE", "TOOK")
    for step in steps {
      table.add(step.name, step.state.shortName, step.duration ?? "")
    }
    return fields.lines() + (steps.isEmpty ? [] : table.lines())
  }
}

extension V1.TenantOperation.Step {
  /// For people; nil of one that is not done, or was before it was recorded when.
  var duration: String? {
    guard let start = startTime, let end = endTime else { return nil }
    let milliseconds =
      (end.seconds - start.seconds) * 1000 + Int64(end.nanos - start.nanos) / 1_000_000
    return milliseconds < 10_000 ? "\(milliseconds) ms" : "\(milliseconds / 1000) s"
  }
}
