/// One chain of audit records: a tenant's, or the platform's, which also runs over the heads of all others.
public enum AuditChain: Hashable, Sendable, CustomStringConvertible {
  /// The platform's, which also says where all others end.
  case platform
  /// That of one tenant.
  case tenant(TenantID)

  private static let platformName = "platform"

  /// `platform`, or the tenant's id.
  public init?(parsing text: String) {
    if text == Self.platformName {
      self = .platform
    } else if let id = TenantID(parsing: text) {
      self = .tenant(id)
    } else {
      return nil
    }
  }

  public var description: String {
    switch self {
    case .platform: Self.platformName
    case .tenant(let id): id.description
    }
  }

  /// Whose chain it is; nil: the platform's.
  public var tenant: TenantID? {
    switch self {
    case .platform: nil
    case .tenant(let id): id
    }
  }
}

/// Who did something, and from where.
public struct AuditOrigin: Hashable, Sendable {
  /// What the caller is known by. Raw values are those of the encoding.
  public enum Credential: UInt8, Hashable, Sendable {
    /// The server itself.
    case none = 0
    /// An X.509 certificate that was verified in the TLS handshake.
    case certificate = 1
    /// The user id that the kernel tells of a Unix socket's peer.
    case unixUser = 2
    /// Whoever can reach an insecure listener.
    case insecure = 3
    /// A token that the call carried.
    case token = 4
  }

  /// The caller's own tenant; nil for the platform's identities.
  public var home: TenantID?
  /// A SPIFFE ID, `uid:{n}`, `insecure` or `system`.
  public var subject: String
  /// What `subject` was told by.
  public var credential: Credential
  /// The certificate's SHA-256 in hex; of a token `jti`.
  public var credentialID: String
  /// The connection's addresses, or its socket.
  public var source: String
  /// What the caller called the request, if anything.
  public var requestID: String

  /// An origin without a credential is the server itself.
  public init(
    home: TenantID? = nil, subject: String, credential: Credential = .none,
    credentialID: String = "", source: String = "", requestID: String = ""
  ) {
    self.home = home
    self.subject = subject
    self.credential = credential
    self.credentialID = credentialID
    self.source = source
    self.requestID = requestID
  }
}

/// What a record tells, apart from its place in a chain.
public struct AuditEvent: Hashable, Sendable {
  /// Raw values are those of the encoding.
  public enum Decision: UInt8, Hashable, Sendable {
    /// It was done.
    case allowed = 1
    /// It was refused, and nothing was changed.
    case denied = 2
  }

  /// Who did it or tried to.
  public var origin: AuditOrigin
  /// The change (`tenants.create`) or the method (`/tenancy.v1.TenantManager/GetTenant`).
  public var action: String
  /// The chain's own tenant, where it is concerned. A chain names no other: that a tenant exists is not to be
  /// learned from an attempt to reach it.
  public var tenant: TenantID?
  /// The tenant as the request named it, where it was denied.
  public var named: String
  /// Whether it was done.
  public var decision: Decision
  /// Why it was denied; where it was allowed, what a change gave up, if anything.
  public var reason: String
  /// Of the change; 0 where there is none.
  public var revision: UInt64
  /// How many alike were put together.
  public var count: UInt64
  /// Of the first of those that were put together; `time` where there is but one.
  public var firstTime: Timestamp
  /// Of the last of them.
  public var time: Timestamp

  /// One event, unless `count` says that several alike were put together.
  public init(
    origin: AuditOrigin, action: String, tenant: TenantID? = nil, named: String = "",
    decision: Decision, reason: String = "", revision: UInt64 = 0, count: UInt64 = 1,
    firstTime: Timestamp, time: Timestamp
  ) {
    self.origin = origin
    self.action = action
    self.tenant = tenant
    self.named = named
    self.decision = decision
    self.reason = reason
    self.revision = revision
    self.count = count
    self.firstTime = firstTime
    self.time = time
  }
}

/// The last record of a chain.
public struct AuditHead: Hashable, Sendable {
  /// Also the number of records: they are counted from 1.
  public let sequence: UInt64
  /// SHA-256 of the newest record and of the hash before it: 32 bytes.
  public let hash: [UInt8]

  /// - Parameter hash: 32 bytes, SHA-256.
  public init(sequence: UInt64, hash: [UInt8]) {
    self.sequence = sequence
    self.hash = hash
  }

  /// Before the first record.
  public static let start = AuditHead(sequence: 0, hash: [UInt8](repeating: 0, count: 32))
}

/// One record of a chain.
public struct AuditRecord: Hashable, Sendable {
  /// What a record has to tell besides its place.
  public enum Content: Hashable, Sendable {
    /// Something was done or refused.
    case event(AuditEvent)
    /// Where tenants' chains end now. Only in the platform's.
    case heads([TenantHead], time: Timestamp)
  }

  /// The newest record of one tenant's chain, as the platform's chain tells it.
  public struct TenantHead: Hashable, Sendable {
    /// Whose chain it is.
    public let tenant: TenantID
    /// Where that chain ended when the record was made.
    public let head: AuditHead

    /// A head of the chain of `tenant`.
    public init(tenant: TenantID, head: AuditHead) {
      self.tenant = tenant
      self.head = head
    }
  }

  /// The chain that it belongs to.
  public let chain: AuditChain
  /// Consecutive from 1.
  public let sequence: UInt64
  /// What it tells.
  public let content: Content

  /// - Parameter sequence: from 1, one more than that of the record before it in the chain.
  public init(chain: AuditChain, sequence: UInt64, content: Content) {
    self.chain = chain
    self.sequence = sequence
    self.content = content
  }

  /// Of the event's last occurrence, or when the heads were taken.
  public var time: Timestamp {
    switch content {
    case .event(let event): event.time
    case .heads(_, let time): time
    }
  }
}

/// A record as it is stored and exported.
public struct StoredAuditRecord: Hashable, Sendable {
  /// The chain that it belongs to.
  public let chain: AuditChain
  /// Consecutive from 1.
  public let sequence: UInt64
  /// See `AuditEncoding`.
  public let bytes: [UInt8]
  /// SHA-256 of the record and of the hash of the one before it: 32 bytes.
  public let hash: [UInt8]

  /// Checks nothing: whether the bytes fit the rest shows when they are decoded.
  public init(chain: AuditChain, sequence: UInt64, bytes: [UInt8], hash: [UInt8]) {
    self.chain = chain
    self.sequence = sequence
    self.bytes = bytes
    self.hash = hash
  }
}
