internal import Tenancy

/// Where the two databases differ in their SQL.
enum SQLDialect {
  case sqlite, postgreSQL

  /// The server's time, or this machine's where the store is in a file, in milliseconds since 1970. It moves on
  /// within a transaction.
  var nowMilliseconds: String {
    switch self {
    case .sqlite: "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    case .postgreSQL: "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    }
  }

  /// The placeholder of a parameter, counted from 1.
  func parameter(_ number: Int) -> String {
    switch self {
    case .sqlite: "?\(number)"
    case .postgreSQL: "$\(number)"
    }
  }
}

/// One table, for both databases: what statements on it are made from. The migrations of each make it.
struct Table {
  struct Column {
    enum ColumnType { case integer, text, blob }
    let name: String
    let type: ColumnType
    var isNullable = false

    static func text(_ name: String) -> Column { Column(name: name, type: .text) }
    static func integer(_ name: String) -> Column { Column(name: name, type: .integer) }
    static func blob(_ name: String) -> Column { Column(name: name, type: .blob) }
    static func nullable(_ column: Column) -> Column {
      Column(name: column.name, type: column.type, isNullable: true)
    }
  }

  let name: String
  /// Those that tell a row from others come first.
  let columns: [Column]
  let keyCount: Int
  /// Columns with a default that no put writes; they come last.
  var kept: [Column] = []

  var key: [String] { columns.prefix(keyCount).map(\.name) }

  /// All rows, in whatever order, of a table that does not have its last column yet, which is null.
  var selectWithoutLast: String {
    "SELECT \(list(columns.dropLast().map(\.name))), NULL FROM \(name)"
  }

  /// All rows, in whatever order.
  var select: String { "SELECT \(list(columns.map(\.name))) FROM \(name)" }

  /// All rows, in order of their keys.
  var selectAll: String { select + inOrder }

  var inOrder: String { " ORDER BY \(list(key))" }

  func insert(_ dialect: SQLDialect) -> String {
    let parameters = (1...columns.count).map(dialect.parameter)
    return "INSERT INTO \(name) (\(list(columns.map(\.name)))) VALUES (\(list(parameters)))"
  }

  /// Inserts a row or replaces the one of the same key. It is updated in place: SQLite's REPLACE would
  /// delete it first and trip over the foreign keys that point to it.
  func put(_ dialect: SQLDialect) -> String {
    let others = columns.dropFirst(keyCount).map { "\($0.name) = excluded.\($0.name)" }
    let action = others.isEmpty ? "NOTHING" : "UPDATE SET \(list(others))"
    return "\(insert(dialect)) ON CONFLICT (\(list(key))) DO \(action)"
  }

  /// Deletes the rows in which these columns have the values of the parameters.
  func delete(_ dialect: SQLDialect, where columns: String...) -> String {
    let conditions = columns.enumerated().map { "\($1) = \(dialect.parameter($0 + 1))" }
    return "DELETE FROM \(name) WHERE \(conditions.joined(separator: " AND "))"
  }

  private func list(_ parts: [String]) -> String { parts.joined(separator: ", ") }
}

/// Times are nanoseconds since 1970; versions and epochs are the signed integers of the same bits.
extension Table {
  static let log = Table(
    name: "log",
    columns: [
      .integer("revision"), .integer("time"), .text("actor"), .text("action"),
      .nullable(.text("tenant_id")), .text("changes"), .integer("form"),
      .nullable(.text("tenant_ids")),
    ], keyCount: 1)

  /// One row: from which revision on the log can be followed, and up to which it is removed.
  static let logFloor = Table(
    name: "log_floor", columns: [.integer("id"), .integer("revision"), .integer("removed")],
    keyCount: 1)

  static let tenants = Table(
    name: "tenants",
    columns: [
      .text("id"), .text("slug"), .text("display_name"), .text("state"), .text("isolation_model"),
      .text("configuration"), .integer("version"), .integer("epoch"), .integer("create_time"),
      .integer("update_time"), .nullable(.integer("delete_time")),
      .nullable(.integer("purge_time")), .text("state_reason"),
      // JSON, see `TokensDocument`: null for nothing.
      .nullable(.text("token_keys")),
    ], keyCount: 1)

  static let reservedNames = Table(
    name: "reserved_names", columns: [.text("kind"), .text("name"), .text("tenant_id")],
    keyCount: 2, kept: [.integer("retired")])

