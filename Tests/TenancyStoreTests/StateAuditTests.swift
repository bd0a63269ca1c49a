import TenancyDatabase
import Foundation
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// Files that others have changed: each change alone is found, and the row is named.
@Suite struct StateAuditTests {
  private let directory: TemporaryDirectory
  private let path: String

  private static let first = Sample.id(1)
  private static let second = Sample.id(2)
  private static let assignment = Sample.id(7).description
  private static let member = Sample.id(9).description
  private static let user = Sample.id(10).description

  /// A store with a row of each kind, as commands make them.
  init() throws {
    directory = try TemporaryDirectory()
    path = directory.file("control.db")
    let store = try SQLiteStore(path: path)
    defer { store.close() }
    var (first, second) = (Sample.tenant(1), Sample.tenant(2))
    first.configuration.schema = SchemaConfiguration(schemaName: "one")
    second.isolationModel = .hybrid
    second.configuration.schema = SchemaConfiguration(schemaName: "two")
    second.configuration.shared = SharedConfiguration(tenantIdentifier: "second")
    second.state = .deleted
    second.deleteTime = Timestamp(nanoseconds: 3)
    second.purgeTime = Timestamp(nanoseconds: 4)
    var role = Sample.role("clerk")
    role.permissions = ["a:b", "c:*"]
    try store.append([
      Sample.entry(1, [.putTenant(first)] + Self.names(first, "tenant-1", schema: "one")),
      Sample.entry(
        2,
        [.putTenant(second)] + Self.names(second, "tenant-2", schema: "two") + [
          .reserveName(ReservedName(.tenantIdentifier, "second"), second.id),
          .reserveName(ReservedName(.slug, "former"), second.id),
        ]),
      Sample.entry(
        3,
        [
          .putRole(first.id, role),
          .putAssignment(first.id, Self.assign("clerk", id: Self.assignment)),
          .putAssignment(first.id, Self.assign("tenant-admin", id: Sample.id(8).description)),
          .putGroup(first.id, Sample.group("eng")), .putGroup(first.id, Sample.group("all")),
          .putGroupMember(first.id, Sample.member(Self.member, "group:eng", of: "all")),
          .putGroupMember(first.id, Sample.member(Self.user, "user:1", of: "eng")),
          .putProvisioningStep(first.id, name: "create_schema"),
          .rememberRequest(
            RememberedRequest(
              actor: "uid:0", requestID: "r", digest: String(repeating: "0a", count: 32),
              tenant: first.id, time: Timestamp(nanoseconds: 1))),
        ]),
    ])
  }

  private static func names(_ tenant: Tenant, _ slug: String, schema: String) -> [Change] {
    [
      .reserveName(ReservedName(.slug, slug), tenant.id),
      .reserveName(ReservedName(.schema, schema), tenant.id),
    ]
  }

  private static func assign(_ role: String, id: String) -> RoleAssignment {
    RoleAssignment(
      id: id, subject: "user:1", role: role, createTime: Timestamp(nanoseconds: 1), expireTime: nil)
  }

  @Test func whatCommandsMakeIsRead() throws {
    let store = try SQLiteStore(path: path)
    defer { store.close() }
    #expect(try store.load().changes.count > 10)
  }

  /// A purge takes roles away in parts, those before others that name them.
  @Test func whatAPurgeHasLeftIsRead() throws {
    let (left, other) = (Sample.id(3), Sample.id(4))
    var role = Sample.role("z")
    role.parents = ["a"]
    for (id, state) in [(left, TenantState.purging), (other, .active)] {
      var tenant = Sample.tenant(id == left ? 3 : 4)
      tenant.state = state
      tenant.isolationModel = .database
      if state == .purging {
        tenant.deleteTime = Timestamp(nanoseconds: 3)
        tenant.purgeTime = Timestamp(nanoseconds: 4)
      }
      var audit = StateAudit(revision: 9)
      try audit.check([.putTenant(tenant)])
      try audit.check([.reserveName(ReservedName(.slug, tenant.slug.text), id)])
      try audit.check([.putRole(id, role)])
      if state == .purging {
        try audit.finish()
      } else {
        expectError(.corrupt) { try audit.finish() }
      }
    }
  }

