/// As whom a tenant's programs log in where a cluster has its data. One tenant's only.
public struct DataLogin: Hashable, Sendable {
  /// Tells it from the tenant's other logins: the first is 1.
  public let number: UInt32
  /// Which sealed secret its password is: see `SecretPurpose.dataLogin`.
  public var password: SecretReference
  /// When it was made.
  public let createTime: Timestamp

  /// Validates nothing.
  public init(number: UInt32, password: SecretReference, createTime: Timestamp) {
    self.number = number
    self.password = password
    self.createTime = createTime
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