  static let roles = Table(
    name: "roles",
    columns: [
      .text("tenant_id"), .text("id"), .text("title"), .text("summary"), .text("permissions"),
      .integer("version"), .integer("create_time"), .integer("update_time"),
      // JSON, see `RoleRulesDocument`: null for nothing.
      .nullable(.text("rules")),
    ], keyCount: 2)

  static let assignments = Table(
    name: "assignments",
    columns: [
      .text("tenant_id"), .text("id"), .text("subject"), .text("role"), .integer("create_time"),
      .nullable(.integer("expire_time")),
      // JSON, see `AssignmentTermsDocument`: null for nothing.
      .nullable(.text("terms")),
    ], keyCount: 2)

  static let provisioningSteps = Table(
    name: "provisioning_steps", columns: [.text("tenant_id"), .text("name")], keyCount: 2)

  static let requests = Table(
    name: "requests",
    columns: [
      .text("payer"), .text("actor"), .text("request_id"), .text("digest"),
      .nullable(.text("tenant_id")), .text("resource"), .integer("time"),
    ], keyCount: 3)

  /// A lease's fencing number is the revision of the entry that took it. Times are milliseconds since 1970 by
  /// the database's clock.
  static let leases = Table(
    name: "leases",
    columns: [
      .text("name"), .text("holder"), .integer("fencing_number"), .integer("expire_time"),
    ], keyCount: 1)

  /// Wrapped. One is active at most.
  static let dataKeys = Table(
    name: "data_keys",
    columns: [
      .text("id"), .text("master_key_id"), .blob("wrapped"), .integer("create_time"),
      .text("state"),
    ], keyCount: 1)

  static let secrets = Table(
    name: "secrets",
    columns: [
      .text("tenant_id"), .text("purpose"), .integer("version"), .text("key_id"), .blob("sealed"),
    ], keyCount: 2)

  /// `target` is empty where the whole tenant is meant.
  static let revocations = Table(
    name: "revocations",
    columns: [
      .text("tenant_id"), .text("kind"), .text("target"), .integer("issued_before"),
      .integer("expire_time"), .text("reason"),
    ], keyCount: 3)

  /// `tenant_id` is null where it is the platform's; `lifetime` in seconds.
  static let workloadEntries = Table(
    name: "workload_entries",
    columns: [
      .text("id"), .nullable(.text("tenant_id")), .text("path"), .text("selectors"),
      .integer("lifetime"), .text("hint"), .integer("create_time"),
    ], keyCount: 1)

  /// `verify_time` and `method` are null for a claim.
  static let tenantDomains = Table(
    name: "tenant_domains",
    columns: [
      .text("tenant_id"), .text("name"), .text("token"), .text("proof"), .integer("claim_time"),
      .nullable(.integer("verify_time")), .nullable(.text("method")),
    ], keyCount: 2)

  /// `document` is a `SigningAuthority` as the log has it.
  static let signingAuthorities = Table(
    name: "signing_authorities", columns: [.text("id"), .text("document")], keyCount: 1)

  /// `document` is a `ConfigurationItem` as the log has it.
  static let configurationItems = Table(
    name: "configuration_items", columns: [.text("kind"), .text("id"), .text("document")],
    keyCount: 2)

  /// `document` is a `TenantOperation` as the log has it.
  static let tenantOperations = Table(
    name: "tenant_operations",
    columns: [.text("tenant_id"), .integer("number"), .text("document")],
    keyCount: 2)

  /// Sealed, of the platform itself.
  static let platformSecrets = Table(
    name: "platform_secrets",
    columns: [.text("purpose"), .integer("version"), .text("key_id"), .blob("sealed")],
    keyCount: 1)

  static let all = [
    log, logFloor, tenants, reservedNames, roles, assignments, groups, groupMembers,
    provisioningSteps, requests,
    revocations, workloadEntries, tenantDomains, configurationItems, configurationHistory,
    tenantOperations, signingAuthorities, dataKeys, secrets, platformSecrets, auditRecords,
    auditChains, leases,
  ]
}

