internal import CTenancySQLite
internal import Glibc
internal import Synchronization
public import Tenancy
import TenancyDatabase

/// The embedded data plane: where tenants' own data lives when there is no database server. A file for
/// each DATABASE tenant, a file for each schema, one for each kind of data that a HYBRID tenant keeps apart, and one file
/// for the rows of all SHARED tenants.
/// Blocks; thread-safe.
public final class SQLiteDataPlane: DataPlane {
  /// Raw values are recorded in the control plane: they never change.
  private enum Step: String {
    case createDatabase = "create_database"
    case createSchema = "create_schema"
    case registerShared = "register_shared"
    /// With `/` and the kind of data.
    case createCategory = "create_category"
  }

  private let directory: String
  public let place: String?
  /// The shared file has one writer at a time.
  private let shared = Mutex(())

  /// - Parameters:
  ///   - directory: where the files go; made when missing, mode 0700.
  ///   - isOneOfSeveral: whether other nodes of the store have directories of their own. Nodes that share one,
  ///     by a file system of theirs, are at one place.
  /// - Throws: `StoreError`.
  public init(directory: String, isOneOfSeveral: Bool = false) throws(StoreError) {
    self.directory = directory
    for path in [
      directory, "\(directory)/databases", "\(directory)/schemas", "\(directory)/categories",
    ] {
      guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
        throw StoreError(.unavailable, "cannot make the directory \(path)")
      }
      // Also when it exists: a crash may have come between the two.
      try FileSystem.syncDirectory(of: path)
    }
    place = isOneOfSeveral ? try PlaceFile.read("\(directory)/place") : nil
  }

  public func steps(for tenant: Tenant) -> [String] {
    var steps: [Step] = []
    if tenant.usesDatabase { steps.append(.createDatabase) }
    if tenant.usesSchema { steps.append(.createSchema) }
    if tenant.usesShared { steps.append(.registerShared) }
    return steps.map(\.rawValue)
      + tenant.dataCategories.filter { $0.model != .shared }.map {
        "\(Step.createCategory.rawValue)/\($0.name)"
      }
  }

  public func perform(_ step: String, for tenant: Tenant, _ password: ClearSecret?) throws {
    let parts = step.split(separator: "/", maxSplits: 1).map(String.init)
    switch parts.first.flatMap(Step.init) {
    case .createDatabase: try createFile(databasePath(tenant), owner: tenant)
    case .createSchema: try createFile(try schemaPath(tenant), owner: tenant)
    case .registerShared: try register(tenant)
    case .createCategory:
      guard parts.count == 2, let category = parts.last else {
        throw StoreError(.corrupt, "the provisioning step \(step) is of no category")
      }
      try createDirectory(of: tenant.id)
      try createFile(categoryPath(tenant, category), owner: tenant)
    case nil: throw StoreError(.corrupt, "unknown provisioning step \(step)")
    }
  }

  public func destroy(for tenant: Tenant, permit: () throws -> Void) throws {
    if tenant.usesDatabase { try remove(databasePath(tenant), permit) }
    try removeCategories(of: tenant.id, permit)
    if tenant.usesSchema {
      let path = try schemaPath(tenant)
      if access(path, F_OK) == 0 { try checkOwner(SQLiteConnection(path: path), tenant, path) }
      try remove(path, permit)
    }
    if tenant.usesShared, access(sharedPath, F_OK) == 0 {
      try unregister(tenant, permit)
    }
  }

  public func refusal(for tenant: Tenant) -> String? {
    guard tenant.usesDatabase,
      let database = tenant.configuration.database, !database.connectionString.isEmpty
    else { return nil }
    return "the embedded data plane makes a file for DATABASE isolation and connects to no server: "
      + "a tenant with a connection_string can't be provisioned"
  }

  public func missing(among tenants: [Tenant]) throws -> [TenantID: String] {
    var missing: [TenantID: String] = [:]
    var sharers: [Tenant] = []
    for tenant in tenants {
      if let path = files(of: tenant).first(where: { access($0, F_OK) != 0 }) {
        missing[tenant.id] = "the data file \(path) is missing"
      } else if tenant.usesShared {
        sharers.append(tenant)
      }
    }
    let rows = try missingRows(of: sharers)
    return missing.merging(rows) { file, _ in file }
  }

  /// Of files: what their owners have not yet taken over from their logs is in it.
  public func usage(of tenant: Tenant) throws -> DataUsage {
    var usage = DataUsage(bytes: 0, sessions: nil)
    for path in files(of: tenant) {
      guard let size = FileSystem.size(path) else {
        return DataUsage(problem: "the data file \(path) is missing")
      }
      usage.bytes = usage.bytes.map { $0 + size + (FileSystem.size("\(path)-wal") ?? 0) }
    }
    if tenant.usesShared {
      // What there is of others is in the same pages.
      if tenant.models == [.shared] { usage.bytes = nil }
      usage.problem = "its rows in the shared file are not measured"
    }
    return usage
  }

  // MARK: Files

  /// Those that are the tenant's alone. A tenant without a schema name has none for it.
  private func files(of tenant: Tenant) -> [String] {
    var paths = tenant.usesDatabase ? [databasePath(tenant)] : []
    if tenant.usesSchema, let path = try? schemaPath(tenant) { paths.append(path) }
    let kinds = tenant.dataCategories.filter { $0.model != .shared }
    return paths + kinds.map { categoryPath(tenant, $0.name) }
  }

  private func databasePath(_ tenant: Tenant) -> String {
    "\(directory)/databases/\(tenant.id).sqlite"
  }

  private func schemaPath(_ tenant: Tenant) throws -> String {
    guard let schema = tenant.configuration.schema?.schemaName else {
      throw StoreError(.conflict, "the tenant has no schema name")
    }
    return "\(directory)/schemas/\(schema).sqlite"
  }

  /// Of all that one tenant has: what its kinds of data were is not to be known to take them away.
  private func categoryDirectory(of id: TenantID) -> String { "\(directory)/categories/\(id)" }

  private func categoryPath(_ tenant: Tenant, _ category: String) -> String {
    "\(categoryDirectory(of: tenant.id))/\(category).sqlite"
  }

  private func createDirectory(of id: TenantID) throws {
    let path = categoryDirectory(of: id)
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
      throw StoreError(.unavailable, "cannot make the directory \(path)")
    }
    // Also when it exists: a crash may have come between the two.
    try FileSystem.syncDirectory(of: path)
  }

  private func removeCategories(of id: TenantID, _ permit: () throws -> Void) throws {
    let path = categoryDirectory(of: id)
    guard let names = try FileSystem.names(in: path) else { return }
    for name in names {
      try permit()
      guard unlink("\(path)/\(name)") == 0 || errno == ENOENT else {
        throw StoreError(.unavailable, "cannot remove \(path)/\(name)")
      }
    }
    guard rmdir(path) == 0 || errno == ENOENT else {
      throw StoreError(.unavailable, "cannot remove \(path)")
    }
    try FileSystem.syncDirectory(of: path)
  }

  private var sharedPath: String { "\(directory)/shared.sqlite" }

  /// A database that says whose it is; one that is another tenant's is refused.
  private func createFile(_ path: String, owner tenant: Tenant) throws {
    try touch(path)
    let connection = try SQLiteConnection(path: path)
    try configure(connection)
    try connection.execute(
      "CREATE TABLE IF NOT EXISTS tenancy_owner (tenant_id TEXT PRIMARY KEY) STRICT")
    if try connection.text("SELECT tenant_id FROM tenancy_owner").isEmpty {
      let insert = try connection.prepare("INSERT INTO tenancy_owner (tenant_id) VALUES (?)")
      try insert.run([.text(tenant.id.description)])
    }
    try checkOwner(connection, tenant, path)
  }

  private func checkOwner(_ connection: SQLiteConnection, _ tenant: Tenant, _ path: String) throws {
    // A file without an owner is one whose making was cut short: the name is the tenant's, so it is too.
    let isOwned = try connection.integer(
      "SELECT count(*) FROM sqlite_schema WHERE name = 'tenancy_owner'")
    let owner = isOwned == 0 ? "" : try connection.text("SELECT tenant_id FROM tenancy_owner")
    guard owner.isEmpty || owner == tenant.id.description else {
      throw StoreError(.conflict, "\(path) belongs to another tenant")
    }
  }

  /// Makes an empty file whose name survives a power cut: SQLite syncs the directory for its log only.
  private func touch(_ path: String) throws {
    try FileSystem.createPrivateFile(path: path)
    try FileSystem.syncDirectory(of: path)
  }

  private func remove(_ path: String, _ permit: () throws -> Void) throws {
    for file in [path, "\(path)-wal", "\(path)-shm"] {
      if access(file, F_OK) != 0, errno == ENOENT { continue }
      try permit()
      guard unlink(file) == 0 || errno == ENOENT else {
        throw StoreError(.unavailable, "cannot remove \(file)")
      }
    }
    try FileSystem.syncDirectory(of: path)
  }

  private func configure(_ connection: SQLiteConnection) throws {
    try connection.execute(
      "PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
  }

  // MARK: Shared rows

  private func register(_ tenant: Tenant) throws {
    guard let identifier = tenant.configuration.shared?.tenantIdentifier else {
      throw StoreError(.conflict, "the tenant has no identifier for shared tables")
    }
    try shared.withLock { _ in
      try touch(sharedPath)
      let connection = try SQLiteConnection(path: sharedPath)
      try configure(connection)
      try connection.execute(
        """
        CREATE TABLE IF NOT EXISTS tenancy_tenants (
          tenant_identifier TEXT PRIMARY KEY, tenant_id TEXT NOT NULL UNIQUE) STRICT
        """)
      let insert = try connection.prepare(
        "INSERT OR IGNORE INTO tenancy_tenants (tenant_identifier, tenant_id) VALUES (?, ?)")
      try insert.run([.text(identifier), .text(tenant.id.description)])
      let query = try connection.prepare(
        "SELECT tenant_id FROM tenancy_tenants WHERE tenant_identifier = ?")
      defer { query.reset() }
      try query.bind([.text(identifier)])
      guard try query.step(), query.text(0) == tenant.id.description else {
        throw StoreError(.conflict, "the tenant identifier belongs to another tenant")
      }
    }
  }

  /// Of these tenants those who have no row of their own in the shared file.
  ///
  /// - Throws: what says nothing of the rows: a file that is busy, or can't be opened now.
  private func missingRows(of tenants: [Tenant]) throws -> [TenantID: String] {
    if tenants.isEmpty { return [:] }
    guard access(sharedPath, F_OK) == 0 else {
      return Self.all(tenants, "the data file \(sharedPath) is missing")
    }
    do {
      return try shared.withLock { _ in
        let connection = try SQLiteConnection(path: sharedPath)
        try configure(connection)
        let rows = SharedRows(connection)
        let missing = try rows.search(for: try rows.scan(for: tenants))
        return Self.all(missing, "the tenant's row in the data file \(sharedPath) is missing")
      }
    } catch let error as SQLiteError where error.meansLoss {
      return Self.all(tenants, "the data file \(sharedPath) can't be read: \(error)")
    }
  }

  private static func all(_ tenants: [Tenant], _ why: String) -> [TenantID: String] {
    Dictionary(tenants.map { ($0.id, why) }) { first, _ in first }
  }

  private func unregister(_ tenant: Tenant, _ permit: () throws -> Void) throws {
    try shared.withLock { _ in
      let connection = try SQLiteConnection(path: sharedPath)
      try configure(connection)
      let delete = try connection.prepare("DELETE FROM tenancy_tenants WHERE tenant_id = ?")
      // Before others wait for the file; then it mostly is known still.
      try permit()
      try connection.execute("BEGIN IMMEDIATE")
      try permit()
      try delete.run([.text(tenant.id.description)])
      try connection.execute("COMMIT")
    }
  }
}
