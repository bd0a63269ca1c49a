import Tenancy
import TenancyWire
import Testing

@testable import tenantctl

@Suite struct FleetFileTests {
  private let head = "apiVersion: tenancy/v1\nkind: Tenant\nslug: acme\n"

  private func read(_ text: String) throws -> (documents: [FleetDocument], problems: [String]) {
    let (documents, problems) = try FleetReader.read(text, file: "f")
    return (documents, problems.map(\.description))
  }

  /// All that can be written reads as it was.
  @Test func thereAndBack() throws {
    var tenant = FleetTenant(slug: "acme")
    tenant.displayName = "a: #b\n\t\u{202E}\u{85}\u{1F389} "
    tenant.isolation = .hybrid
    tenant.plan = "1e5"
    tenant.limits = [V1.RequestLimit(name: "up", requests: 3, period: .minute, burst: 9)]
    tenant.region = "no"
    tenant.cluster = "~"
    tenant.labels = ["y": "on", "example.com/x": "007", "z": ""]
    tenant.annotations = ["n": " two\nlines\n", "m": "'\"", "l": "- a"]
    tenant.settings = [
      "null": .null, "1": .number(1), "text": .string("1"), "list": .array([.bool(true), .null]),
      "big": .number(1e300), "date": .string("2026-01-01"), "deep": .object(["a": .object([:])]),
    ]
    tenant.featureFlags = ["true": true, "off": false]
    tenant.routes = [
      V1.RouteRule(methods: ["GET"], path: "/a/**", permission: "a:b"),
      V1.RouteRule(path: "/*", permission: "c:d"),
    ]
    tenant.database = FleetDatabase(connectionString: "postgres://h/db?x=y", username: "u")
    tenant.schemaName = "acme_1"
    tenant.tenantIdentifier = "0x1F"
    tenant.roles = [
      FleetRole(id: "reader", title: "R", description: "d", permissions: ["a:*"]),
      FleetRole(
        id: "chief", deniedPermissions: ["*:delete", "b:c"], parents: ["reader", "tenant-viewer"],
        excludedRoles: ["clerk"]),
      FleetRole(id: "clerk", excludedRoles: ["chief"]),
    ]
    tenant.assignments = [
      FleetAssignment(
        subject: "user:al", role: "reader",
        expireTime: GoogleProtobuf.Timestamp(seconds: 4_000_000_000), resource: "a/b c/*",
        condition: "context.a == 'yes'\n  && true\n", reason: " no: # \u{FFFD}"),
      FleetAssignment(subject: "user:al", role: "reader", resource: "a"),
      FleetAssignment(subject: "user:al", role: "reader", condition: "true"),
      FleetAssignment(subject: "user:al", role: "reader"),
    ]
    let text = try FleetWriter.text(tenant)
    let (documents, problems) = try read(text + (try FleetWriter.text(FleetTenant(slug: "b"))))
    #expect(problems == [])
    let found = try #require(documents.first?.tenant)
    #expect(try FleetWriter.text(found) == text)
    #expect(found.message == tenant.message)
    #expect(found.roles?.map(\.message) == tenant.roles?.map(\.message))
    #expect(found.assignments?.map(\.message) == tenant.assignments?.map(\.message))
    #expect(found.displayName?.utf8.elementsEqual(tenant.displayName?.utf8 ?? "".utf8) == true)
    #expect(documents.map(\.tenant.slug) == ["acme", "b"])
    #expect(!text.unicodeScalars.contains("\u{202E}"))
  }

