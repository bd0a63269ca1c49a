import Tenancy
import TenancyRPC
import TenancyWire

/// A resolution as the API's response.
enum ResolutionAnswer {
  static func write(
    _ resolution: borrowing Resolution, order: StrategyOrder,
    to answer: inout MessageBuilder<V1.ResolveTenantResponse>
  ) {
    let record = resolution.record
    record.withRendition(made: { encoded($0, id: record.idText) }) { rendition in
      rendition.withUnsafeBytes { answer.write(.tenant, encoded: $0) }
    }
    answer.write(.strategy, wire(resolution.strategy))
    // One finding for each source that was looked at, the most trusted first.
    for strategy in order { explain(strategy, resolution, &answer) }
    explain(.credential, resolution, &answer)
    explain(.default, resolution, &answer)
    answer.write(.rule, wire(resolution.rule))
  }

  private static func explain(
    _ strategy: ResolutionStrategy, _ resolution: borrowing Resolution,
    _ answer: inout MessageBuilder<V1.ResolveTenantResponse>
  ) {
    guard let statement = resolution.said.statement(of: strategy) else { return }
    answer.write(.explanation) { finding in
      finding.write(.strategy, wire(strategy))
      if resolution.said.namedByID.contains(strategy) {
        finding.write(.value, resolution.record.idText)
      } else if resolution.said.named.contains(strategy) {
        finding.write(.value, resolution.record.tenant.slug.text)
      }
      finding.write(.decided, strategy == resolution.strategy)
      finding.write(.statement, wire(statement))
    }
  }

  /// What all answers say of a tenant.
  private static func encoded(_ tenant: Tenant, id: String) -> [UInt8] {
    resolved(tenant, id: id).encode(arena: Arena(firstBlock: Gate.arenaBytes))
  }

  static func resolved(_ tenant: Tenant, id: String) -> V1.ResolvedTenant {
    var message = V1.ResolvedTenant(
      name: TenantNames.collection + id, id: id, slug: tenant.slug.text,
      displayName: tenant.displayName, state: V1.TenantState(tenant.state),
      isolationModel: V1.IsolationModel(tenant.isolationModel), epoch: tenant.epoch)
    if let schema = tenant.configuration.schema { message.schemaName = schema.schemaName }
    if let shared = tenant.configuration.shared {
      message.tenantIdentifier = shared.tenantIdentifier
    }
    message.dataCategories = tenant.dataCategories.map {
      V1.DataCategory(category: $0.name, isolationModel: V1.IsolationModel($0.model))
    }
    return message
  }

  static func wire(_ strategy: ResolutionStrategy) -> V1.ResolutionStrategy {
    switch strategy {
    case .path: .path
    case .subdomain: .subdomain
    case .header: .header
    case .environment: .environment
    case .default: .default
    case .credential: .credential
    case .token: .token
    case .query: .query
    }
  }

  static func wire(_ statement: SourceStatement) -> V1.SourceStatement {
    switch statement {
    case .named: .named
    case .namedOther: .namedOther
    case .notGiven: .notGiven
    case .noMatch: .noMatch
    case .excluded: .excluded
    case .ignored: .ignored
    case .malformed: .malformed
    case .contradictory: .contradictory
    case .switchedOff: .switchedOff
    }
  }

  static func wire(_ rule: ResolutionVerdictRule) -> V1.ResolutionRule {
    switch rule {
    case .agreement: .agreement
    case .firstMatch: .firstMatch
    case .ownTenant: .ownTenant
    case .byDefault: .default
    case .unknownIdentity: .unknownIdentity
    case .credentialConflict: .credentialConflict
    case .malformedSelector: .malformedSelector
    case .pinConflict: .pinConflict
    case .ambiguity: .ambiguity
    case .mismatch: .mismatch
    case .unknownTenant: .unknownTenant
    case .tenantState: .tenantState
    }
  }
}

extension V1.ExplainResolutionResponse {
  init(_ account: ResolutionAccount) {
    var verdict = V1.ResolutionVerdict(rule: ResolutionAnswer.wire(account.rule))
    var deciding: ResolutionStrategy?
    switch account.outcome {
    case .success(let resolution):
      let record = resolution.record
      verdict.tenant = ResolutionAnswer.resolved(record.tenant, id: record.idText)
      verdict.strategy = ResolutionAnswer.wire(resolution.strategy)
      deciding = resolution.strategy
    case .failure(let error):
      verdict.code = Int32(StatusMapping.code(of: error.category).rawValue)
      verdict.reason = error.reason.rawValue
      verdict.message = error.message.clipped(toBytes: StatusMapping.maximumTextBytes)
    }
    let findings = account.findings.map { finding in
      V1.ResolutionFinding(
        strategy: ResolutionAnswer.wire(finding.strategy), value: finding.value,
        decided: finding.strategy == deciding, statement: ResolutionAnswer.wire(finding.statement))
    }
    self.init(findings: findings, verdict: verdict)
  }
}
