import TenancyRPC
import TenancyWire

extension V1.ResolveTenantResponse: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    if let tenant {
      fields.add("Tenant", "\(tenant.slug) (\(tenant.name))")
      fields.add("Display name", tenant.displayName)
      fields.add("State", tenant.state.shortName)
      fields.add("Isolation", tenant.isolationModel.shortName)
      fields.add("Epoch", String(tenant.epoch))
      fields.add("Schema", tenant.schemaName)
      fields.add("Categories", each: tenant.dataCategories.map(CategoryText.text))
      fields.add("Tenant column", tenant.tenantIdentifier)
    }
    fields.add("Decided by", strategy.shortName)
    fields.add("Rule", rule.shortName)
    fields.add("Explanation", each: Self.explain(explanation))
    return fields.lines()
  }

  private static func explain(_ findings: [V1.ResolutionFinding]) -> [String] {
    let rows = findings.map { finding in
      [
        finding.strategy.shortName, finding.value.isEmpty ? finding.silence : finding.value,
        finding.decided ? "<- decided" : "",
      ]
    }
    return Table.align(rows, gap: 2).map { line in
      // What pads before an empty last cell.
      String(line.reversed().drop { $0 == " " }.reversed())
    }
  }
}

extension V1.ResolutionFinding {
  /// Why it named none.
  fileprivate var silence: String {
    statement == .unspecified ? "named none" : statement.text
  }
}

extension V1.SourceStatement {
  /// For people.
  fileprivate var text: String {
    switch self {
    case .named: "named"
    case .namedOther: "named something else"
    case .notGiven: "not given"
    case .noMatch: "names no tenant"
    case .excluded: "excluded"
    case .ignored: "ignored"
    case .malformed: "malformed"
    case .contradictory: "contradicts itself"
    case .switchedOff: "switched off"
    default: shortName
    }
  }
}

extension V1.ExplainResolutionResponse: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    if let tenant = verdict?.tenant {
      fields.add("Resolves to", "\(tenant.slug) (\(tenant.name))")
      fields.add("Decided by", verdict?.strategy.shortName ?? "")
    } else {
      fields.add("Resolves to", "no tenant")
    }
    fields.add("Rule", verdict?.rule.shortName ?? "")
    fields.add("Status", verdict.flatMap(Self.status) ?? "")
    fields.add("Reason", verdict?.reason ?? "")
    fields.add("Message", verdict?.message ?? "")
    var table = Table("SOURCE", "SAID", "NAME", "DECIDED")
    for finding in findings {
      table.add(
        finding.strategy.shortName, finding.statement.text, finding.value,
        finding.decided ? "yes" : "")
    }
    return fields.lines() + [""] + table.lines()
  }

  private static func status(_ verdict: V1.ResolutionVerdict) -> String? {
    guard verdict.code != 0 else { return nil }
    return RPCStatus.Code(number: Int(verdict.code)).description
  }
}
