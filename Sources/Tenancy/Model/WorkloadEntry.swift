/// Which processes of a machine get which identity over the SPIFFE Workload API. Immutable, and in memory once however
/// many lists it is in.
public final class WorkloadEntry: Hashable, Ordered {
  /// What a process must be: all that are given must match.
  public struct Selectors: Hashable, Sendable {
    /// Its effective user.
    public var userID: UInt32?
    /// Its effective group.
    public var groupID: UInt32?
    /// Its program, as an absolute path without links.
    public var binaryPath: String?
    /// The unit of systemd's system manager that it belongs to, such as `web.service`.
    public var systemdUnit: String?
    /// The node that it runs on, as that one's configuration names it; nil: whichever.
    public var node: String?

    /// Matches every process until something is given.
    public init(
      userID: UInt32? = nil, groupID: UInt32? = nil, binaryPath: String? = nil,
      systemdUnit: String? = nil, node: String? = nil
    ) {
      self.userID = userID
      self.groupID = groupID
      self.binaryPath = binaryPath
      self.systemdUnit = systemdUnit
      self.node = node
    }
  }

  /// UTF-8 bytes of a path behind the tenant or `platform`, at most.
  public static let maximumPathBytes = 512
  /// Segments of it, at most.
  public static let maximumPathSegments = 16
  /// UTF-8 bytes of a program's path, at most.
  public static let maximumBinaryPathBytes = 1024
  /// Characters of a unit's name, at most: as systemd has it.
  public static let maximumUnitLength = 255
  /// Characters of a node's name, at most.
  public static let maximumNodeLength = 255
  /// UTF-8 bytes of a hint, at most.
  public static let maximumHintBytes = 128
  /// Seconds that a certificate lasts, of which each may have its own within these.
  public static let lifetimes: ClosedRange<Int64> = 60...86_400
  /// And where nothing is said.
  public static let defaultLifetime: Int64 = 3_600
  /// What the kernel tells of users that have no number where it is asked: everybody's who is not known.
  public static let overflowID: UInt32 = 65_534

  /// Unique: canonical text of a UUIDv7.
  public let id: String
  /// Whose workload it is; nil: the platform's.
  public let tenant: TenantID?
  /// Behind the tenant, or behind `platform`, in the SPIFFE ID, such as `web/frontend`; never empty.
  public let path: String
  /// Which processes.
  public let selectors: Selectors
  /// Seconds that a certificate lasts.
  public let lifetime: Int64
  /// What the process may tell its identities apart by; may be empty.
  public let hint: String
  /// When it was registered.
  public let createTime: Timestamp
  public var orderKey: String { id }

  /// Validates nothing: that is up to `WorkloadEntryCommands`.
  public init(
    id: String, tenant: TenantID?, path: String, selectors: Selectors,
    lifetime: Int64 = defaultLifetime, hint: String = "", createTime: Timestamp
  ) {
    self.id = id
    self.tenant = tenant
    self.path = path
    self.selectors = selectors
    self.lifetime = lifetime
    self.hint = hint
    self.createTime = createTime
  }

  public static func == (a: WorkloadEntry, b: WorkloadEntry) -> Bool {
    a.id == b.id && a.hasSameContent(as: b) && a.lifetime == b.lifetime && a.hint == b.hint
      && a.createTime == b.createTime
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(id) }

  /// Whether both give the same processes the same identity.
  public func hasSameContent(as other: WorkloadEntry) -> Bool {
    tenant == other.tenant && path == other.path && selectors == other.selectors
  }

  /// What is behind the trust domain in the SPIFFE ID, without a slash before it.
  public var identityPath: String {
    tenant.map { "tenant/\($0)/\(path)" } ?? "platform/\(path)"
  }

  /// The platform role that it gives; nil for tenants' workloads.
  public var platformRole: String? {
    tenant == nil ? path.split(separator: "/").first.map(String.init) : nil
  }

  // MARK: Rules

  /// Whether it is what a command can have made, apart from its id and its tenant.
  public var isSound: Bool {
    let depth = path.utf8.count(where: { $0 == Self.slash })
    return Self.isPath(path) && (tenant != nil || depth <= 1) && selectors.isSound
      && Self.lifetimes.contains(lifetime) && Self.isHint(hint)
  }

  /// Whether it can be behind a tenant or `platform` in a SPIFFE ID.
  public static func isPath(_ text: String) -> Bool {
    guard text.utf8.count <= maximumPathBytes else { return false }
    let segments = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    return (1...maximumPathSegments).contains(segments.count)
      && segments.allSatisfy { segment in
        !segment.isEmpty && !segment.elementsEqual(".".utf8) && !segment.elementsEqual("..".utf8)
          && segment.allSatisfy(pathBytes.contains)
      }
  }

  /// Whether a process can run a program of this path: absolute, and without `.`, `..` and empty parts.
  public static func isBinaryPath(_ text: String) -> Bool {
    guard (2...maximumBinaryPathBytes).contains(text.utf8.count), text.utf8.first == slash,
      text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
    else { return false }
    return text.utf8.dropFirst().split(separator: slash, omittingEmptySubsequences: false)
      .allSatisfy { part in
        !part.isEmpty && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8)
      }
  }

  /// Whether it can be a unit that processes belong to: a service or a scope.
  public static func isUnit(_ text: String) -> Bool {
    (1...maximumUnitLength).contains(text.utf8.count)
      && (text.hasSuffix(".service") || text.hasSuffix(".scope"))
      && !text.hasPrefix(".") && text.utf8.allSatisfy(unitBytes.contains)
  }

  /// Whether it can be the name of a node.
  public static func isNode(_ text: String) -> Bool {
    (1...maximumNodeLength).contains(text.utf8.count) && text.utf8.allSatisfy(pathBytes.contains)
  }

  /// Whether it can be the number of a user or a group that is known.
  public static func isKnownID(_ id: UInt32) -> Bool { id != .max && id != overflowID }

  /// Whether it can be a hint; an empty one can.
  public static func isHint(_ text: String) -> Bool {
    text.utf8.count <= maximumHintBytes && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
  }

  private static let slash = UInt8(ascii: "/")
  private static let pathBytes = ASCIISet(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")
  private static let unitBytes = ASCIISet(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@")
}

extension WorkloadEntry.Selectors {
  /// Whether each is one, and they don't match everybody.
  fileprivate var isSound: Bool {
    (userID != nil || binaryPath != nil)
      && (userID.map(WorkloadEntry.isKnownID) ?? true)
      && (groupID.map(WorkloadEntry.isKnownID) ?? true)
      && (binaryPath.map(WorkloadEntry.isBinaryPath) ?? true)
      && (systemdUnit.map(WorkloadEntry.isUnit) ?? true)
      && (node.map(WorkloadEntry.isNode) ?? true)
  }
}
