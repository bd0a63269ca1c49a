import Tenancy
import TenancyStore

/// The `store` section of the configuration: where the control plane's state is kept.
enum StoreSettings: Sendable {
  /// In the data directory.
  case embedded
  case postgreSQL(PostgreSQLConfiguration)

  var isEmbedded: Bool {
    switch self {
    case .embedded: true
    case .postgreSQL: false
    }
  }

  init(_ settings: inout SettingsReader) throws {
    let postgreSQL = try settings.section("postgresql") { try Self.postgreSQL(&$0) }
    guard let postgreSQL else { throw settings.error("postgresql is required") }
    self = .postgreSQL(postgreSQL)
  }

  /// Whether several nodes can be on it at a time.
  var isShared: Bool {
    switch self {
    case .embedded: false
    case .postgreSQL: true
    }
  }

  /// Blocks.
  /// - Parameters:
  ///   - sealer: of the secrets in it.
  ///   - acceptsRestored: whether a store that was restored from a backup is served.
  func open(
    dataDirectory: String, sealer: (any SecretSealer)?, acceptsRestored: Bool
  ) throws -> any AuditedStore {
    switch self {
    case .embedded:
      let database = "\(dataDirectory)/tenancy.sqlite"
      for suffix in ["", "-wal", "-shm", ".lock"] { try OwnFiles.check(database + suffix) }
      if acceptsRestored { try SQLiteStore.acceptRestored(path: database) }
      return try SQLiteStore(path: database, sealer: sealer)
    case .postgreSQL(let configuration):
      try Self.checkFiles(of: configuration)
      return try PostgreSQLStore(configuration, sealer: sealer)
    }
  }

  /// - Throws: if others can write or read what they must not.
  static func checkFiles(of configuration: PostgreSQLConfiguration) throws {
    if let file = configuration.passwordFile { try OwnFiles.checkSecret(file, "password file") }
    if let tls = configuration.tls {
      if let key = tls.privateKey { try OwnFiles.checkSecret(key, "private key") }
      for file in [tls.authorities, tls.revocations, tls.certificate].compactMap(\.self) {
        try OwnFiles.checkTrusted(file)
      }
    }
  }

  private static func postgreSQL(
    _ settings: inout SettingsReader
  ) throws -> PostgreSQLConfiguration {
    var configuration = try server(&settings)
    if let schema = try settings.optionalString("schema") { configuration.schema = schema }
    // The bound for what another node writes to be seen here when notifications are lost.
    configuration.pollInterval =
      try settings.integer("poll_milliseconds", in: 10...60_000).map { .milliseconds($0) }
      ?? configuration.pollInterval
    if let problem = configuration.problem { throw settings.error(problem) }
    return configuration
  }

  /// Where a server is, and how long is waited for it.
  /// - Parameter statementTimeout: where none is given; nil: the store's.
  static func server(
    _ settings: inout SettingsReader, statementTimeout: Duration? = nil
  ) throws -> PostgreSQLConfiguration {
    var configuration = try place(&settings)
    configuration.statementTimeout = statementTimeout ?? configuration.statementTimeout
    configuration.passwordFile = try settings.optionalString("password_file")
    if let tls = try settings.section("tls", { try Self.tls(&$0) }) {
      guard configuration.tls == nil else {
        throw settings.error("tls: the connection string has it already")
      }
      configuration.tls = tls
    }
    configuration.connectTimeout =
      try duration("connect", &settings) ?? configuration.connectTimeout
    configuration.statementTimeout =
      try duration("statement", &settings) ?? configuration.statementTimeout
    configuration.lockTimeout = try duration("lock", &settings) ?? configuration.lockTimeout
    configuration.idleInTransactionTimeout =
      try duration("idle_in_transaction", &settings) ?? configuration.idleInTransactionTimeout
    return configuration
  }

  /// Either a connection string, or hosts, database and user.
  private static func place(_ settings: inout SettingsReader) throws -> PostgreSQLConfiguration {
    let hosts = try settings.strings("hosts")
    guard let text = try settings.optionalString("connection") else {
      guard let hosts else { throw settings.error("hosts or connection is required") }
      return PostgreSQLConfiguration(
        hosts: try hosts.map { try host($0, settings) },
        database: try settings.string("database"), user: try settings.string("user"))
    }
    guard hosts == nil else {
      throw settings.error("hosts and connection: give one of them")
    }
    do throws(ConnectionStringError) {
      return try PostgreSQLConfiguration(connectionString: text)
    } catch {
      throw settings.error("connection: \(error)")
    }
  }

  /// `HOST`, `HOST:PORT`, `[IPv6]:PORT`, or the directory of a Unix socket.
  private static func host(
    _ text: String, _ settings: SettingsReader
  ) throws -> PostgreSQLConfiguration.Host {
    if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
      let name = String(text[text.index(after: text.startIndex)..<end])
      let rest = text[text.index(after: end)...]
      if rest.isEmpty { return .init(name) }
      guard rest.hasPrefix(":"), let port = UInt16(rest.dropFirst()) else {
        throw settings.error("hosts: HOST:PORT, [IPv6]:PORT or a socket's directory")
      }
      return .init(name, port: port)
    }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    switch parts.count {
    case 1: return .init(text)
    case 2:
      if let port = UInt16(parts[1]) { return .init(String(parts[0]), port: port) }
    default: break
    }
    throw settings.error("hosts: HOST:PORT, [IPv6]:PORT or a socket's directory")
  }

  private static func tls(_ settings: inout SettingsReader) throws -> PostgreSQLConfiguration.TLS {
    PostgreSQLConfiguration.TLS(
      authorities: try settings.string("ca"), revocations: try settings.optionalString("crl"),
      certificate: try settings.optionalString("certificate"),
      privateKey: try settings.optionalString("private_key"))
  }

  private static func duration(
    _ name: String, _ settings: inout SettingsReader
  ) throws -> Duration? {
    try settings.integer("\(name)_milliseconds", in: 10...600_000).map { .milliseconds($0) }
  }
}
