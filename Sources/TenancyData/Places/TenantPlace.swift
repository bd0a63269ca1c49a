public import Tenancy

/// Where one tenant's data is, and how it is reached.
public struct TenantPlace: Hashable, Sendable {
  /// Where that is.
  public enum Site: Hashable, Sendable {
    /// In a server, by a login that is the tenant's alone.
    case postgreSQL(PostgreSQLPlace)
    /// In a file.
    case sqlite(SQLitePlace)
  }

  /// Whose it is.
  public let tenant: TenantID
  /// The tenant's, when this was so: see `TenantPlaceChange`.
  public let epoch: UInt64
  /// Where its data is.
  public let site: Site

  /// - Parameter epoch: the tenant's.
  public init(tenant: TenantID, epoch: UInt64, _ site: Site) {
    self.tenant = tenant
    self.epoch = epoch
    self.site = site
  }
}

/// A tenant's data in a PostgreSQL server: a database, a schema, or rows of shared tables.
public struct PostgreSQLPlace: Hashable, Sendable {
  /// One of the servers of a cluster.
  public struct Host: Hashable, Sendable {
    /// A name, an address, or the absolute path of a Unix socket's directory.
    public let name: String
    /// Its port.
    public let port: UInt16

    /// As `GetTenantDataAccess` has it, `HOST:PORT`, is `Host(parsing:)`.
    public init(_ name: String, port: UInt16) {
      self.name = name
      self.port = port
    }

    /// Of `HOST:PORT`, where the host may be an address with colons.
    public init?(parsing text: String) {
      guard let colon = text.lastIndex(of: ":"), colon != text.startIndex,
        let port = UInt16(text[text.index(after: colon)...]), port > 0
      else { return nil }
      self.init(String(text[..<colon]), port: port)
    }

    var isLocal: Bool {
      name.hasPrefix("/") || ["127.0.0.1", "::1", "localhost"].contains(name)
    }
  }

  /// Files in PEM. The server's certificate is verified, and its name too.
  public struct TLS: Hashable, Sendable {
    /// Of those who the server's certificate may be from.
    public var authorities: String
    /// The client's own certificate; nil: none.
    public var certificate: String?
    /// Its key.
    public var privateKey: String?

    /// - Parameter authorities: a file in PEM.
    public init(authorities: String, certificate: String? = nil, privateKey: String? = nil) {
      self.authorities = authorities
      self.certificate = certificate
      self.privateKey = privateKey
    }
  }

  /// Tried in this order: one of them takes writes.
  public var hosts: [Host]
  /// Nil: none, which is refused unless all hosts are on this machine.
  public var tls: TLS?
  /// The database.
  public var database: String
  /// The tenant's own login.
  public var user: String
  /// Its password.
  public var password: String
  /// The schemas that names without one are looked for in; empty: as the login has it.
  public var searchPath: [String]
  /// What the tenant column of shared tables has to have for this login, which is checked; nil: the tenant has no rows
  /// in shared tables.
  public var tenantIdentifier: String?

  /// Checks nothing.
  public init(
    hosts: [Host], tls: TLS? = nil, database: String, user: String, password: String,
    searchPath: [String] = [], tenantIdentifier: String? = nil
  ) {
    self.hosts = hosts
    self.tls = tls
    self.database = database
    self.user = user
    self.password = password
    self.searchPath = searchPath
    self.tenantIdentifier = tenantIdentifier
  }
}

extension PostgreSQLPlace: CustomStringConvertible, CustomReflectable {
  /// Without the password.
  public var description: String {
    "\(user)@\(hosts.map { "\($0.name):\($0.port)" }.joined(separator: ","))/\(database)"
  }

  /// Likewise, for whatever prints it.
  public var customMirror: Mirror { Mirror(self, children: ["place": description]) }
}

/// A tenant's data in SQLite.
public struct SQLitePlace: Hashable, Sendable {
  /// A table whose rows are tenants', each by its column.
  public struct SharedTable: Hashable, Sendable {
    /// What statements call it.
    public var name: String
    /// What the file calls it, which is another name.
    public var table: String
    /// The column that says whose a row is.
    public var tenantColumn: String

    /// - Parameters:
    ///   - name: what statements call it.
    ///   - table: what the file calls it.
    public init(name: String, table: String, tenantColumn: String) {
      self.name = name
      self.table = table
      self.tenantColumn = tenantColumn
    }
  }

  /// How what is in the file is the tenant's.
  public enum Share: Hashable, Sendable {
    /// All of it is.
    case whole
    /// The rows of some tables that have its identifier are.
    case rows(tenantIdentifier: String, tables: [SharedTable])
  }

  /// The file, which is there already.
  public var path: String
  /// What of it is the tenant's.
  public var share: Share

  /// - Parameter path: of a file that is there.
  public init(path: String, share: Share = .whole) {
    self.path = path
    self.share = share
  }
}
