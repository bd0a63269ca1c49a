/// A database as one of its users sees it. One tenant's only. The spellings of a connection string that lead
/// to one database are equal: case of the host, default port, percent-encoding, order and form of settings.
/// Settings that choose neither server nor database nor user are passed over; a string of a form that is
/// not known is equal to itself alone.
struct DatabasePlace: Hashable, Sendable {
  /// `host:port`, in order.
  let servers: [String]
  let database: String
  let username: String

  /// The same for equal places, and for those only.
  var text: String {
    (servers + [database, username]).map { "\($0.utf8.count):\($0)" }.joined(separator: ",")
  }

  init(connectionString: String, username: String) {
    let parts = ConnectionParts(parsing: connectionString)
    let user = username.isEmpty ? parts.user : username
    guard parts.isKnown else {
      (servers, database, self.username) = ([], connectionString, user)
      return
    }
    servers = Set(parts.servers).sorted()
    // PostgreSQL's default.
    let name = parts.database.isEmpty && parts.isPostgreSQL ? user : parts.database
    database = parts.instance.isEmpty ? name : "\(parts.instance)\\\(name)"
    self.username = user
  }
}

/// What a connection string chooses, in the notations of common drivers: URIs, keywords and values, and
/// settings between semicolons. Whatever it is given, it finds something.
private struct ConnectionParts {
  var database = ""
  var user = ""
  /// Of several on one server.
  private(set) var instance = ""
  /// What it chooses could be told.
  private(set) var isKnown = true
  private(set) var isPostgreSQL = false
  private var hosts: [Substring] = []
  private var addresses: [Substring] = []
  private var ports: [Substring] = []
  private var defaultPort = ""

  private enum Setting { case host, address, port, database, instance, user }

  /// Without spaces, `_` and `-`.
  private static let settings: [String: Setting] = [
    "host": .host, "server": .host, "datasource": .host, "addr": .host, "address": .host,
    "networkaddress": .host, "hostname": .host, "servername": .host, "hostaddr": .address,
    "port": .port, "portnumber": .port, "dbname": .database, "database": .database,
    "databasename": .database, "initialcatalog": .database, "db": .database,
    "service": .instance, "servicename": .instance, "sid": .instance, "instance": .instance,
    "instancename": .instance, "dsn": .instance, "account": .instance,
    "user": .user, "username": .user, "userid": .user, "uid": .user, "usr": .user,
  ]

  private static let defaultPorts = [
    "postgres": "5432", "postgresql": "5432", "mysql": "3306", "mariadb": "3306",
    "sqlserver": "1433", "mssql": "1433", "oracle": "1521", "mongodb": "27017",
  ]

  init(parsing text: String) {
    if let mark = text.firstRange(of: "://") {
      // `jdbc:postgresql`, `postgresql+driver`
      let scheme = text[..<mark.lowerBound].lowercased().split(separator: ":").last ?? ""
      choose(engine: String(scheme.prefix { $0 != "+" }))
      readURI(text[mark.upperBound...])
    } else if text.contains("="), text.contains(";") || !Self.isPostgreSQLForm(text) {
      readSettings(text[...], separator: ";")
      isKnown = !hosts.isEmpty || !addresses.isEmpty || !instance.isEmpty
    } else if text.contains("=") {
      choose(engine: "postgresql")
      readKeywords(text[...])
      isKnown = Self.settings[Self.name(of: text.prefix { $0 != "=" })] != nil
    } else {
      readURI(text[...])
    }
  }

  /// Every host with its port.
  var servers: [String] {
    let names = addresses.isEmpty ? hosts : addresses
    return (names.isEmpty ? [""] : names).enumerated().map { index, name in
      let (host, own) = Self.split(name)
      let port = own ?? (ports.count > index ? ports[index] : ports.last) ?? ""
      let number = Int(port).map(String.init) ?? String(port)
      return "\(Self.canonical(host: host)):\(number.isEmpty ? defaultPort : number)"
    }
  }

  private mutating func choose(engine: String) {
    defaultPort = Self.defaultPorts[engine] ?? ""
    isPostgreSQL = engine.hasPrefix("postgres")
  }

  // MARK: Hosts

  /// `host`, `host:port`, `[address]:port`
  private static func split(_ server: Substring) -> (host: Substring, port: Substring?) {
    if server.hasPrefix("/") { return (server, nil) }
    if server.hasPrefix("["), let end = server.lastIndex(of: "]") {
      let rest = server[server.index(after: end)...]
      return (
        server[server.index(after: server.startIndex)..<end],
        rest.hasPrefix(":") ? rest.dropFirst() : nil
      )
    }
    let parts = server.split(separator: ":", omittingEmptySubsequences: false)
    return parts.count == 2 ? (parts[0], parts[1]) : (server, nil)  // In range: there are two.
  }

