/// As whom a tenant's programs log in where a cluster has its data. One tenant's only.
public struct DataLogin: Hashable, Sendable {
  /// Tells it from the tenant's other logins: the first is 1.
  public let number: UInt32
  /// Which sealed secret its password is: see `SecretPurpose.dataLogin`.
  public var password: SecretReference
  /// When it was made.
  public let createTime: Timestamp
  /// The one that is being made to take its place.
  public var next: Next?
  /// The number of the one that it has taken the place of, while that still works.
  public var former: UInt32?
  /// Whether its programs can log in, by this login or the former one, as far as that is recorded.
  public var standing: Standing

  /// Whether programs can log in. Raw values are those stored on disk.
  public enum Standing: String, CaseIterable, Hashable, Sendable {
    /// They can.
    case open = "OPEN"
    /// They can't, and their sessions were ended.
    case closed = "CLOSED"
    /// A node is about to open or to close it, or was when it stopped.
    case changing = "CHANGING"
  }

  /// A login before it can be used.
  public struct Next: Hashable, Sendable {
    /// As `DataLogin.number`.
    public let number: UInt32
    /// As `DataLogin.password`.
    public var password: SecretReference

    /// Validates nothing.
    public init(number: UInt32, password: SecretReference) {
      self.number = number
      self.password = password
    }
  }

  /// Validates nothing.
  public init(
    number: UInt32, password: SecretReference, createTime: Timestamp, next: Next? = nil,
    former: UInt32? = nil, standing: Standing = .open
  ) {
    self.number = number
    self.password = password
    self.createTime = createTime
    self.next = next
    self.former = former
    self.standing = standing
  }

  /// Those that there are, or are being made.
  package var numbers: [UInt32] { [former, number, next?.number].compactMap(\.self) }

  /// Those that have a password.
  var purposes: [SecretPurpose] {
    [.dataLogin(number)] + (next.map { [.dataLogin($0.number)] } ?? [])
  }
}

extension Tenant {
  /// What its logins are to be by its state; nil: as they are. In MAINTENANCE the platform is at work on its data,
  /// perhaps by these; of a tenant that has no data yet, or whose data is about to go, nobody has a password.
  var wantedStanding: DataLogin.Standing? {
    switch state {
    case .active: .open
    case .suspended, .deleted: .closed
    case .maintenance, .pending, .provisioning, .provisionFailed, .purging, .purged: nil
    }
  }

  /// Whether its logins are to be opened or closed.
  var hasLoginsDue: Bool {
    guard let login = dataLogin, let wanted = wantedStanding else { return false }
    return login.standing != wanted
  }

  /// Whether nobody is to log in as one of its logins.
  package var hasClosedLogins: Bool { (wantedStanding ?? dataLogin?.standing) == .closed }
}

/// Where a tenant's data is to be made. The platform's to set; what is there stays where it is.
public struct PlacementSettings: Hashable, Sendable, Codable {
  /// In clusters of this region only; empty: of any.
  public var region: String
  /// In this cluster only; empty: in any that takes the tenant.
  public var cluster: String

  /// Validates nothing: that is up to `TenantCommands`.
  public init(region: String = "", cluster: String = "") {
    self.region = region
    self.cluster = cluster
  }

  /// Whether it says nothing.
  public var isEmpty: Bool { region.isEmpty && cluster.isEmpty }

  /// Whether this may be the name of a cluster or a region: as a slug.
  public static func isName(_ name: String) -> Bool { Slug(parsing: name) != nil }
}
