import Tenancy
import TenancyWire
import Yams

/// Policy files: the same text for the same policy.
enum PolicyWriter {
  static func text(_ policy: PolicyFile) throws(OutputFailure) -> String {
    var members: [(String, Node?)] = [
      ("apiVersion", YAMLText.node(FleetReader.version)),
      ("kind", YAMLText.node(PolicyReader.kind)),
    ]
    func add<Value>(_ name: String, _ values: [Value], _ node: (Value) -> Node) {
      if !values.isEmpty { members.append((name, Node(values.map(node)))) }
    }
    add("roles", policy.roles, FleetWriter.role)
    add("groups", policy.groups, group)
    add("assignments", policy.assignments, FleetWriter.assignment)
    add("tests", policy.tests, test)
    return try YAMLText.document(FleetWriter.mapping(members))
  }

  private static func text(_ text: String) -> Node? { text.isEmpty ? nil : YAMLText.node(text) }

  private static func time(_ time: GoogleProtobuf.Timestamp?) -> Node? {
    guard case .string(let text)? = time?.json() else { return nil }
    return YAMLText.node(text)
  }

  private static func group(_ group: FleetGroup) -> Node {
    let members = group.members.map { member in
      guard let end = time(member.expireTime) else { return YAMLText.node(member.subject) }
      return FleetWriter.mapping([("subject", YAMLText.node(member.subject)), ("expires", end)])
    }
    return FleetWriter.mapping([
      ("id", YAMLText.node(group.id)), ("title", text(group.title)),
      ("description", text(group.description)), ("members", members.isEmpty ? nil : Node(members)),
    ])
  }

  private static func test(_ test: PolicyTest) -> Node {
    func attributes(_ members: [String: JSONValue]?) -> Node? {
      members.map { YAMLText.node(.object($0)) }
    }
    return FleetWriter.mapping([
      ("name", YAMLText.node(test.name)), ("subject", YAMLText.node(test.subject)),
      ("permission", YAMLText.node(test.permission)), ("resource", text(test.resource)),
      ("subjectAttributes", attributes(test.subjectAttributes)),
      ("resourceAttributes", attributes(test.resourceAttributes)),
      ("context", attributes(test.context)), ("time", time(test.time)),
      ("expect", YAMLText.node(test.isAllowed ? "allowed" : "denied")),
      ("because", text(test.because)),
    ])
  }
}

extension PolicyFile {
  /// In the order in which a policy of a server is written.
  var sorted: PolicyFile {
    var policy = self
    policy.roles.sort { $0.id < $1.id }
    policy.groups = policy.groups.map { group in
      var group = group
      group.members.sort { $0.subject.utf8.lexicographicallyPrecedes($1.subject.utf8) }
      return group
    }
    policy.groups.sort { $0.id < $1.id }
    policy.assignments.sort { $0.key.lexicographicallyPrecedes($1.key) }
    return policy
  }

  /// What a server has of a tenant, but for roles that are built in and what is over.
  init(of name: String, _ source: FleetSource) async throws {
    self = try await ServerPolicy(of: name, source).file
  }
}