  private static func canonical(host: Substring) -> String {
    // A socket's directory.
    if host.hasPrefix("/") { return String(host.trimming(suffix: "/")) }
    let name = host.lowercased()[...].trimming(suffix: ".")
    return ["", "127.0.0.1", "::1"].contains(name) ? "localhost" : String(name)
  }

  // MARK: Forms

  /// `user:password@host:port,…/database?setting=value&…`
  private mutating func readURI(_ text: Substring) {
    let authority = text.prefix { !"/?#;".contains($0) }
    let rest = text[authority.endIndex...]
    let at = authority.lastIndex(of: "@")
    if let at { user = String(Self.decoded(authority[..<at].prefix { $0 != ":" })) }
    let servers = at.map { authority[authority.index(after: $0)...] } ?? authority
    hosts = servers.split(separator: ",").map { Self.decoded($0) }
    let path = rest.prefix { !"?#;".contains($0) }
    database = String(Self.decoded(path.hasPrefix("/") ? path.dropFirst() : path))
    let query = rest[path.endIndex...].prefix { $0 != "#" }.dropFirst()
    let separator: Character = rest[path.endIndex...].hasPrefix(";") ? ";" : "&"
    for setting in query.split(separator: separator) {
      guard let sign = setting.firstIndex(of: "=") else { continue }
      set(Self.decoded(setting[..<sign]), Self.decoded(setting[setting.index(after: sign)...]))
    }
  }

  /// `Key=value;…`, values in quotes or not
  private mutating func readSettings(_ text: Substring, separator: Character) {
    for setting in text.split(separator: separator) {
      guard let sign = setting.firstIndex(of: "=") else { continue }
      let key = setting[..<sign].trimmingSpaces
      var value = setting[setting.index(after: sign)...].trimmingSpaces
      for quote in ["'", "\""] where value.count > 1 && value.hasPrefix(quote) {
        value = value.dropFirst().dropLast()
      }
      if value.lowercased().hasPrefix("tcp:") { value = value.dropFirst(4) }
      if key.lowercased() == "host" { choose(engine: "postgresql") }
      set(key, value)
    }
  }

  /// PostgreSQL's `key = 'value' …` (libpq, "Keyword/Value Connection Strings").
  private mutating func readKeywords(_ text: Substring) {
    var rest = text
    while let sign = rest.firstIndex(of: "=") {
      let key = rest[..<sign].trimmingSpaces
      rest = rest[rest.index(after: sign)...].drop(while: \.isWhitespace)
      let isQuoted = rest.hasPrefix("'")
      if isQuoted { rest = rest.dropFirst() }
      var value = ""
      while let next = rest.popFirst() {
        if next == "\\", let escaped = rest.popFirst() {
          value.append(escaped)
        } else if isQuoted ? next == "'" : next.isWhitespace {
          break
        } else {
          value.append(next)
        }
      }
      set(key, value[...])
    }
  }

  private static func isPostgreSQLForm(_ text: String) -> Bool {
    let key = text.prefix { $0 != "=" }.trimmingSpaces
    return !key.contains(where: \.isWhitespace)
  }

  /// What a setting is called in `settings`.
  private static func name(of key: Substring) -> String {
    key.lowercased().filter { !$0.isWhitespace && $0 != "_" && $0 != "-" }
  }

  private mutating func set(_ key: Substring, _ value: Substring) {
    switch Self.settings[Self.name(of: key)] {
    case .host:
      let parts = value.split(separator: ",")
      // `host,port`, as SQL Server has it.
      if let last = parts.last, parts.count == 2, Int(last) != nil {
        (hosts, ports) = (Array(parts.dropLast()), [last])
      } else {
        hosts = parts
      }
    case .address: addresses = value.split(separator: ",")
    case .port: ports = value.split(separator: ",")
    case .database: database = String(value)
    case .instance: instance = String(value)
    case .user: user = String(value)
    case nil: break
    }
  }

  private static func decoded(_ text: Substring) -> Substring {
    ConnectionStrings.decoded(String(text))[...]
  }
}

extension Substring {
  fileprivate var trimmingSpaces: Substring {
    var text = drop(while: \.isWhitespace)
    while text.last?.isWhitespace ?? false { text.removeLast() }
    return text
  }

  fileprivate func trimming(suffix: Character) -> Substring {
    var text = self
    while text.last == suffix { text.removeLast() }
    return text
  }
}
