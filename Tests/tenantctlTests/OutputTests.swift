import TenancyWire
import Testing

@testable import tenantctl

@Suite struct OutputTests {
  @Test func tables() {
    var table = Table("A", "LONG", "LAST")
    table.add("wide cell", "", "x")
    table.add("é", "b", "")
    #expect(
      table.lines() == [
        "A          LONG  LAST",
        "wide cell  -     x",
        "é          b     -",
      ])
  }

  @Test func fields() {
    var fields = Fields()
    fields.add("One", "1")
    fields.add("Empty", "")
    fields.add("Many", each: ["a", "b"])
    #expect(fields.lines() == ["One:   1", "Many:  a", "       b"])
  }

  @Test func terminalsAreSafe() {
    #expect(Printable.text("a\u{1b}[31m\nb\u{202e}") == "a\\u{1b}[31m\\u{a}b\\u{202e}")
    #expect(Printable.text("Zürich – ☂") == "Zürich – ☂")
  }

  @Test func enums() {
    #expect(V1.TenantState.provisionFailed.shortName == "PROVISION_FAILED")
    #expect(V1.TenantState.unspecified.shortName == "")
    #expect(V1.TenantState(rawValue: 99).shortName == "99")
    #expect(V1.ResolutionStrategy.default.shortName == "DEFAULT")
  }

  @Test func tenant() {
    let tenant = V1.Tenant(
      name: "tenants/1", slug: "acme", displayName: "Acme", state: .active,
      isolationModel: .database,
      configuration: V1.TenantConfiguration(
        database: V1.DatabaseConfig(connectionString: "db", passwordSet: true),
        customSettings: ["b": .bool(true), "a": .string("x")], featureFlags: ["f": false]),
      etag: "e", epoch: 2,
      createTime: GoogleProtobuf.Timestamp(seconds: 1_769_851_800, nanos: 250_000_000))
    #expect(
      tenant.lines() == [
        "Name:          tenants/1",
        "Slug:          acme",
        "Display name:  Acme",
        "State:         ACTIVE",
        "Isolation:     DATABASE",
        "Database:      db",
        "Password:      (stored)",
        "Settings:      a = \"x\"",
        "               b = true",
        "Flags:         f = false",
        "Epoch:         2",
        "Etag:          e",
        "Created:       2026-01-31T09:30:00Z",
      ])
  }

  @Test func lists() {
    let tenants = [
      V1.Tenant(id: "1", slug: "acme", displayName: "A", state: .pending),
      V1.Tenant(id: "2", slug: "acme-works", displayName: "B\u{202E}", state: .active),
    ]
    let columns = TenantColumn.usual
    var table = GrowingTable(columns.map(\.header), expendable: TenantColumn.expendable)
    func rows(_ tenants: ArraySlice<V1.Tenant>) -> [[String]] {
      tenants.map { tenant in columns.map { $0.value(tenant) } }
    }
    #expect(
      table.lines(rows(tenants[..<1]), width: nil) == [
        "SLUG  STATE    ISOLATION  CREATED  ID  DISPLAY NAME",
        "acme  PENDING  -          -        1   A",
      ])
    // What comes later may be wider, and is told from what steers terminals.
    #expect(
      table.lines(rows(tenants[1...]), width: nil) == [
        "acme-works  ACTIVE   -          -        2   B\\u{202e}"
      ])
    #expect(
      table.lines(rows(tenants[..<1]), width: 20) == ["acme        PENDING…"])
    var narrow = GrowingTable(columns.map(\.header), expendable: TenantColumn.expendable)
    #expect(narrow.lines([], width: 45) == ["SLUG  STATE  ISOLATION  ID  DISPLAY NAME"])
  }

  @Test func columns() throws {
    let tenant = V1.Tenant(slug: "acme", epoch: 3, labels: ["a.b/c": "x"])
    let columns = try TenantColumn.parse("epoch,labels.a.b/c,settings.s")
    #expect(columns.map(\.header) == ["EPOCH", "labels.a.b/c", "settings.s"])
    #expect(columns.map { $0.value(tenant) } == ["3", "x", ""])
    for wrong in ["", "slug,", "labels.", "color", "Slug"] {
      #expect(throws: UsageError.self) { try TenantColumn.parse(wrong) }
    }
  }

  @Test func resolution() {
    let answer = V1.ResolveTenantResponse(
      tenant: V1.ResolvedTenant(
        name: "tenants/1", slug: "acme", displayName: "A", state: .active, isolationModel: .shared,
        epoch: 1, tenantIdentifier: "t1"),
      strategy: .path,
      explanation: [
        V1.ResolutionFinding(strategy: .path, value: "acme", decided: true),
        V1.ResolutionFinding(strategy: .header),
      ])
    #expect(
      answer.lines().suffix(4) == [
        "Tenant column:  t1",
        "Decided by:     PATH",
        "Explanation:    PATH    acme        <- decided",
        "                HEADER  named none",
      ])
  }

  @Test func explanations() {
    let refused = V1.ExplainResolutionResponse(
      findings: [
        V1.ResolutionFinding(strategy: .path, value: "acme", statement: .named),
        V1.ResolutionFinding(strategy: .subdomain, statement: .malformed),
      ],
      verdict: V1.ResolutionVerdict(
        rule: .malformedSelector, code: 3, reason: "MALFORMED_SELECTOR", message: "host: no"))
    #expect(
      refused.lines() == [
        "Resolves to:  no tenant",
        "Rule:         MALFORMED_SELECTOR",
        "Status:       INVALID_ARGUMENT",
        "Reason:       MALFORMED_SELECTOR",
        "Message:      host: no",
        "",
        "SOURCE     SAID       NAME  DECIDED",
        "PATH       named      acme  -",
        "SUBDOMAIN  malformed  -     -",
      ])
    // The zero value resolves to nothing.
    #expect(V1.ExplainResolutionResponse().lines().first == "Resolves to:  no tenant")
  }

  @Test func checks() {
    #expect(
      V1.CheckResponse(allowed: true, reason: .role, role: "editor").lines()
        == ["allowed: by the role editor"])
    #expect(
      V1.CheckResponse(reason: .denied, role: "suspended").lines()
        == ["denied: the role suspended denies it"])
    #expect(V1.CheckResponse(reason: .denied).lines() == ["denied: a role denies it"])
    // The zero value denies.
    #expect(V1.CheckResponse().lines() == ["denied"])
  }

  @Test func aTableFitsIntoTheTerminal() {
    var table = Table("SLUG", "CREATED", "NAME")
    table.add("acme", "2026-01-01", String(repeating: "x", count: 60))
    #expect(table.lines(width: nil, expendable: "CREATED")[1].count == 78)
    #expect(table.lines(width: 78, expendable: "CREATED")[1].contains("2026"))
    #expect(table.lines(width: 70, expendable: "CREATED")[1].count == 66)
    #expect(
      table.lines(width: 20, expendable: "CREATED") == ["SLUG  NAME", "acme  xxxxxxxxxxxxx…"])
  }
}
