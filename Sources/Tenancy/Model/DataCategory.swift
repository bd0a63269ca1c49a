/// A kind of a HYBRID tenant's data, kept apart by a model and at a place of its own.
public struct DataCategory: Hashable, Sendable, Codable {
  /// See `isName`; one tenant's once.
  public var name: String
  /// Not `.hybrid`.
  public var model: IsolationModel
  /// Where it is to be made; nil: as `TenantConfiguration.placement` says.
  public var placement: PlacementSettings?

  /// Validates nothing: that is up to `TenantCommands`.
  public init(name: String, model: IsolationModel, placement: PlacementSettings? = nil) {
    self.name = name
    self.model = model
    self.placement = placement
  }

  /// Of a tenant.
  public static let maximumCount = 8
  /// With the tenant's id and what goes with it, a database's name has 63 bytes at most.
  public static let maximumNameBytes = 20

  /// Whether this may be its name: 1 to 20 of a-z, 0-9 and '_', and a letter first, so that it is no login's number.
  public static func isName(_ text: String) -> Bool {
    guard (1...maximumNameBytes).contains(text.utf8.count), let first = text.utf8.first else {
      return false
    }
    let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
    return letters.contains(first)
      && text.utf8.allSatisfy {
        letters.contains($0) || $0 == UInt8(ascii: "_")
          || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
      }
  }
}

extension TenantConfiguration {
  /// Whether `schema` is needed with this model.
  public func usesSchema(_ model: IsolationModel) -> Bool {
    model == .schema || model == .hybrid && dataCategories.isEmpty
  }

  /// Whether `shared` is needed with this model.
  public func usesShared(_ model: IsolationModel) -> Bool {
    switch model {
    case .shared: true
    case .hybrid: dataCategories.isEmpty || dataCategories.contains { $0.model == .shared }
    case .database, .schema: false
    }
  }
}

extension Tenant {
  /// Whether its data is in one database of its own.
  public var usesDatabase: Bool { isolationModel.usesDatabase }
  /// Whether it has the schema of its configuration.
  public var usesSchema: Bool { configuration.usesSchema(isolationModel) }
  /// Whether it has rows of shared tables.
  public var usesShared: Bool { configuration.usesShared(isolationModel) }

  /// Its kinds of data; none: all of it is of one kind.
  public var dataCategories: [DataCategory] {
    isolationModel == .hybrid ? configuration.dataCategories : []
  }

  /// The same tenant, with these of its categories and no others.
  func holding(_ categories: Set<String>) -> Tenant {
    var tenant = self
    tenant.configuration.dataCategories.removeAll { !categories.contains($0.name) }
    return tenant
  }
}
