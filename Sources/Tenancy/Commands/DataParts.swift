/// What a tenant has at one place: all of its data, or some kinds of it.
struct DataPart: Sendable {
  let site: DataSite
  /// Nil: the tenant has no kinds of data.
  let categories: Set<String>?

  /// The tenant, as the place sees it.
  func view(of tenant: Tenant) -> Tenant { categories.map(tenant.holding) ?? tenant }

  /// As which a step is recorded. Those of tenants that are in one place have no place in their names.
  func recorded(_ step: String) -> String {
    categories == nil ? step : "\(step)\(Self.separator)\(site.place)"
  }

  /// What is to be done there, as it is recorded.
  func recordedSteps(of tenant: Tenant) -> [String] {
    site.plane.steps(for: view(of: tenant)).map(recorded)
  }

  private static let separator = "@"
}

extension [DataPart] {
  var places: Set<String> { Set(map(\.site.place)) }

  /// Where each kind of data is; empty for a tenant that has none.
  var categories: [String: String] {
    reduce(into: [:]) { found, part in
      for category in part.categories ?? [] { found[category] = part.site.place }
    }
  }

  /// For people and the record of an operation.
  var place: String { map(\.site.place).joined(separator: ",") }
}

extension DataSites {
  /// What a tenant has where this node reaches, or was to have: at least one part.
  func parts(of record: TenantRecord) -> [DataPart] {
    let places = DataPlaces(record)
    guard !places.categories.isEmpty else {
      return [DataPart(site: site(of: places), categories: nil)]
    }
    let parts = made(of: places)
    return parts.isEmpty ? [DataPart(site: site(of: places), categories: [])] : parts
  }

  /// Where the kinds of a tenant's data are that is there, in the order of the configuration, without places that this
  /// node does not reach.
  func made(of places: DataPlaces) -> [DataPart] {
    ([own] + all).compactMap { site in
      let here = places.categories.filter { $0.value == site.place }
      return here.isEmpty ? nil : DataPart(site: site, categories: Set(here.keys))
    }
  }

  /// Where the kinds of a tenant's data are to be made: each where there is most room, but where others of the tenant go
  /// rather than anywhere else.
  /// - Throws: as `choose`.
  func choose(
    forCategoriesOf tenant: Tenant, _ places: DataPlaces,
    asking ask: (DataSite, DataCluster) async throws -> Int
  ) async throws(TenancyError) -> [DataPart] {
    var chosen: [String: (site: DataSite, categories: Set<String>)] = [:]
    var order: [String] = []
    for category in tenant.dataCategories {
      let alone = tenant.alone(category)
      let known = order.lazy.compactMap { chosen[$0]?.site }.first {
        $0.cluster?.takes(alone) ?? true && $0.plane.refusal(for: alone) == nil
      }
      let site: DataSite
      if let known {
        site = known
      } else {
        do throws(TenancyError) {
          site = try await choose(for: alone, places, asking: ask)
        } catch {
          throw TenancyError(
            .failedPrecondition, .provisioningUnsupported,
            "\(error.message) (for its data category \(category.name))")
        }
      }
      if chosen[site.place] == nil { order.append(site.place) }
      chosen[site.place, default: (site, [])].categories.insert(category.name)
    }
    return order.compactMap { chosen[$0] }.map {
      DataPart(site: $0.site, categories: $0.categories)
    }
  }
}

extension DataPlaces {
  /// A tenant as one of these places sees it.
  func view(of tenant: Tenant, at site: DataSite) -> Tenant {
    categories.isEmpty ? tenant : tenant.holding(Set(categories(at: site.place)))
  }
}

extension Tenant {
  /// The same tenant with no other data than this, to find a place for it.
  fileprivate func alone(_ category: DataCategory) -> Tenant {
    var tenant = holding([category.name])
    tenant.configuration.placement = category.placement ?? configuration.placement
    return tenant
  }

  /// By which models its data is kept.
  package var models: Set<IsolationModel> {
    dataCategories.isEmpty ? [isolationModel] : Set(dataCategories.map(\.model))
  }
}
