internal import CTenancyPostgreSQL

/// Where a PostgreSQL store is, and how it is talked to.
public struct PostgreSQLConfiguration: Sendable {
  /// One server of a cluster, only one of which takes writes.
  public struct Host: Hashable, Sendable {
    /// A name, an address, or the absolute path of a Unix socket's directory.
    public var name: String
    public var port: UInt16

    public init(_ name: String, port: UInt16 = 5432) {
      self.name = name
      self.port = port
    }

    var isLocal: Bool {
      name.hasPrefix("/") || ["127.0.0.1", "::1", "localhost"].contains(name)
    }
  }

  /// Files in PEM. The server's certificate is verified, and its name too; nothing less is to be had.
  public struct TLS: Hashable, Sendable {
    public var authorities: String
    public var revocations: String?
    /// The client's own.
    public var certificate: String?
    public var privateKey: String?

    public init(
      authorities: String, revocations: String? = nil, certificate: String? = nil,
      privateKey: String? = nil
    ) {
      self.authorities = authorities
      self.revocations = revocations
      self.certificate = certificate
      self.privateKey = privateKey
    }
  }

  /// Tried one after the other, the one that answered last first.
  public var hosts: [Host]
  public var database: String
  public var user: String
  /// A file with the password, and a line's end that does not count. Read for each connection.
  public var passwordFile: String?
  /// Required unless all hosts are on this machine.
  public var tls: TLS?
  /// The schema that holds the tables; made when missing.
  public var schema = "tenancy"
  public var applicationName = "tenantd"

  /// To connect to one host.
  public var connectTimeout = Duration.seconds(3)
  /// How long the server works on one statement.
  public var statementTimeout = Duration.seconds(5)
  /// How long a statement waits for locks of others.
  public var lockTimeout = Duration.seconds(3)
  /// After which the server ends a transaction of a node that has stopped in the middle of one.
  public var idleInTransactionTimeout = Duration.seconds(10)
  /// How often the log is looked at when no notification comes.
  public var pollInterval = Duration.seconds(1)

  public init(hosts: [Host], database: String, user: String) {
    self.hosts = hosts
    self.database = database
    self.user = user
  }

  /// What the server needs beyond its own limit to say that it was reached.
  private static let margin = Duration.seconds(2)
  /// How long an answer is waited for.
  var answerTimeout: Duration { statementTimeout + Self.margin }
  /// The channel of notifications of this store.
  var channel: String { "\(schema)_log" }

  /// What is wrong with it; nil when nothing is.
  public var problem: String? {
    if hosts.isEmpty { return "at least one host is needed" }
    for host in hosts where host.name.isEmpty || host.port == 0 || host.name.contains(",") {
      return "not a host: \(host.name):\(host.port)"
    }
    if database.isEmpty || user.isEmpty { return "the names of database and user are needed" }
    let texts = [database, user, applicationName] + hosts.map(\.name)
    if texts.contains(where: { $0.utf8.contains(0) }) { return "a name contains NUL" }
    if !Self.isSchemaName(schema) {
      return
        "schema: a lower-case letter or underscore, then letters, digits, underscores; at most "
        + "\(Self.maximumSchemaBytes)"
    }
    if tls == nil, let remote = hosts.first(where: { !$0.isLocal }) {
      return "\(remote.name) is not on this machine: TLS is needed"
    }
    if let tls, (tls.certificate == nil) != (tls.privateKey == nil) {
      return "a certificate and its private key go together"
    }
    return nil
  }

  /// Leaves room for the suffix of the channel's name within the 63 bytes of a name.
  static let maximumSchemaBytes = 58

  /// Names that need no quoting, and none of the system's.
  private static func isSchemaName(_ name: String) -> Bool {
    let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    guard let first = name.utf8.first, letters.contains(first) || first == UInt8(ascii: "_"),
      name.utf8.count <= maximumSchemaBytes, !name.hasPrefix("pg_"),
      name != "public", name != "information_schema"
    else { return false }
    return name.utf8.allSatisfy {
      letters.contains($0) || digits.contains($0) || $0 == UInt8(ascii: "_")
    }
  }

  // MARK: For the library

  /// What to connect to one host with, in the library's keywords.
  func parameters(for host: Host, password: String?) -> [(keyword: String, value: String)] {
    var parameters: [(keyword: String, value: String)] = [
      ("host", host.name), ("port", "\(host.port)"), ("dbname", database), ("user", user),
      ("application_name", applicationName), ("client_encoding", "UTF8"),
      ("target_session_attrs", "read-write"), ("options", serverSettings),
      // Encryption by Kerberos would take the place of TLS, unverified.
      ("gssencmode", "disable"),
      // A peer that is gone without a word is noticed within half a minute, or when it owes an answer.
      ("keepalives", "1"), ("keepalives_idle", "10"), ("keepalives_interval", "5"),
      ("keepalives_count", "3"), ("tcp_user_timeout", "\(milliseconds(answerTimeout))"),
    ]
    if let password { parameters.append(("password", password)) }
    guard let tls else { return parameters + [("sslmode", "disable")] }
    parameters += [("sslmode", "verify-full"), ("sslrootcert", tls.authorities)]
    for (keyword, file) in [
      ("sslcrl", tls.revocations), ("sslcert", tls.certificate), ("sslkey", tls.privateKey),
    ] {
      if let file { parameters.append((keyword, file)) }
    }
    return parameters
  }

