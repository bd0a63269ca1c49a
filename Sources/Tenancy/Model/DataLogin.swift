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
    former: UInt32? = nil
  ) {
    self.number = number
    self.password = password
    self.createTime = createTime
    self.next = next
    self.former = former
  }

  /// Those that have a password.
  var purposes: [SecretPurpose] {
    [.dataLogin(number)] + (next.map { [.dataLogin($0.number)] } ?? [])
  }
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
