/// What declares tenants' settings. Each command is one transaction of the control plane. It is for the platform.
public struct SettingCommands: Sendable {
  private static let field = "setting_definition"

  private let writer: CatalogWriter

  /// - Parameters:
  ///   - actor: who asks, for the log.
  ///   - judge: whether they may still when it is done.
  public init(_ plane: ControlPlane, actor: String, judge: WriteJudge) {
    writer = CatalogWriter(plane: plane, actor: actor, judge: judge)
  }

  /// Declares a setting. Values that tenants have already are not looked at: `ConfigurationCatalog.check` judges those
  /// that are written from now on.
  /// - Parameters:
  ///   - new: its version and times are not looked at.
  ///   - checks: what was found to be wrong with the request already.
  /// - Throws: INVALID_ARGUMENT with all that is wrong; ALREADY_EXISTS with SETTING_DEFINITION_EXISTS;
  ///   RESOURCE_EXHAUSTED where there are `SettingDefinition.maximumCount`.
  public func create(
    _ new: SettingDefinition, checks: FieldChecks = FieldChecks(), validateOnly: Bool = false
  ) async throws(TenancyError) -> SettingDefinition {
    try await writer.write("setting_definitions.create", "settingDefinitions/\(new.name)") {
      (transaction) throws(TenancyError) -> SettingDefinition in
      var checks = checks
      if !SettingDefinition.isName(new.name) {
        let most = SettingDefinition.maximumNameBytes
        checks.note(
          .invalid(
            "setting_definition_id",
            "1 to \(most) of a-z, A-Z, 0-9, '.', '_' and '-', a letter first"))
      }
      new.check(field: Self.field, &checks)
      new.checkSecret(field: Self.field, &checks)
      try checks.finish()
      let catalog = transaction.state.catalog
      guard catalog.setting(new.name) == nil else {
        throw TenancyError(
          .alreadyExists, .settingDefinitionExists, "the setting \(new.name) is declared already")
      }
      guard catalog.settingCount < SettingDefinition.maximumCount else {
        throw .exhausted(
          .settingDefinitions, of: .server, limit: SettingDefinition.maximumCount)
      }
      try Self.checkDefaults(with: new, catalog)
      let made = new.made(at: transaction.now)
      if !validateOnly { transaction.emit(.putConfigurationItem(.setting(made))) }
      return made
    }
  }

  /// Declares a setting otherwise. As with `create`, tenants' values are not looked at.
  /// - Parameters:
  ///   - etag: empty: any.
  ///   - change: makes the new definition of the present one, on the writer: quick, and without side effects.
  /// - Throws: NOT_FOUND with SETTING_DEFINITION_NOT_FOUND, ABORTED with ETAG_MISMATCH, INVALID_ARGUMENT with all that
  ///   is wrong.
  public func update(
    _ name: String, etag: String, checks: FieldChecks = FieldChecks(), validateOnly: Bool = false,
    _ change: @escaping @Sendable (inout SettingDefinition) -> Void
  ) async throws(TenancyError) -> SettingDefinition {
    try await writer.write("setting_definitions.update", "settingDefinitions/\(name)") {
      (transaction) throws(TenancyError) -> SettingDefinition in
      let before = try Self.current(name, etag, transaction.state)
      var after = before
      change(&after)
      var checks = checks
      after.check(field: Self.field, &checks)
      if after.isSecret != before.isSecret || after.type != before.type {
        after.checkSecret(field: Self.field, &checks)
      }
      try checks.finish()
      guard !after.hasSameBytes(as: before) else { return before }
      if after.defaultBytes > before.defaultBytes {
        try Self.checkDefaults(with: after, transaction.state.catalog)
      }
      after.version += 1
      after.updateTime = transaction.now
      if !validateOnly { transaction.emit(.putConfigurationItem(.setting(after))) }
      return after
    }
  }

  /// A setting is not declared any more. The values that tenants have stay.
  /// - Parameter etag: empty: any.
  /// - Throws: NOT_FOUND with SETTING_DEFINITION_NOT_FOUND, ABORTED with ETAG_MISMATCH.
  public func delete(_ name: String, etag: String) async throws(TenancyError) {
    try await writer.write("setting_definitions.delete", "settingDefinitions/\(name)") {
      (transaction) throws(TenancyError) in
      _ = try Self.current(name, etag, transaction.state)
      transaction.emit(.deleteConfigurationItem(.setting, id: name))
    }
  }

  /// What would be wrong with a definition.
  /// - Throws: INVALID_ARGUMENT with all of it.
  public static func check(_ definition: SettingDefinition) throws(TenancyError) {
    var checks = FieldChecks()
    definition.check(field: field, &checks)
    try checks.finish()
  }

  /// There is no such definition.
  public static let notFound = TenancyError(
    .notFound, .settingDefinitionNotFound, "there is no such setting definition")

  private static func current(
    _ name: String, _ etag: String, _ state: ControlState
  ) throws(TenancyError) -> SettingDefinition {
    guard let definition = state.catalog.setting(name) else { throw notFound }
    try CatalogWriter.require(etag, definition.etag)
    return definition
  }

  /// All defaults are answered at once, where a tenant asks for what it has.
  private static func checkDefaults(
    with definition: SettingDefinition, _ catalog: ConfigurationCatalog
  ) throws(TenancyError) {
    guard definition.defaultValue != nil else { return }
    var (all, budget) = (catalog.settings(), WorkBudget.uncapped)
    var bytes = definition.defaultBytes
    while let other = all.next(&budget) {
      if other.name != definition.name { bytes += other.defaultBytes }
    }
    guard bytes <= SettingDefinition.maximumBytesOfDefaults else {
      throw .invalid(
        "\(field).default_value",
        "all defaults together have more than \(SettingDefinition.maximumBytesOfDefaults) bytes")
    }
  }
}

extension SettingDefinition {
  /// Those of earlier versions of the program may be otherwise.
  fileprivate func checkSecret(field: String, _ checks: inout FieldChecks) {
    guard isSecret, type != .string else { return }
    checks.note(.invalid("\(field).secret", "only for STRING"))
  }

  /// The first version of it.
  fileprivate func made(at now: Timestamp) -> SettingDefinition {
    SettingDefinition(
      name: name, summary: summary, type: type, defaultValue: defaultValue, minimum: minimum,
      maximum: maximum, allowedValues: allowedValues, minimumLength: minimumLength,
      maximumLength: maximumLength, isSecret: isSecret, editor: editor,
      sinceVersion: sinceVersion, createTime: now, updateTime: now)
  }
}