  @Test func whatIsTextToSomeOnly() throws {
    for word in ["yes", "No", "ON", "0x1F", "1_000", "0o7", "012", ".5", "+1", ".inf", "1:30"] {
      let (_, problems) = try read("\(head)settings:\n  a: \(word)\n")
      #expect(
        problems.count == 1 && problems[0].hasPrefix("f:5: settings.a: '\(word)' is"), "\(word)")
      // Where a text is expected it is one; quoted it is one everywhere.
      let (documents, none) = try read("\(head)labels: {a: \(word)}\nsettings: {a: '\(word)'}\n")
      #expect(none == [])
      #expect(documents.first?.tenant.labels == ["a": word])
      #expect(documents.first?.tenant.settings == ["a": .string(word)])
    }
  }

  @Test func problemsHaveLines() throws {
    let (documents, problems) = try read(
      """
      \(head)kind2: x
      settings:
        a:
          - [1, {b: yes}]
        c: 1e999
      featureFlags:
        f: "true"
      limits:
      - {requests: 1, period: hour, size: 2}
      """)
    #expect(documents.count == 1)
    #expect(
      problems == [
        "f:4: kind2: there is no such member",
        "f:7: settings.a[0][1].b: 'yes' is a text to some and not to others: quote it, or write it as JSON does",
        "f:8: settings.c: the number is too large",
        "f:10: featureFlags.f: true or false is expected",
        "f:12: limits[0].size: there is no such member",
      ])
    #expect(documents.first?.line(of: "settings.a[0][9].z") == 7)
    #expect(documents.first?.line(of: "limits[0].name") == 12)
    #expect(documents.first?.line(of: "nothing") == 1)
  }

  @Test func rolesAndAssignmentsHaveLines() throws {
    let (_, problems) = try read(
      """
      \(head)roles:
      - id: a
        deniedPermissions: [x]
        parents: [A, a]
        inherits: [b]
      - id: b
        parents:
        - d
      - id: c
        parents: [b, other]
      - id: d
        parents: [c]
      - id: e
        parents: [d]
      assignments:
      - {subject: s, role: a, resource: 'x/*'}
      - {subject: s, role: a, resource: x}
      - {subject: s, role: a}
      - {subject: s, role: a, resource: ''}
      - {subject: s, role: a, resource: '*'}
      - subject: s
        role: b
        condition: |
          true
            && missing
      - {subject: s, role: c, condition: ''}
      """)
    #expect(
      problems == [
        "f:6: roles[0].deniedPermissions[0]: 'x' is not resource:action",
        "f:7: roles[0].parents[0]: 'A' is not the id of a role",
        "f:7: roles[0].parents[1]: another role is expected",
        "f:8: roles[0].inherits: there is no such member",
        "f:10: roles[1].parents: the role inherits from itself: b from d from c from b",
        "f:20: assignments[1]: 's' has the role 'a' twice, for the same resources and condition",
        "f:22: assignments[3].resource: TYPE, TYPE/PATH or TYPE/PATH/* is expected",
        "f:23: assignments[4].resource: TYPE, TYPE/PATH or TYPE/PATH/* is expected",
        "f:26: assignments[5].condition: 2:6: there is no 'missing'",
        "f:29: assignments[6].condition: 1:1: found the end; expected a value",
      ])
  }

  @Test func whatTheServerMeans() {
    for (theirs, ours) in [
      ("tenant.labels", "labels"), ("tenant.configuration.limits.plan", "plan"),
      ("configuration.custom_settings.a.b", "settings.a.b"),
      ("tenant.configuration.routes[1].path", "routes[1].path"),
      ("configuration.placement.region", "region"), ("tenant.isolation_model", "isolation"),
      ("configuration.database.connection_string", "database.connectionString"),
    ] {
      #expect(FleetDocument.member(of: theirs) == ours)
    }
    #expect(FleetDocument.member(of: "role.permissions[2]", .role(1)) == "roles[1].permissions[2]")
    #expect(FleetDocument.member(of: "role_id", .role(0)) == "roles[0].id")
    #expect(FleetDocument.member(of: "request_id") == nil)
  }

  @Test func requestsHaveOneIdEach() throws {
    var tenant = FleetTenant(slug: "acme")
    tenant.labels = ["a": "b", "c": "d"]
    let id = try FleetWrite.requestID(of: tenant)
    #expect(try FleetWrite.requestID(of: tenant) == id)
    #expect(
      id.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/)
        != nil)
    tenant.labels = ["a": "b"]
    #expect(try FleetWrite.requestID(of: tenant) != id)
  }

  @Test func commandLines() throws {
    for wrong in [
      ["-f", "x", "--prune"], ["-f", "x", "--selector", "a"], ["-f", "x", "--parallel", "0"],
      ["-f", "x", "--parallel", "65"], [],
    ] {
      #expect(throws: (any Error).self) { try ApplyCommand.parse(wrong) }
    }
    let options = try ApplyCommand.parse(["-f", "a", "-f", "b", "--dry-run"]).options
    #expect(options.file == ["a", "b"] && options.plan)
    for wrong in [[], ["a", "--all"], ["--all", "--filter", "x"]] {
      #expect(throws: (any Error).self) { try ExportTenantsCommand.parse(wrong) }
    }
  }
}
