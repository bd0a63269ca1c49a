import TenancyWire

extension V1.TenantUsage: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Node", node)
    fields.add("State", health?.state.shortName ?? "")
    calls?.add(to: &fields)
    if calls == nil { fields.add("Calls", "not counted") }
    storage?.add(to: &fields)
    fields.add("Data reached", health?.reached ?? "")
    fields.add("Failed operation", health?.failure ?? "")
    var table = Table("QUOTA", "USED", "LIMIT", "UNIT", "COMES BACK")
    for one in quotas {
      table.add(
        one.quota, String(one.used), String(one.limit), one.unit,
        one.restoredPerSecond == 0 ? "" : "\(one.restoredPerSecond) per second")
    }
    for one in requestLimits {
      table.add(
        "\(one.limit) per \(one.period)", String(one.used), String(one.maximum), "requests",
        one.used == 0 ? "" : "by \(one.resetTime?.text ?? "?")")
    }
    return fields.lines() + table.lines()
  }
}

extension V1.CallUsage {
  fileprivate func add(to fields: inout Fields) {
    fields.add("Calls", "\(calls) since \(sinceTime?.text ?? "?")")
    fields.add(
      "Of which",
      "\(okCalls) ok, \(deniedCalls) denied, \(limitedCalls) over a limit, "
        + "\(cancelledCalls) cancelled, \(failedCalls) failed")
    fields.add("Last minute", String(lastMinuteCalls))
    fields.add("Last call", latestCallTime?.text ?? "")
    fields.add("Connections", String(openConnections))
    fields.add("Streams", String(openStreams))
  }
}

extension V1.StorageUsage {
  fileprivate func add(to fields: inout Fields) {
    let time = measureTime.map { " at \($0.text)" } ?? ""
    fields.add("Data", bytes.map { "\(Self.text(bytes: $0))\(time)" } ?? "not known")
    fields.add("Sessions", sessions.map { String($0) } ?? "")
    fields.add("Not measured", problem)
  }
}

extension V1.TenantHealth {
  fileprivate var reached: String {
    switch dataPlace {
    case .reached: "yes"
    case .unreachable: "no"
    default: "not known"
    }
  }

  fileprivate var failure: String {
    if operationsUnknown { return "not known" }
    if failedOperation.isEmpty { return "" }
    let step = failedStep.isEmpty ? "" : " at \(failedStep)"
    return "\(failedOperation)\(step), \(failureTime?.text ?? "?")"
  }
}
