import Tenancy

/// Values for tests.
enum Sample {
  static func id(_ number: UInt64) -> TenantID {
    // Numbers in the upper half as well, so that a signed comparison would show.
    TenantID(high: number << 58 | 0x7000, low: 0b10 << 62 | number)
  }

  static func slug(_ text: String) -> Slug {
    guard let slug = Slug(parsing: text) else { preconditionFailure("not a slug: \(text)") }
    return slug
  }

  static func tenant(_ number: UInt64) -> Tenant {
    Tenant(
      id: id(number), slug: slug("tenant-\(number)"), displayName: "Tenant \(number)",
      state: .pending, isolationModel: .schema, configuration: TenantConfiguration(), version: 1,
      epoch: 1, createTime: Timestamp(nanoseconds: 1), updateTime: Timestamp(nanoseconds: 2))
  }

  static let extremeTenant = Tenant(
    id: TenantID(high: 0xFFFF_FFFF_FFFF_7FFF, low: 0xBFFF_FFFF_FFFF_FFFF),
    slug: slug(String(repeating: "z", count: 63)),
    displayName: "Ünï\u{0}\u{7F} \u{1F9EA} '\"\\/;--", state: .deleted, isolationModel: .hybrid,
    configuration: TenantConfiguration(
      database: DatabaseConfiguration(
        connectionString: "postgres://user:hidden-in-url@db/x", username: "u\u{2028}",
        password: SecretReference(version: .max, key: KeyID(high: .max, low: 0))),
      schema: SchemaConfiguration(schemaName: ""),
      shared: SharedConfiguration(tenantIdentifier: "t"),
      customSettings: [
        "": .null, "a/b": .bool(true), "one": .number(1), "text": .string("1"),
        "array": .array([.null, .bool(false), .number(0), .string(""), .array([]), .object([:])]),
        "object": .object(["camelCase": .object(["snake_case": .number(-1.5)])]),
      ],
      featureFlags: ["on": true, "off": false, "": false]),
    version: .max, epoch: UInt64(Int64.max) + 1, createTime: Timestamp(nanoseconds: .min),
    updateTime: Timestamp(nanoseconds: .max), deleteTime: Timestamp(nanoseconds: 0),
    purgeTime: Timestamp(nanoseconds: -1))

  static func role(_ id: String) -> Role {
    Role(
      id: id, title: "Role", summary: "", permissions: [], version: 1,
      createTime: Timestamp(nanoseconds: 1), updateTime: Timestamp(nanoseconds: 1))
  }

  static func assignment(_ id: String) -> RoleAssignment {
    RoleAssignment(
      id: id, subject: "user:1", role: "admin", createTime: Timestamp(nanoseconds: 1),
      expireTime: nil)
  }

  static func group(_ id: String) -> SubjectGroup {
    SubjectGroup(
      id: id, title: "Group", summary: "", version: 1, createTime: Timestamp(nanoseconds: 1),
      updateTime: Timestamp(nanoseconds: 1))
  }

  static func member(_ id: String, _ member: String = "user:1", of group: String = "eng")
    -> GroupMember
  {
    GroupMember(
      id: id, group: group, member: member, createTime: Timestamp(nanoseconds: 1), expireTime: nil)
  }

  static func request(_ id: String, tenant: TenantID, at time: Int64) -> RememberedRequest {
    RememberedRequest(
      actor: "uid:0", requestID: id, digest: "d", tenant: tenant,
      time: Timestamp(nanoseconds: time))
  }

  static func entry(_ revision: UInt64, _ changes: [Change]) -> LogEntry {
    LogEntry(
      revision: revision, time: Timestamp(nanoseconds: 1), actor: "uid:0", action: "test",
      tenants: [], changes: changes)
  }
}
