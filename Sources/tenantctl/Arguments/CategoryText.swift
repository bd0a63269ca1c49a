import TenancyWire

/// `documents=database@eu-1`, or `@region:eu` in place of a cluster: a kind of data as options take it.
enum CategoryText {
  static func parse(_ text: String) throws(UsageError) -> V1.DataCategory {
    let halves = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    let parts = (halves.first ?? "").split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2, let name = parts.first,
      let isolation = parts.last.flatMap(Isolation.init), isolation != .hybrid
    else {
      throw UsageError(
        "'\(text)' is not NAME=MODEL[@CLUSTER], with database, schema or shared as a model")
    }
    guard halves.count == 2, let place = halves.last.map(String.init) else {
      return V1.DataCategory(category: name, isolationModel: isolation.model)
    }
    guard !place.isEmpty, place != region else {
      throw UsageError("'\(text)' names no cluster behind the @")
    }
    let placement =
      place.hasPrefix(region)
      ? V1.TenantPlacement(region: String(place.dropFirst(region.count)))
      : V1.TenantPlacement(cluster: place)
    return V1.DataCategory(category: name, isolationModel: isolation.model, placement: placement)
  }

  static func text(of category: V1.DataCategory) -> String {
    let isolation = Isolation.allCases.first { $0.model == category.isolationModel }
    let place = category.placement.flatMap { placement -> String? in
      if !placement.cluster.isEmpty { return placement.cluster }
      return placement.region.isEmpty ? nil : region + placement.region
    }
    return "\(category.category)=\(isolation?.rawValue ?? "?")" + (place.map { "@\($0)" } ?? "")
  }

  private static let region = "region:"
}
