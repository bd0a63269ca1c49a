/// Where a tenant's data lives, and who may change it.
extension TenantCommands {
  static func moves(from before: Tenant, to after: Tenant) -> Bool {
    after.isolationModel != before.isolationModel
      || after.configuration.schema != before.configuration.schema
      || after.configuration.shared != before.configuration.shared
      || address(after.configuration.database) != address(before.configuration.database)
      || parts(after.configuration) != parts(before.configuration)
  }

  /// A change of model leaves nothing of the old one behind, nor does one of categories, but for what is sent with it.
  static func dropUnused(of before: Tenant, from after: inout Tenant) {
    let hasNewModel = after.isolationModel != before.isolationModel
    let former = before.configuration
    guard hasNewModel || parts(after.configuration) != parts(former) else { return }
    if hasNewModel, !after.usesDatabase { after.configuration.database = nil }
    if hasNewModel, after.isolationModel != .hybrid { after.configuration.dataCategories = [] }
    if !after.usesSchema, hasNewModel || after.configuration.schema == former.schema {
      after.configuration.schema = nil
    }
    if !after.usesShared, hasNewModel || after.configuration.shared == former.shared {
      after.configuration.shared = nil
    }
  }

  /// Where they are to be made may change: what is there stays where it is.
  private static func parts(_ configuration: TenantConfiguration) -> [DataCategory] {
    configuration.dataCategories.map { DataCategory(name: $0.name, model: $0.model) }
  }

  /// As it is written: settings that make no other place of it may lead to other tables.
  private static func address(_ database: DatabaseConfiguration?) -> [String]? {
    guard let database, database.place != nil else { return nil }
    return [database.connectionString, database.username]
  }

  /// What a tenant's own identities get for an attempt to change slug, isolation model or database.
  public static let notTheirs = TenancyError(
    .permissionDenied, .permissionMissing,
    "only platform identities may change the slug or where data lives")

  /// Where data lives is the platform's business, and stays while there is data.
  static func checkMove(
    from before: Tenant, to after: Tenant, setsPassword: Bool, allowed: Bool
  ) throws(TenancyError) {
    let moves = moves(from: before, to: after)
    let touches =
      moves || setsPassword || after.configuration.database != before.configuration.database
      || after.configuration.placement != before.configuration.placement
      || after.configuration.dataCategories != before.configuration.dataCategories
    // A tenant that could label itself would be where the platform's filters look for others.
    let isNoted = after.slug != before.slug || after.metadata != before.metadata
    guard touches || isNoted else { return }
    guard allowed else { throw notTheirs }
    guard !moves || before.state == .pending || before.state == .provisionFailed else {
      throw TenancyError(
        .failedPrecondition, .illegalTransition,
        "where data lives can't change while resources are provisioned",
        metadata: ["state": before.state.rawValue])
    }
  }

  /// What is yet to be destroyed is found by where data lives.
  static func checkLeftovers(_ record: TenantRecord) throws(TenancyError) {
    if DataPlaces(record).left.isEmpty { return }
    throw TenancyError(
      .failedPrecondition, .illegalTransition,
      "where data lives can't change before the former data is destroyed: deprovision the tenant",
      metadata: ["state": record.tenant.state.rawValue])
  }
}
