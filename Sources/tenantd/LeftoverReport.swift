import Logging
import Tenancy

extension ControlState {
  /// Once: none of it comes to be any more.
  func reportLeftovers(to logger: Logger) {
    let leftovers = Leftovers(in: self)
    for (message, found) in [
      (
        "roles assigned to workloads of other tenants grant nothing: delete the assignments",
        leftovers.foreignAssignments
      ),
      ("tenants have the database and user of another tenant", leftovers.sharedDatabases),
    ] where found.count > 0 {
      logger.warning(
        "\(message)",
        metadata: [
          "count": "\(found.count)", "first": "\(found.examples.joined(separator: "; "))",
        ])
    }
  }
}