  /// None of the values contains spaces or backslashes.
  private var serverSettings: String {
    let settings = [
      "search_path=\(schema)", "statement_timeout=\(milliseconds(statementTimeout))",
      "lock_timeout=\(milliseconds(lockTimeout))",
      "idle_in_transaction_session_timeout=\(milliseconds(idleInTransactionTimeout))",
      "client_min_messages=warning",
      // The server notices a node that is gone without a word, and lets go of what it held.
      "tcp_keepalives_idle=10", "tcp_keepalives_interval=5", "tcp_keepalives_count=3",
    ]
    return settings.map { "-c \($0)" }.joined(separator: " ")
  }

  private func milliseconds(_ duration: Duration) -> Int64 {
    let (seconds, attoseconds) = duration.components
    return seconds * 1000 + attoseconds / 1_000_000_000_000_000
  }
}

/// What is wrong with a connection string.
public struct ConnectionStringError: Error, CustomStringConvertible {
  public let description: String
}

extension PostgreSQLConfiguration {
  /// Reads libpq's notation, keywords and values or a URI: `host`, `port`, `dbname` and `user`; `sslmode`
  /// (`verify-full`, or `disable` for this machine), `sslrootcert`, `sslcrl`, `sslcert` and `sslkey`;
  /// `application_name`. Others are refused, a password too: it is read from a file.
  public init(connectionString: String) throws(ConnectionStringError) {
    var settings = try Self.parse(connectionString)
    func required(_ keyword: String) throws(ConnectionStringError) -> String {
      guard let value = settings.removeValue(forKey: keyword), !value.isEmpty else {
        throw ConnectionStringError(description: "\(keyword) is required")
      }
      return value
    }
    if settings["password"] != nil {
      throw ConnectionStringError(description: "the password goes into a file of its own")
    }
    self.init(
      hosts: try Self.hosts(try required("host"), settings.removeValue(forKey: "port")),
      database: try required("dbname"), user: try required("user"))
    if let name = settings.removeValue(forKey: "application_name") { applicationName = name }
    let mode = settings.removeValue(forKey: "sslmode") ?? "verify-full"
    switch mode {
    case "verify-full" where hosts.allSatisfy { $0.name.hasPrefix("/") }: break
    case "verify-full":
      tls = TLS(
        authorities: try required("sslrootcert"),
        revocations: settings.removeValue(forKey: "sslcrl"),
        certificate: settings.removeValue(forKey: "sslcert"),
        privateKey: settings.removeValue(forKey: "sslkey"))
    case "disable": break
    default: throw ConnectionStringError(description: "sslmode: verify-full or disable")
    }
    if let keyword = settings.keys.min() {
      throw ConnectionStringError(description: "\(keyword) can't be set here")
    }
  }

  private static func hosts(
    _ names: String, _ ports: String?
  ) throws(ConnectionStringError) -> [Host] {
    let names = names.split(separator: ",", omittingEmptySubsequences: false)
    let ports = ports?.split(separator: ",", omittingEmptySubsequences: false) ?? ["5432"]
    guard ports.count == 1 || ports.count == names.count else {
      throw ConnectionStringError(description: "port: one, or one for each host")
    }
    var hosts: [Host] = []
    for (index, name) in names.enumerated() {
      guard let port = UInt16(ports[ports.count == 1 ? 0 : index]), port > 0, !name.isEmpty else {
        throw ConnectionStringError(description: "host or port: one is none")
      }
      hosts.append(Host(String(name), port: port))
    }
    return hosts
  }

  private static func parse(_ text: String) throws(ConnectionStringError) -> [String: String] {
    var message: UnsafeMutablePointer<CChar>?
    let options = PQconninfoParse(text, &message)
    // The message may quote a secret.
    PQfreemem(message)
    guard let options, !text.utf8.contains(0) else {
      PQconninfoFree(options)
      throw ConnectionStringError(description: "not a connection string in libpq's keywords")
    }
    defer { PQconninfoFree(options) }
    var settings: [String: String] = [:]
    var option = options
    while let keyword = option.pointee.keyword {
      if let value = option.pointee.val {
        settings[String(cString: keyword)] = String(cString: value)
      }
      option += 1
    }
    return settings
  }
}
