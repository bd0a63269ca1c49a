import Tenancy
import TenancyRPC
import TenancyWire

/// What applying files would do, or has done, to one tenant.
struct PlannedTenant: Sendable {
  enum Action: String {
    case create, update, delete, keep
  }

  enum Outcome: String {
    case planned, done, failed, notTried
  }

  let slug: String
  /// Nil for one that no file declares.
  let source: FleetDocument?
  var action: Action
  var fields: [FieldChange] = []
  var writes: [FleetWrite] = []
  var refusals: [FleetRefusal] = []
  var outcome = Outcome.planned
  /// It was changed, but what was to go by that has stayed, since not all is well.
  var keepsDeletions = false
  /// `tenants/{id}`; empty: there is none yet, or it can't be seen.
  var name = ""

  init(slug: String, source: FleetDocument?, action: Action) {
    self.slug = slug
    self.source = source
    self.action = action
  }

  /// Notes what this side refuses.
  mutating func refuse(_ message: String) {
    refusals.append(FleetRefusal(RPCStatus(.failedPrecondition, message), source: source))
  }

  /// As it is where nothing is deleted, since not all is well.
  var withoutDeletions: PlannedTenant {
    guard refusals.isEmpty, outcome != .failed, writes.contains(where: \.isDeletion) else {
      return self
    }
    var one = self
    if outcome == .done { one.keepsDeletions = true } else { one.outcome = .notTried }
    return one
  }

  var isChange: Bool { action != .keep || !refusals.isEmpty }
}

/// What applying files would do, or has done.
struct FleetPlan: Presentable {
  /// In the order of the files; those to be deleted behind them.
  var tenants: [PlannedTenant]
  /// Whether it was carried out.
  var isCarriedOut = false

  var hasChanges: Bool { tenants.contains { $0.action != .keep } }
  var isRefused: Bool { tenants.contains { !$0.refusals.isEmpty } }
  var isWell: Bool { !isRefused && !hasFailed }
  var hasFailed: Bool {
    tenants.contains { $0.outcome == .failed || $0.outcome == .notTried || $0.keepsDeletions }
  }

  func lines() -> [String] {
    // Keys and texts are tenants' own: they could move the cursor, and hide what is confirmed.
    ((isCarriedOut ? [] : tenants.filter(\.isChange).flatMap(\.lines)) + failures + [summary])
      .map(Printable.text)
  }

  private var failures: [String] {
    tenants.filter { isCarriedOut && !$0.refusals.isEmpty }.flatMap { tenant in
      tenant.refusals.flatMap { refusal in
        ["! \(tenant.title): \(refusal.text)"] + refusal.violations.map { "    \($0)" }
      }
    }
      + tenants.filter(\.keepsDeletions).map {
        "! \($0.title): changed, but its deletions were not tried"
      }
  }

  private func count(_ action: PlannedTenant.Action) -> Int {
    tenants.count { tenant in
      tenant.action == action
        && (isCarriedOut ? tenant.outcome == .done : tenant.refusals.isEmpty)
    }
  }

  private var kept: Int { tenants.count { $0.action == .keep && $0.refusals.isEmpty } }
  private var refused: Int { tenants.count { !$0.refusals.isEmpty } }
  private var notTried: Int { tenants.count { $0.outcome == .notTried } }

  private var keptDeletions: Int { tenants.count(where: \.keepsDeletions) }

  private var summary: String {
    if isCarriedOut {
      let deletions = keptDeletions == 0 ? "" : ", deletions in \(keptDeletions) not tried"
      return "\(count(.create)) created, \(count(.update)) changed, \(count(.delete)) deleted, "
        + "\(kept) unchanged, \(refused) failed, \(notTried) not tried\(deletions)"
    }
    guard hasChanges || isRefused else { return "No changes: \(kept) unchanged." }
    return "\(count(.create)) to create, \(count(.update)) to change, "
      + "\(count(.delete)) to delete, \(kept) unchanged, \(refused) refused"
  }

  func json() -> JSONValue {
    func number(_ value: Int) -> JSONValue { .number(Double(value)) }
    return .object([
      "tenants": .array(tenants.filter(\.isChange).map { $0.json() }),
      "summary": .object([
        "create": number(count(.create)), "update": number(count(.update)),
        "delete": number(count(.delete)), "unchanged": number(kept),
        "refused": number(refused), "notTried": number(notTried),
        "deletionsNotTried": number(keptDeletions), "applied": .bool(isCarriedOut),
      ]),
    ])
  }
}

extension PlannedTenant {
  var title: String {
    source.map { "\(slug) (\($0.file):\($0.line))" } ?? slug
  }

  /// What becomes of it, field by field.
  var lines: [String] {
    let sign =
      if !refusals.isEmpty { "!" } else {
        switch action {
        case .create: "+"
        case .update: "~"
        case .delete: "-"
        case .keep: " "
        }
      }
    return ["\(sign) \(title)"]
      + fields.map { field in
        switch (field.from, field.to) {
        case (nil, let to): "    \(field.field): \(to ?? "")"
        case (let from?, nil): "    \(field.field): \(from) → (removed)"
        case (let from?, let to?): "    \(field.field): \(from) → \(to)"
        }
      } + refusals.flatMap { ["    \($0.text)"] + $0.violations.map { "      \($0)" } }
  }

  func json() -> JSONValue {
    func text(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
    var members: [String: JSONValue] = [
      "slug": .string(slug), "action": .string(action.rawValue.uppercased()),
      "outcome": .string(outcome == .notTried ? "NOT_TRIED" : outcome.rawValue.uppercased()),
      "changes": .array(
        fields.map {
          .object(["field": .string($0.field), "from": text($0.from), "to": text($0.to)])
        }),
    ]
    if !name.isEmpty { members["name"] = .string(name) }
    if keepsDeletions { members["deletionsNotTried"] = .bool(true) }
    if let source {
      members["file"] = .string(source.file)
      members["line"] = .number(Double(source.line))
    }
    if !refusals.isEmpty {
      members["refusals"] = .array(
        refusals.map {
          .object([
            "code": .string($0.code), "reason": .string($0.reason), "message": .string($0.message),
            "violations": .array($0.violations.map { .string($0) }),
          ])
        })
    }
    return .object(members)
  }
}