  private static let slugOfFirst = "slug/tenant-1"

  @Test(arguments: [
    ("UPDATE tenants SET slug = 'tenant-1'", "tenants", "\(second)"),
    ("UPDATE tenants SET slug = 'other' WHERE id = '\(first)'", "tenants", "\(first)"),
    ("UPDATE tenants SET slug = 'former' WHERE id = '\(first)'", "tenants", "\(first)"),
    ("UPDATE tenants SET version = 0 WHERE id = '\(first)'", "tenants", "\(first)"),
    ("UPDATE tenants SET version = 4 WHERE id = '\(first)'", "tenants", "\(first)"),
    ("UPDATE tenants SET version = -1 WHERE id = '\(first)'", "tenants", "\(first)"),
    ("UPDATE tenants SET epoch = 2 WHERE id = '\(first)'", "tenants", "\(first)"),
    ("UPDATE tenants SET epoch = 0 WHERE id = '\(first)'", "tenants", "\(first)"),
    ("UPDATE tenants SET state = 'deleted' WHERE id = '\(first)'", "tenants", "\(first)"),
    ("UPDATE tenants SET state = 'active' WHERE id = '\(second)'", "tenants", "\(second)"),
    ("UPDATE tenants SET purge_time = NULL WHERE id = '\(second)'", "tenants", "\(second)"),
    ("UPDATE tenants SET isolation_model = 'shared' WHERE id = '\(first)'", "tenants", "\(first)"),
    (
      "UPDATE tenants SET isolation_model = 'database' WHERE id = '\(first)'", "tenants", "\(first)"
    ),
    (
      "UPDATE tenants SET configuration = json_set(configuration, '$.schema.schemaName', 'two')"
        + " WHERE id = '\(first)'", "tenants", "\(first)"
    ),
    (
      "UPDATE tenants SET configuration = json_set(configuration, '$.shared.tenantIdentifier', 'x')"
        + " WHERE id = '\(second)'", "tenants", "\(second)"
    ),
    ("DELETE FROM reserved_names WHERE name = 'tenant-1'", "tenants", "\(first)"),
    ("DELETE FROM reserved_names WHERE name = 'one'", "tenants", "\(first)"),
    ("DELETE FROM reserved_names WHERE kind = 'tenant_identifier'", "tenants", "\(second)"),
    (
      "UPDATE reserved_names SET tenant_id = '\(second)' WHERE name = 'tenant-1'", "tenants",
      "\(first)"
    ),
    (
      "UPDATE reserved_names SET tenant_id = '\(Sample.id(9))' WHERE name = 'former'",
      "reserved_names", "slug/former"
    ),
    ("UPDATE reserved_names SET name = 'NO' WHERE name = 'former'", "reserved_names", "slug/NO"),
    (
      "UPDATE reserved_names SET name = '1x' WHERE kind = 'schema' AND name = 'one'",
      "reserved_names", "schema/1x"
    ),
    (
      "UPDATE reserved_names SET name = '' WHERE kind = 'tenant_identifier'", "reserved_names",
      "tenant_identifier/"
    ),
    (
      "UPDATE reserved_names SET retired = 1 WHERE name = 'tenant-1'", "reserved_names", slugOfFirst
    ),
    ("UPDATE roles SET tenant_id = '\(Sample.id(9))'", "roles", "\(Sample.id(9))/clerk"),
    ("UPDATE roles SET id = 'tenant-admin'", "roles", "\(first)/tenant-admin"),
    ("UPDATE roles SET id = 'No Role'", "roles", "\(first)/No Role"),
    (#"UPDATE roles SET rules = '{"parents":["nobody"]}'"#, "roles", "\(first)/clerk"),
    (#"UPDATE roles SET rules = '{"exclusions":["nobody"]}'"#, "roles", "\(first)/clerk"),
    (#"UPDATE roles SET rules = '{"denials":["b:c","a:b"]}'"#, "roles", "\(first)/clerk"),
    (#"UPDATE roles SET rules = '{"denials":["a"]}'"#, "roles", "\(first)/clerk"),
    ("UPDATE roles SET version = 9", "roles", "\(first)/clerk"),
    ("UPDATE roles SET permissions = '[\"*\"]'", "roles", "\(first)/clerk"),
    ("UPDATE roles SET permissions = '[\"c:*\",\"a:b\"]'", "roles", "\(first)/clerk"),
    ("UPDATE roles SET permissions = '[\"a:b\",\"a:b\"]'", "roles", "\(first)/clerk"),
    ("DELETE FROM roles", "assignments", "\(first)/\(assignment)"),
    (
      "UPDATE assignments SET tenant_id = '\(second)' WHERE role = 'clerk'", "assignments",
      "\(second)/\(assignment)"
    ),
    (
      "UPDATE assignments SET tenant_id = '\(Sample.id(9))' WHERE role = 'clerk'", "assignments",
      "\(Sample.id(9))/\(assignment)"
    ),
    ("UPDATE assignments SET id = 'x' WHERE role = 'clerk'", "assignments", "\(first)/x"),
    (
      "UPDATE assignments SET subject = 'a b' WHERE role = 'clerk'", "assignments",
      "\(first)/\(assignment)"
    ),
    ("UPDATE groups SET id = 'everyone' WHERE id = 'all'", "groups", "\(first)/everyone"),
    ("UPDATE groups SET version = 9 WHERE id = 'all'", "groups", "\(first)/all"),
    (
      "UPDATE groups SET tenant_id = '\(Sample.id(9))' WHERE id = 'all'", "groups",
      "\(Sample.id(9))/all"
    ),
    ("DELETE FROM groups WHERE id = 'all'", "group_members", "\(first)/\(member)"),
    ("DELETE FROM groups WHERE id = 'eng'", "group_members", "\(first)/\(member)"),
    ("UPDATE group_members SET id = 'x' WHERE id = '\(user)'", "group_members", "\(first)/x"),
    (
      "UPDATE group_members SET member = 'a b' WHERE id = '\(user)'", "group_members",
      "\(first)/\(user)"
    ),
    (
      "UPDATE group_members SET member = 'group:all' WHERE id = '\(user)'", "group_members",
      "\(first)/\(member)"
    ),
    (
      "UPDATE group_members SET expire_time = 5 WHERE id = '\(member)'", "group_members",
      "\(first)/\(member)"
    ),
    (
      "UPDATE provisioning_steps SET tenant_id = '\(Sample.id(9))'", "provisioning_steps",
      "\(Sample.id(9))/create_schema"
    ),
    ("UPDATE requests SET tenant_id = '\(Sample.id(9))'", "requests", "uid:0/r"),
    ("UPDATE requests SET digest = 'x'", "requests", "uid:0/r"),
    ("DELETE FROM tenants WHERE id = '\(second)'", "reserved_names", "schema/two"),
    ("DELETE FROM log WHERE revision = 1", "log", "2"),
  ])
  func whatNoCommandMakesIsRefused(_ sql: String, _ table: String, _ row: String) throws {
    try execute(sql)
    let doctored = try SQLiteStore(path: path)
    defer { doctored.close() }
    let error = #expect(throws: StoreError.self) { try doctored.load() }
    #expect(error?.code == .corrupt)
    #expect(
      error?.description.hasPrefix("table \(table), row \(row): ") == true,
      "\(error?.description ?? "")")
  }

  @Test(arguments: [
    "CREATE TRIGGER t AFTER INSERT ON log BEGIN UPDATE tenants SET slug = 'x'; END",
    "CREATE VIEW t AS SELECT * FROM tenants",
  ])
  func codeInTheFileIsRefused(_ sql: String) throws {
    try execute(sql)
    expectError(.corrupt) { _ = try SQLiteStore(path: path) }
  }

  private func execute(_ sql: String) throws {
    let connection = try SQLiteConnection(path: path)
    try connection.execute("PRAGMA foreign_keys = OFF")
    try connection.execute(sql)
  }
}
