import Tenancy
import TenancyTokens
import TenancyWire

/// Reads policy files: YAML, or JSON, which is YAML, with one document.
enum PolicyReader {
  static let kind = "Policy"
  /// Bytes of a file, at most.
  static let maximumBytes = 64 << 20

  private static let names = ["apiVersion", "kind", "roles", "groups", "assignments", "tests"]
  private static let testNames = [
    "name", "subject", "permission", "resource", "subjectAttributes", "resourceAttributes",
    "context", "time", "expect", "because",
  ]

  /// The policy of a file; `-` is the standard input.
  /// - Throws: `FleetFailure` with all that is wrong with it, `InputFailure` for what can't be read.
  static func file(_ path: String) throws -> PolicyFile {
    let name = path == "-" ? "stdin" : path
    let bytes = try InputFile.bytes(path, atMost: maximumBytes)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw InputFailure(reason: "\(name) is not UTF-8 text")
    }
    let (policy, problems) = try read(text, file: name)
    guard problems.isEmpty, let policy else {
      throw FleetFailure(problems: problems, heading: "the policy is not valid")
    }
    return policy
  }

  /// The policy of a text, and all that is wrong with it, line by line.
  /// - Returns: no policy where there is none, or several.
  static func read(
    _ text: String, file: String
  ) throws -> (policy: PolicyFile?, problems: [FleetProblem]) {
    let notes = FleetNotes(file: file, tellsColumns: true)
    let reader = try FleetReader(notes)
    var policy: PolicyFile?
    var problems: [FleetProblem] = []
    var count = 0
    reader.each(text) { root in
      count += 1
      guard count == 1 else {
        return root.complain("one document is expected: a file is one tenant's policy")
      }
      let before = notes.problems.count
      guard let read = document(root, reader) else { return }
      policy = read
      let known = refuseUnknown(read, notes)
      let source = PolicySource(file: file, lines: notes.lines, columns: notes.columns)
      // What could not be read would look as if it were missing.
      let isWhole = notes.problems.count == before
      guard isWhole || !hasCircle(read) else { return }
      let told = Set(notes.problems.dropFirst(before).map(\.field))
      problems = known.problems(in: source).filter { !told.contains($0.field) }
    }
    if count == 0, notes.problems.isEmpty { notes.note("it holds no policy", at: "", 1, column: 1) }
    problems += notes.problems
    return (
      policy,
      problems.sorted { ($0.line ?? .max, $0.column ?? 0) < ($1.line ?? .max, $1.column ?? 0) }
    )
  }

  private static func hasCircle(_ policy: PolicyFile) -> Bool {
    let groups = policy.groups.map { group in
      FleetRole(
        id: group.id, parents: group.members.compactMap { SubjectGroup.id(in: $0.subject) })
    }
    return !FleetFamilies(policy.roles).circle.isEmpty || !FleetFamilies(groups).circle.isEmpty
  }

  private static func document(_ root: FleetNode, _ reader: FleetReader) -> PolicyFile? {
    guard let members = root.members() else { return nil }
    var values = Dictionary(members.map { ($0.name, $0.value) }) { first, _ in first }
    reader.head(of: root, &values, kind: kind)
    var policy = PolicyFile()
    policy.roles = values.removeValue(forKey: "roles").flatMap { reader.roles($0) } ?? []
    policy.groups = values.removeValue(forKey: "groups").flatMap { reader.groups($0) } ?? []
    policy.assignments =
      values.removeValue(forKey: "assignments").flatMap { reader.assignments($0) } ?? []
    policy.tests = values.removeValue(forKey: "tests").flatMap { tests($0, reader) } ?? []
    reader.refuse(values, known: names)
    return policy
  }

  /// Notes roles that the file names and does not have, with what may be meant.
  /// - Returns: the policy without such parents and excluded roles.
  private static func refuseUnknown(_ policy: PolicyFile, _ notes: FleetNotes) -> PolicyFile {
    let ids = Set(policy.roles.map(\.id))
    func isKnown(_ id: String) -> Bool { ids.contains(id) || RoleCommands.isBuiltIn(role: id) }
    for (field, id) in notes.roles where !isKnown(id) {
      notes.note(
        "there is no role '\(id)'\(Similar.hint(for: id, among: ids.sorted()))", at: field,
        notes.lines[field])
    }
    var policy = policy
    policy.roles = policy.roles.map { role in
      var role = role
      role.parents = role.parents.filter(isKnown)
      role.excludedRoles = role.excludedRoles.filter(isKnown)
      return role
    }
    return policy
  }

  // MARK: Tests

  private static func tests(_ node: FleetNode, _ reader: FleetReader) -> [PolicyTest]? {
    var seen: Set<String> = []
    return node.list { element in
      reader.part(
        element, needing: ["name", "subject", "permission", "expect"], known: testNames
      ) { values in
        func take<Value>(_ name: String, _ read: (FleetNode) -> Value?) -> Value? {
          values.removeValue(forKey: name).flatMap(read)
        }
        let name = take("name") { node in
          let text = node.text()
          if let text, !seen.insert(text).inserted {
            node.complain("the test '\(text)' is there twice")
          }
          return text
        }
        let because = take("because") { node in
          let text = node.text()
          if let text { node.notes.note(role: text, at: node.field) }
          return text
        }
        return PolicyTest(
          name: name ?? "", subject: take("subject", subject) ?? "",
          permission: take("permission", permission) ?? "",
          resource: take("resource", path) ?? "",
          subjectAttributes: take("subjectAttributes") { attributes($0, reader) },
          resourceAttributes: take("resourceAttributes") { attributes($0, reader) },
          context: take("context") { attributes($0, reader) }, time: take("time") { $0.moment() },
          isAllowed: take("expect", expected) ?? false, because: because ?? "",
          line: element.line ?? 0, column: element.node.mark?.column ?? 0)
      }
    }
  }

  private static func subject(_ node: FleetNode) -> String? {
    guard let text = node.text() else { return nil }
    guard RoleCommands.isSubject(text) else {
      return node.refuse("a subject is expected: text without spaces, such as user:alice")
    }
    return text
  }

  private static func permission(_ node: FleetNode) -> String? {
    guard let text = node.text() else { return nil }
    guard let permission = Permission(parsing: text), !permission.hasWildcard else {
      return node.refuse("resource:action without * is expected")
    }
    return text
  }

  private static func path(_ node: FleetNode) -> String? {
    guard let text = node.text() else { return nil }
    let isPath = unsafe ResourceScope.isPath(text.utf8Span.span.bytes)
    guard text.isEmpty || isPath else {
      return node.refuse("one of the permission's resources is expected, such as 42 or 2026/7")
    }
    return text
  }

  private static func expected(_ node: FleetNode) -> Bool? {
    guard let text = node.text() else { return nil }
    guard ["allowed", "denied"].contains(text) else {
      return node.refuse(
        "allowed or denied is expected\(Similar.hint(for: text, among: ["allowed", "denied"]))")
    }
    return text == "allowed"
  }

  private static func attributes(
    _ node: FleetNode, _ reader: FleetReader
  ) -> [String: JSONValue]? {
    node.dictionary { $0.json(reader.resolver) }
  }
}