extension Table {
  /// Changes no row while another holder has it. The last parameter is for how long it is taken.
  fileprivate static func takeLease(_ dialect: SQLDialect) -> String {
    let now = dialect.nowMilliseconds
    let values = (1...3).map(dialect.parameter) + ["\(now) + \(dialect.parameter(4))"]
    return "INSERT INTO leases (name, holder, fencing_number, expire_time) "
      + "VALUES (\(values.joined(separator: ", "))) ON CONFLICT (name) DO UPDATE SET "
      + "holder = excluded.holder, fencing_number = excluded.fencing_number, "
      + "expire_time = excluded.expire_time "
      + "WHERE leases.expire_time <= \(now) OR leases.holder = excluded.holder "
      + "OR leases.expire_time > \(now) + \(Lease.longest.wholeMilliseconds)"
  }

  /// With how long they last still, those first that expire first.
  static func selectLeases(_ dialect: SQLDialect, limit: Int) -> String {
    "SELECT name, holder, fencing_number, expire_time - \(dialect.nowMilliseconds) FROM leases "
      + "ORDER BY expire_time, name LIMIT \(max(0, limit))"
  }
}

/// What changes the tables: each is compiled once for a connection.
enum StateStatement: Int, CaseIterable {
  case insertEntry
  case raiseFloor
  case removeEntries
  case noteRemoved
  case putTenant
  case reserveName
  case retireSlug
  case putRole
  case deleteRole
  case putAssignment
  case deleteAssignment
  case putGroup
  case deleteGroup
  case putGroupMember
  case deleteGroupMember
  case putStep
  case clearSteps
  case rememberRequest
  case forgetRequests
  case putSecret
  case deleteSecret
  case putDataKey
  case putRevocation
  case forgetRevocations
  case putWorkloadEntry
  case deleteWorkloadEntry
  case putDomain
  case deleteDomain
  case putAuthority
  case deleteAuthority
  case putConfigurationItem
  case deleteConfigurationItem
  case putOperation
  case trimOperations
  case deleteOperations
  case insertEdit
  case trimEdits
  case deleteEdits
  case putPlatformSecret
  case deletePlatformSecret
  case insertAuditRecord
  case noteAuditChain
  case noteAuditBegin
  case moveAuditBegin
  case removeAuditRecords
  case takeLease
  case holdLease
  case releaseLease

  /// Why a statement that changes no row is refused, where that is not a conflict.
  var refusalCode: StoreError.Code {
    switch self {
    case .takeLease: .leaseHeld
    case .holdLease, .releaseLease: .leaseLost
    case .insertEntry, .raiseFloor, .removeEntries, .noteRemoved, .putTenant, .reserveName,
      .retireSlug, .putRole, .deleteRole, .putAssignment, .deleteAssignment, .putGroup,
      .deleteGroup, .putGroupMember, .deleteGroupMember, .putStep, .clearSteps,
      .rememberRequest, .forgetRequests, .putSecret, .deleteSecret, .putDataKey, .putRevocation,
      .forgetRevocations, .putWorkloadEntry, .deleteWorkloadEntry, .putDomain,
      .deleteDomain, .putAuthority, .deleteAuthority, .putConfigurationItem,
      .deleteConfigurationItem, .putOperation, .trimOperations, .deleteOperations, .insertEdit,
      .trimEdits, .deleteEdits, .putPlatformSecret, .deletePlatformSecret, .insertAuditRecord,
      .noteAuditChain, .noteAuditBegin, .moveAuditBegin, .removeAuditRecords:
      .conflict
    }
  }

