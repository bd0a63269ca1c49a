/// What stores of earlier versions may hold and commands refuse by now. It is kept, and harmless or passed
/// over; operators are told once, so that they can tidy up.
public struct Leftovers: Sendable {
  /// Examples that are kept of each kind.
  static let maximumExamples = 10

  /// What was found of one kind.
  public struct Found: Sendable, Hashable {
    /// All of them, those without an example too.
    public private(set) var count = 0
    /// The first of them, in words for operators.
    public private(set) var examples: [String] = []

    mutating func note(_ example: @autoclosure () -> String) {
      count += 1
      if examples.count < Leftovers.maximumExamples { examples.append(example()) }
    }
  }

  /// Roles assigned to workloads of other tenants. They grant nothing.
  public private(set) var foreignAssignments = Found()
  /// Tenants whose database and user are another tenant's as well.
  public private(set) var sharedDatabases = Found()

  /// Looks at every tenant and assignment: for the start.
  public init(in state: ControlState) {
    var (tenants, budget) = (state.tenants(), WorkBudget.uncapped)
    while let record = tenants.next(&budget) {
      let tenant = record.tenant
      if let place = tenant.configuration.database?.place, let owner = state.owner(of: place),
        owner != tenant.id
      {
        sharedDatabases.note("\(tenant.id) has that of \(owner)")
      }
      var (assignments, budget) = (record.policy.assignments(), WorkBudget.uncapped)
      while let assignment = assignments.next(&budget) {
        guard ForeignSubjects.isForeign(assignment.subject, to: tenant.id, state) else { continue }
        foreignAssignments.note(
          "tenants/\(tenant.id)/assignments/\(assignment.id) to \(assignment.subject)")
      }
    }
  }
}
