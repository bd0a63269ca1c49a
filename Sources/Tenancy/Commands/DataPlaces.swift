/// Where a tenant's data is, as it is recorded among its provisioning steps: what is done at one place is to be
/// seen from no other.
struct DataPlaces: Hashable, Sendable {
  /// The name of the one place of a store that has no others: it is not recorded of what is there.
  static let only = ""

  /// Where it was made, or is being made: one place at most, but for a tenant with kinds of data.
  var made: Set<String> = []
  /// Where there may be data that the tenant had, or was to have, and that is yet to be destroyed.
  var left: Set<String> = []
  /// What is done at `made`.
  var steps: Set<String> = []
  /// At which of these each kind of the tenant's data is; empty: it has none.
  var categories: [String: String] = [:]

  private static let madePrefix = "place:"
  private static let leftPrefix = "left:"
  /// `category:NAME=PLACE`.
  private static let categoryPrefix = "category:"

  /// Places that all nodes reach whose configuration has them.
  static let clusterPrefix = "cluster:"

  /// Whether something may be left, for those who look among all tenants.
  static func mayBeLeft(_ record: TenantRecord) -> Bool {
    record.provisionedSteps.contains { $0.hasPrefix(leftPrefix) }
  }

  init(_ record: TenantRecord) {
    for step in record.provisionedSteps {
      if step.hasPrefix(Self.madePrefix) {
        made.insert(String(step.dropFirst(Self.madePrefix.count)))
      } else if step.hasPrefix(Self.leftPrefix) {
        left.insert(String(step.dropFirst(Self.leftPrefix.count)))
      } else if let category = Self.category(step) {
        categories[category.name] = category.place
        // One of a store that has no others is not recorded by itself.
        made.insert(category.place)
      } else {
        steps.insert(step)
      }
    }
  }

  private static func category(_ step: String) -> (name: String, place: String)? {
    guard step.hasPrefix(categoryPrefix) else { return nil }
    let parts = step.dropFirst(categoryPrefix.count).split(
      separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let name = parts.first, let place = parts.last else { return nil }
    return (String(name), String(place))
  }

  /// As steps, in an order that is the same each time.
  var recorded: [String] {
    made.filter { $0 != Self.only }.sorted().map { Self.madePrefix + $0 }
      + left.sorted().map { Self.leftPrefix + $0 }
      + categories.sorted { $0.key < $1.key }.map { "\(Self.categoryPrefix)\($0.key)=\($0.value)" }
      + steps.sorted()
  }

  /// Whether what was made is at this place, for all that is known here.
  func isMade(at place: String) -> Bool {
    made.contains(place) || place == Self.only && !isInCluster
  }

  /// The kinds of the tenant's data that are at a place.
  func categories(at place: String) -> [String] {
    categories.filter { $0.value == place }.map(\.key)
  }

  /// Whether it is in a cluster, be it one that this node does not reach.
  var isInCluster: Bool { made.contains { $0.hasPrefix(Self.clusterPrefix) } }
  /// Whether there is, or may be, something in a cluster.
  var mayBeInCluster: Bool {
    isInCluster || left.contains { $0.hasPrefix(Self.clusterPrefix) }
  }

  /// Whether there is something at this place to be destroyed, and nothing that is in use.
  func isLeft(at place: String) -> Bool {
    guard left.contains(place) else { return false }
    return place == Self.only ? steps.isEmpty || isInCluster : !made.contains(place)
  }

  /// Whether data can be destroyed at this place, and others that are reached from there, without that other data is
  /// forgotten.
  /// - Throws: FAILED_PRECONDITION with DATA_ELSEWHERE, and the places.
  func require(_ site: Reach) throws(TenancyError) {
    let (place, isHere) = (site.place, site.isHere)
    if made.contains(place) {
      let far = made.subtracting(site.others).subtracting([place])
      guard far.isEmpty else { throw Self.elsewhere(far) }
      return
    }
    guard made.isEmpty else { throw Self.elsewhere(made) }
    if left.contains(place) { return }
    guard left.isEmpty else { throw Self.elsewhere(left) }
    guard place == Self.only || steps.isEmpty || isHere else { throw Self.elsewhere([]) }
  }

  /// Forgets data at places that are not reached.
  /// - Returns: these places.
  mutating func giveUp(allBut site: Reach) -> [String] {
    let reached = site.others.union([site.place])
    var given = made.union(left).subtracting(reached)
    if made.isEmpty, !steps.isEmpty, site.place != Self.only, !site.isHere {
      given.insert(Self.unknown)
    }
    made.formIntersection(reached)
    left.formIntersection(reached)
    categories = categories.filter { reached.contains($0.value) }
    return given.sorted()
  }

  /// For people: what was not recorded.
  private static let unknown = "an unknown place"

  /// What was made here is to be destroyed.
  mutating func leave(at place: String) {
    made.remove(place)
    left.formUnion(made)
    left.insert(place)
    (made, steps, categories) = ([], [], [:])
  }

  /// Whether there is data of which nobody knows where it is.
  func isNowhere(but site: Reach) -> Bool {
    made.isEmpty && left.isEmpty && !steps.isEmpty && site.place != Self.only && !site.isHere
  }

  /// All that was made is to be destroyed, wherever it is.
  mutating func leaveAll(at site: Reach) {
    if made.isEmpty, !steps.isEmpty, site.place == Self.only || site.isHere {
      left.insert(site.place)
    }
    left.formUnion(made)
    (made, steps, categories) = ([], [], [:])
  }

  /// All is to be made here, where nothing is left.
  /// - Parameter categories: at which of these places each kind of data is.
  mutating func settle(at places: Set<String>, _ categories: [String: String] = [:]) {
    left.formUnion(made)
    left.subtract(places)
    (made, steps, self.categories) = (places, [], categories)
  }

  static func elsewhere(_ places: Set<String>) -> TenancyError {
    guard !places.isEmpty else {
      return TenancyError(
        .failedPrecondition, .dataElsewhere,
        "the tenant's data is not in the data directory of this node, and where it is was not recorded: "
          + "ask the node that has it")
    }
    return TenancyError(
      .failedPrecondition, .dataElsewhere,
      "the tenant's data is in the data directory of another node: ask that node",
      metadata: ["places": places.sorted().joined(separator: ",")])
  }
}

extension DataPlaces {
  /// What a caller reaches that is about to destroy data.
  struct Reach: Sendable {
    /// Where a tenant's data is most likely.
    let place: String
    /// Whether it was found there, where it is recorded nowhere.
    let isHere: Bool
    /// Clusters.
    var others: Set<String> = []
  }
}

extension Transaction {
  /// Records the tenant's places and steps in the place of those that are.
  mutating func record(_ places: DataPlaces, of id: TenantID) {
    emit(.clearProvisioningSteps(id), about: id)
    for step in places.recorded { emit(.putProvisioningStep(id, name: step), about: id) }
  }

  /// What was done of a provisioning does not count any more. What is in a cluster is found there, whatever the tenant
  /// is said to have now, and is to be destroyed.
  mutating func forgetSteps(of record: TenantRecord) {
    var places = DataPlaces(record)
    guard places.mayBeInCluster else {
      return emit(.clearProvisioningSteps(record.tenant.id), about: record.tenant.id)
    }
    places.left.formUnion(places.made)
    (places.made, places.steps, places.categories) = ([], [], [:])
    self.record(places, of: record.tenant.id)
  }
}
