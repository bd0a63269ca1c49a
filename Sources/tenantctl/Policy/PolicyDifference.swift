import Foundation
import Tenancy

/// What is not the same in two policies. Tests are no part of it.
struct PolicyDifference: Presentable {
  enum Kind: String { case create, change, delete }

  struct Change: Equatable {
    let kind: Kind
    /// `role`, `group`, `member` or `assignment`.
    let what: String
    /// Which of them.
    let name: String
    /// What of it changes.
    var details: [String] = []
  }

  private(set) var changes: [Change] = []

  /// Roles and groups by their ids, members and assignments by whom and what.
  init(from old: PolicyFile, to new: PolicyFile) {
    compare("role", old.roles, new.roles, { Array($0.id.utf8) }, \.id) { Self.details($0, $1) }
    compare("group", old.groups, new.groups, { Array($0.id.utf8) }, \.id) { old, new in
      Self.text("title", old.title, new.title)
        + Self.text("description", old.description, new.description)
    }
    compare(
      "member", Self.members(old), Self.members(new),
      { [UInt8]("\($0.group) \($0.one.subject)".utf8) },
      { "\($0.one.subject) of \($0.group)" }
    ) { Self.text("expires", $0.one.ending, $1.one.ending) }
    compare(
      "assignment", old.assignments, new.assignments, \.key,
      { String($0.field.dropFirst("assignments.".count)) }
    ) { old, new in
      Self.text("expires", old.ending, new.ending) + Self.text("reason", old.reason, new.reason)
    }
  }

  private static func members(_ policy: PolicyFile) -> [(group: String, one: FleetMember)] {
    policy.groups.flatMap { group in group.members.map { (group.id, $0) } }
  }

  private mutating func compare<Part>(
    _ what: String, _ old: [Part], _ new: [Part], _ key: (Part) -> [UInt8],
    _ name: (Part) -> String, _ details: (Part, Part) -> [String]
  ) {
    var there = Dictionary(old.map { (key($0), $0) }) { first, _ in first }
    for part in new {
      guard let before = there.removeValue(forKey: key(part)) else {
        changes.append(Change(kind: .create, what: what, name: name(part)))
        continue
      }
      let details = details(before, part)
      if details.isEmpty { continue }
      changes.append(Change(kind: .change, what: what, name: name(part), details: details))
    }
    for part in old where there[key(part)] != nil {
      changes.append(Change(kind: .delete, what: what, name: name(part)))
    }
  }

  private static func details(_ old: FleetRole, _ new: FleetRole) -> [String] {
    var found =
      text("title", old.title, new.title) + text("description", old.description, new.description)
    for (before, after) in zip(old.lists, new.lists) {
      let (had, has) = (Set(before.list), Set(after.list))
      found += has.subtracting(had).sorted().map { "\(after.member): + \($0)" }
      found += had.subtracting(has).sorted().map { "\(after.member): - \($0)" }
    }
    return found
  }

  private static func text(_ name: String, _ old: String, _ new: String) -> [String] {
    old.hasSameBytes(as: new) ? [] : ["\(name): \(old) -> \(new)"]
  }

  // MARK: Output

  func lines() -> [String] {
    let signs: [Kind: String] = [.create: "+", .change: "~", .delete: "-"]
    let shown = changes.flatMap { change in
      ["\(signs[change.kind] ?? "") \(change.what) \(change.name)"]
        + change.details.map { "    \($0)" }
    }
    // Names and texts are others' own: they could move the cursor.
    return (shown + [summary]).map(Printable.text)
  }

  private func count(_ kind: Kind) -> Int { changes.count { $0.kind == kind } }

  private var summary: String {
    guard !changes.isEmpty else { return "No differences." }
    return "\(count(.create)) to create, \(count(.change)) to change, \(count(.delete)) to delete"
  }

  func json() -> JSONValue {
    .object([
      "changes": .array(
        changes.map { change in
          .object([
            "kind": .string(change.kind.rawValue), "what": .string(change.what),
            "name": .string(change.name), "details": .array(change.details.map { .string($0) }),
          ])
        }),
      "summary": .object([
        "create": .number(Double(count(.create))), "change": .number(Double(count(.change))),
        "delete": .number(Double(count(.delete))),
      ]),
    ])
  }
}
