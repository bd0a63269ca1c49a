/// What one tenant may have and do: so much that no honest tenant meets it, and so little that a
/// hostile one harms nobody. The same for all tenants by now; a plan's are to be values of this type.
///
/// The sizes are those of `TenantFootprint`. Only growth is refused: who has more than a quota allows, from
/// before there was one or since it became smaller, keeps it, and whatever makes it smaller is done.
public struct TenantQuotas: Hashable, Sendable {
  /// What may be used at once, and how fast that comes back.
  public struct Rate: Hashable, Sendable {
    /// How much at once, after a pause.
    public var burst: Int
    /// How much comes back in each second.
    public var perSecond: Int

    /// - Precondition: both are positive.
    public init(burst: Int, perSecond: Int) {
      precondition(burst > 0 && perSecond > 0, "a rate of nothing")
      self.burst = burst
      self.perSecond = perSecond
    }
  }

  /// Memory for settings, flags, roles, groups, keys of tokens and revocations: a thousand roles of eighty permissions each, or forty of as many
  /// and as long ones as there may be.
  public var residentBytes = 16 << 20
  /// Memory for assignments, of which there may be `RoleCommands.maximumAssignments`, and members of groups: as many of
  /// one kind with subjects of a hundred bytes.
  public var assignmentBytes = 48 << 20
  /// Disk for all of that. What the log has of it is bounded by `logBytes` and by how long it is kept.
  public var storedBytes = 32 << 20
  /// Growth of the log and of the audit chains, its own and others', by what the tenant's own workloads do: as
  /// much in a minute as at once.
  public var logBytes = Rate(burst: 16 << 20, perSecond: (16 << 20) / 60)
  /// Writes of the tenant's own workloads. A large one counts for several: one more for each KiB of its
  /// request and of what is written again with it.
  public var writes = Rate(burst: 5000, perSecond: 500)

  /// Each quota at its default.
  public init() {}

  /// So far may revocations, which nothing else refuses, go beyond what `logBytes` allows, if they write
  /// the rest of a role again. Those that only delete may always.
  static let reserve = 1
}

extension Quota {
  /// See `TenantQuotas.residentBytes`.
  public static let residentBytes = Quota(name: "resident-bytes", unit: "bytes")
  /// See `TenantQuotas.assignmentBytes`.
  public static let assignmentBytes = Quota(name: "assignment-bytes", unit: "bytes")
  /// See `TenantQuotas.storedBytes`.
  public static let storedBytes = Quota(name: "stored-bytes", unit: "bytes")
  /// See `TenantQuotas.logBytes`.
  public static let logBytes = Quota(name: "log-bytes", unit: "bytes")
  /// See `TenantQuotas.writes`.
  public static let writes = Quota(name: "writes", unit: "writes")
}
