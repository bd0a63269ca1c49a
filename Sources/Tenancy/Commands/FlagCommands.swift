/// What declares feature flags. It is for the platform.
public struct FlagCommands: Sendable {
  private static let field = "feature_flag"

  private let writer: CatalogWriter

  /// - Parameters:
  ///   - actor: who asks, for the log.
  ///   - judge: whether they may still when it is done.
  public init(_ plane: ControlPlane, actor: String, judge: WriteJudge) {
    writer = CatalogWriter(plane: plane, actor: actor, judge: judge)
  }

  /// Declares a flag.
  /// - Parameters:
  ///   - new: its version and times are not looked at.
  ///   - checks: what was found to be wrong with the request already.
  /// - Throws: INVALID_ARGUMENT with all that is wrong; ALREADY_EXISTS with FEATURE_FLAG_EXISTS; RESOURCE_EXHAUSTED
  ///   where there are `FeatureFlag.maximumCount`.
  public func create(
    _ new: FeatureFlag, checks: FieldChecks = FieldChecks(), validateOnly: Bool = false
  ) async throws(TenancyError) -> FeatureFlag {
    try await writer.write("feature_flags.create", "featureFlags/\(new.name)") {
      (transaction) throws(TenancyError) -> FeatureFlag in
      var checks = checks
      if !SettingDefinition.isName(new.name) {
        let most = SettingDefinition.maximumNameBytes
        checks.note(
          .invalid(
            "feature_flag_id", "1 to \(most) of a-z, A-Z, 0-9, '.', '_' and '-', a letter first"))
      }
      let made = FeatureFlag(
        name: new.name, summary: new.summary, rollout: new.rollout, tenants: new.tenants,
        subjects: new.subjects, salt: new.salt,
        editor: new.editor, createTime: transaction.now, updateTime: transaction.now)
      made.check(field: Self.field, &checks)
      try checks.finish()
      let catalog = transaction.state.catalog
      guard catalog.flag(new.name) == nil else {
        throw TenancyError(
          .alreadyExists, .featureFlagExists, "the flag \(new.name) is declared already")
      }
      guard catalog.flagCount < FeatureFlag.maximumCount else {
        throw .exhausted(.featureFlags, of: .server, limit: FeatureFlag.maximumCount)
      }
      if !validateOnly { transaction.emit(.putConfigurationItem(.flag(made))) }
      return made
    }
  }

  /// Declares a flag otherwise.
  /// - Parameters:
  ///   - etag: empty: any.
  ///   - change: makes the new flag of the present one, on the writer: quick, and without side effects.
  /// - Throws: NOT_FOUND with FEATURE_FLAG_NOT_FOUND, ABORTED with ETAG_MISMATCH, INVALID_ARGUMENT with all that is
  ///   wrong.
  public func update(
    _ name: String, etag: String, checks: FieldChecks = FieldChecks(), validateOnly: Bool = false,
    _ change: @escaping @Sendable (inout FeatureFlag) -> Void
  ) async throws(TenancyError) -> FeatureFlag {
    try await writer.write("feature_flags.update", "featureFlags/\(name)") {
      (transaction) throws(TenancyError) -> FeatureFlag in
      let before = try Self.current(name, etag, transaction.state)
      var after = before
      change(&after)
      var checks = checks
      after.check(field: Self.field, &checks)
      try checks.finish()
      guard !after.hasSameBytes(as: before) else { return before }
      after.version += 1
      after.updateTime = transaction.now
      if !validateOnly { transaction.emit(.putConfigurationItem(.flag(after))) }
      return after
    }
  }

  /// A flag is not declared any more.
  /// - Parameter etag: empty: any.
  /// - Throws: NOT_FOUND with FEATURE_FLAG_NOT_FOUND, ABORTED with ETAG_MISMATCH.
  public func delete(_ name: String, etag: String) async throws(TenancyError) {
    try await writer.write("feature_flags.delete", "featureFlags/\(name)") {
      (transaction) throws(TenancyError) in
      _ = try Self.current(name, etag, transaction.state)
      transaction.emit(.deleteConfigurationItem(.flag, id: name))
    }
  }

  /// There is no such flag.
  public static let notFound = TenancyError(
    .notFound, .featureFlagNotFound, "there is no such feature flag")

  private static func current(
    _ name: String, _ etag: String, _ state: ControlState
  ) throws(TenancyError) -> FeatureFlag {
    guard let flag = state.catalog.flag(name) else { throw notFound }
    try CatalogWriter.require(etag, flag.etag)
    return flag
  }
}