  func sql(_ dialect: SQLDialect) -> String {
    switch self {
    case .insertEntry: return Table.log.insert(dialect)
    case .raiseFloor:
      let revision = dialect.parameter(1)
      return "UPDATE log_floor SET revision = \(revision) WHERE revision < \(revision)"
    case .removeEntries: return "DELETE FROM log WHERE revision <= \(dialect.parameter(1))"
    case .noteRemoved:
      let revision = dialect.parameter(1)
      // Behind a gap that a restore has left, the log begins where it goes on.
      return """
        UPDATE log_floor SET removed = coalesce((SELECT min(log.revision) - 1 FROM log
            HAVING min(log.revision) <= log_floor.revision), \(revision))
          WHERE removed < \(revision)
        """
    case .putTenant: return Table.tenants.put(dialect)
    case .reserveName:
      // Changes no row when the name is another tenant's.
      return "\(Table.reservedNames.insert(dialect)) ON CONFLICT (kind, name) "
        + "DO UPDATE SET retired = 0 WHERE reserved_names.tenant_id = excluded.tenant_id"
    case .retireSlug:
      return "UPDATE reserved_names SET retired = 1 WHERE kind = 'slug' "
        + "AND name = \(dialect.parameter(1)) AND tenant_id = \(dialect.parameter(2))"
    case .putRole: return Table.roles.put(dialect)
    case .deleteRole: return Table.roles.delete(dialect, where: "tenant_id", "id")
    case .putAssignment: return Table.assignments.put(dialect)
    case .deleteAssignment: return Table.assignments.delete(dialect, where: "tenant_id", "id")
    case .putGroup: return Table.groups.put(dialect)
    case .deleteGroup: return Table.groups.delete(dialect, where: "tenant_id", "id")
    case .putGroupMember: return Table.groupMembers.put(dialect)
    case .deleteGroupMember: return Table.groupMembers.delete(dialect, where: "tenant_id", "id")
    case .putStep: return Table.provisioningSteps.put(dialect)
    case .clearSteps: return Table.provisioningSteps.delete(dialect, where: "tenant_id")
    case .rememberRequest: return Table.requests.put(dialect)
    case .forgetRequests:
      return "DELETE FROM requests WHERE payer = \(dialect.parameter(1)) "
        + "AND time < \(dialect.parameter(2))"
    case .takeLease: return Table.takeLease(dialect)
    case .holdLease:
      return "UPDATE leases SET expire_time = \(dialect.nowMilliseconds) + \(dialect.parameter(3)) "
        + "WHERE name = \(dialect.parameter(1)) AND fencing_number = \(dialect.parameter(2))"
    case .releaseLease: return Table.leases.delete(dialect, where: "name", "fencing_number")
    case .putSecret: return Table.secrets.put(dialect)
    case .deleteSecret: return Table.secrets.delete(dialect, where: "tenant_id", "purpose")
    case .putDataKey: return Table.dataKeys.put(dialect)
    case .putRevocation: return Table.revocations.put(dialect)
    case .forgetRevocations:
      return "DELETE FROM revocations WHERE tenant_id = \(dialect.parameter(1)) "
        + "AND expire_time < \(dialect.parameter(2))"
    case .putWorkloadEntry: return Table.workloadEntries.put(dialect)
    case .deleteWorkloadEntry: return Table.workloadEntries.delete(dialect, where: "id")
    case .putDomain: return Table.tenantDomains.put(dialect)
    case .deleteDomain: return Table.tenantDomains.delete(dialect, where: "tenant_id", "name")
    case .putAuthority: return Table.signingAuthorities.put(dialect)
    case .deleteAuthority: return Table.signingAuthorities.delete(dialect, where: "id")
    case .putConfigurationItem: return Table.configurationItems.put(dialect)
    case .deleteConfigurationItem:
      return Table.configurationItems.delete(dialect, where: "kind", "id")
    case .putOperation: return Table.tenantOperations.put(dialect)
    case .trimOperations:
      let tenant = dialect.parameter(1)
      return "DELETE FROM tenant_operations WHERE tenant_id = \(tenant) AND number < (SELECT "
        + "min(number) FROM (SELECT number FROM tenant_operations WHERE tenant_id = \(tenant) "
        + "ORDER BY number DESC LIMIT \(TenantOperation.maximumKept)) AS kept)"
    case .deleteOperations: return Table.tenantOperations.delete(dialect, where: "tenant_id")
    case .insertEdit: return Table.insertEdit(dialect)
    case .trimEdits: return Table.trimEdits(dialect)
    case .deleteEdits: return Table.configurationHistory.delete(dialect, where: "owner")
    case .putPlatformSecret: return Table.platformSecrets.put(dialect)
    case .deletePlatformSecret: return Table.platformSecrets.delete(dialect, where: "purpose")
    case .insertAuditRecord: return Table.auditRecords.insert(dialect)
    case .noteAuditChain: return Table.noteAuditChain(dialect)
    case .noteAuditBegin: return Table.noteAuditBegin(dialect)
    case .moveAuditBegin: return Table.moveAuditBegin(dialect)
    case .removeAuditRecords:
      return "DELETE FROM audit_records WHERE chain = \(dialect.parameter(1)) "
        + "AND sequence <= \(dialect.parameter(2))"
    }
  }
}
