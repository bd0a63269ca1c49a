/// Where a tenant's data is, as it is recorded among its provisioning steps: what is done at one place is to be
/// seen from no other.
struct DataPlaces: Hashable, Sendable {
  /// The name of the one place of a store that has no others: it is not recorded of what is there.
  static let only = ""

  /// Where it was made, or is being made. One at most, but for what others have written.
  var made: Set<String> = []
  /// Where there may be data that the tenant had, or was to have, and that is yet to be destroyed.
  var left: Set<String> = []
  /// What is done at `made`.
  var steps: Set<String> = []

  private static let madePrefix = "place:"
  private static let leftPrefix = "left:"

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
      } else {
        steps.insert(step)
      }
    }
  }

  /// As steps, in an order that is the same each time.
  var recorded: [String] {
    made.filter { $0 != Self.only }.sorted().map { Self.madePrefix + $0 }
      + left.sorted().map { Self.leftPrefix + $0 } + steps.sorted()
  }

  /// Whether what was made is at this place, for all that is known here.
  func isMade(at place: String) -> Bool {
    made.contains(place) || place == Self.only && !isInCluster
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

  /// Whether data can be destroyed at this place without that other data is forgotten.
  /// - Parameter isHere: whether it was found there, where it is recorded nowhere.
  /// - Throws: FAILED_PRECONDITION with DATA_ELSEWHERE, and the places.
  func require(_ place: String, isHere: Bool) throws(TenancyError) {
    if made.contains(place) { return }
    guard made.isEmpty else { throw Self.elsewhere(made) }
    if left.contains(place) { return }
    guard left.isEmpty else { throw Self.elsewhere(left) }
    guard place == Self.only || steps.isEmpty || isHere else { throw Self.elsewhere([]) }
  }

  /// Forgets data at other places.
  /// - Parameter isHere: as above.
  /// - Returns: these places.
  mutating func giveUp(allBut place: String, isHere: Bool) -> [String] {
    var given = made.union(left).subtracting([place])
    if made.isEmpty, !steps.isEmpty, place != Self.only, !isHere { given.insert(Self.unknown) }
    made.formIntersection([place])
    left.formIntersection([place])
    return given.sorted()
  }

  /// For people: what was not recorded.
  private static let unknown = "an unknown place"

  /// What was made here is to be destroyed.
  mutating func leave(at place: String) {
    made.remove(place)
    left.formUnion(made)
    left.insert(place)
    (made, steps) = ([], [])
  }

  /// Whether there is data of which nobody knows where it is.
  /// - Parameter isHere: as above.
  func isNowhere(but place: String, isHere: Bool) -> Bool {
    made.isEmpty && left.isEmpty && !steps.isEmpty && place != Self.only && !isHere
  }

  /// All that was made is to be destroyed, wherever it is.
  /// - Parameter isHere: as above.
  mutating func leaveAll(isHere: Bool, at place: String) {
    if made.isEmpty, !steps.isEmpty, place == Self.only || isHere { left.insert(place) }
    left.formUnion(made)
    (made, steps) = ([], [])
  }

  /// All is to be made here, where nothing is left.
  mutating func settle(at place: String) {
    left.formUnion(made)
    left.remove(place)
    (made, steps) = ([place], [])
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
    (places.left, places.made, places.steps) = (places.left.union(places.made), [], [])
    self.record(places, of: record.tenant.id)
  }
}
