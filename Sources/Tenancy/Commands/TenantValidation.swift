/// The rules for what a tenant may look like. Field names are those of the API.
public enum TenantRules {
  static let maximumDisplayNameLength = 200
  static let maximumSettingsBytes = 64 * 1024
  static let maximumSettingsDepth = 32
  static let maximumFeatureFlags = 1000
  static let maximumFlagNameLength = 128
  static let maximumConnectionStringBytes = 2048
  static let maximumCredentialBytes = 1024
  /// PostgreSQL's NAMEDATALEN - 1.
  static let maximumSchemaNameLength = 63
  static let maximumTenantIdentifierBytes = 128

  static func check(displayName: String) throws(TenancyError) {
    guard !displayName.isEmpty, displayName.hasAtMost(characters: maximumDisplayNameLength),
      displayName.unicodeScalars.allSatisfy({ !isControl($0) })
    else {
      throw .invalid(
        "tenant.display_name", "1 to \(maximumDisplayNameLength) characters, none of them control")
    }
  }

  /// Why an operator does something.
  /// - Throws: `.invalidArgument` unless it is 1 to 500 characters, none of them control.
  public static func check(reason: String) throws(TenancyError) {
    guard !reason.isEmpty, reason.hasAtMost(characters: Lifecycle.maximumReasonLength),
      reason.unicodeScalars.allSatisfy({ !isControl($0) })
    else {
      throw .invalid(
        "reason", "1 to \(Lifecycle.maximumReasonLength) characters, none of them control")
    }
  }

  static func slug(_ text: String, displayName: String) throws(TenancyError) -> Slug {
    if text.isEmpty {
      if let derived = Slug(deriving: displayName) { return derived }
      throw .invalid("tenant.slug", "none can be made from the display name: give one")
    }
    guard !TenantID.isUUID(text) else {
      throw .invalid("tenant.slug", "must not have the form of a UUID: it would read as an id")
    }
    guard let slug = Slug(parsing: text) else {
      throw .invalid("tenant.slug", "a lower-case DNS label: 1 to 63 of a-z, 0-9 and '-'")
    }
    return slug
  }

  /// Fills in the names that follow from the tenant itself.
  static func complete(
    _ configuration: TenantConfiguration, model: IsolationModel, id: TenantID, slug: Slug
  ) -> TenantConfiguration {
    var result = configuration
    if configuration.usesSchema(model), (result.schema?.schemaName ?? "").isEmpty {
      result.schema = SchemaConfiguration(schemaName: schemaName(for: slug))
    }
    if configuration.usesShared(model), (result.shared?.tenantIdentifier ?? "").isEmpty {
      result.shared = SharedConfiguration(tenantIdentifier: id.description)
    }
    return result
  }

  /// Checks a configuration before it is completed.
  /// - Parameter model: nil if it was refused itself.
  static func check(
    _ configuration: TenantConfiguration, model: IsolationModel?, _ checks: inout FieldChecks
  ) throws(TenancyError) {
    if let model { check(configuration, fits: model, &checks) }
    // An empty name is one to be filled in.
    if let name = configuration.schema?.schemaName, !name.isEmpty, !isSchemaName(name) {
      checks.note(
        .invalid(
          "configuration.schema.schema_name",
          "1 to \(maximumSchemaNameLength) of a-z, 0-9 and '_', not starting with a digit"))
    }
    if let name = configuration.shared?.tenantIdentifier, !name.isEmpty,
      !isTenantIdentifier(name)
    {
      checks.note(
        .invalid(
          "configuration.shared.tenant_identifier",
          "1 to \(maximumTenantIdentifierBytes) printable ASCII characters"))
    }
    if let database = configuration.database { check(database, &checks) }
    check(configuration.placement, "configuration.placement", &checks)
    check(configuration.dataCategories, &checks)
    try checks.value { () throws(TenancyError) in
      try check(settings: configuration.customSettings)
    }
    try checks.value { () throws(TenancyError) in try check(flags: configuration.featureFlags) }
    try checks.value { () throws(TenancyError) in try check(routes: configuration.routes) }
    try checks.value { () throws(TenancyError) in
      try LimitPlans.refuseRepetition(
        in: configuration.limits?.limits ?? [], field: "configuration.limits.limits")
    }
  }

  private static func check(
    _ placement: PlacementSettings?, _ field: String, _ checks: inout FieldChecks
  ) {
    guard let placement else { return }
    for (part, name) in [("region", placement.region), ("cluster", placement.cluster)]
    where !name.isEmpty && !PlacementSettings.isName(name) {
      checks.note(.invalid("\(field).\(part)", "a name is written as a slug"))
    }
  }

  private static func check(_ categories: [DataCategory], _ checks: inout FieldChecks) {
    let field = "configuration.data_categories"
    guard categories.count <= DataCategory.maximumCount else {
      return checks.note(.invalid(field, "more than \(DataCategory.maximumCount)"))
    }
    var names: Set<String> = []
    for (index, category) in categories.enumerated() {
      let field = "\(field)[\(index)]"
      if !DataCategory.isName(category.name) {
        checks.note(
          .invalid(
            "\(field).category",
            "1 to \(DataCategory.maximumNameBytes) of a-z, 0-9 and '_', starting with a letter"))
      } else if !names.insert(category.name).inserted {
        checks.note(.invalid("\(field).category", "there is another of this name"))
      }
      if category.model == .hybrid {
        checks.note(.invalid("\(field).isolation_model", "one of DATABASE, SCHEMA and SHARED"))
      }
      check(category.placement, "\(field).placement", &checks)
    }
  }

  private static func check(routes: [RouteRule]) throws(TenancyError) {
    guard routes.count <= RouteRule.maximumCount else {
      throw .invalid("configuration.routes", "more than \(RouteRule.maximumCount)")
    }
    for (index, rule) in routes.enumerated() where rule.permission.isEmpty {
      throw .invalid(
        "configuration.routes[\(index)].permission",
        "must not be empty: which requests need no identity is the platform's to say")
    }
  }

  private static func check(
    _ configuration: TenantConfiguration, fits model: IsolationModel, _ checks: inout FieldChecks
  ) {
    let hasCategories = model == .hybrid && !configuration.dataCategories.isEmpty
    if !configuration.usesSchema(model), configuration.schema != nil {
      checks.note(
        .invalid(
          "configuration.schema",
          hasCategories
            ? "not with data categories, whose schemas have names of their own"
            : "only for SCHEMA and HYBRID isolation"))
    }
    if !configuration.usesShared(model), configuration.shared != nil {
      checks.note(
        .invalid(
          "configuration.shared",
          hasCategories
            ? "none of the data categories is SHARED" : "only for SHARED and HYBRID isolation"))
    }
    if model != .hybrid, !configuration.dataCategories.isEmpty {
      checks.note(.invalid("configuration.data_categories", "only for HYBRID isolation"))
    }
    if !model.usesDatabase, configuration.database != nil {
      checks.note(.invalid("configuration.database", "only for DATABASE isolation"))
    }
  }

  /// For strings that are new: a store of an earlier version may hold others.
  static func checkSecrets(in database: DatabaseConfiguration?) throws(TenancyError) {
    guard let database, ConnectionStrings.holdsSecret(database.connectionString) else { return }
    throw .invalid(
      "configuration.database.connection_string",
      "must not hold a password: give it as configuration.database.password")
  }

  private static func check(_ database: DatabaseConfiguration, _ checks: inout FieldChecks) {
    for (field, text, limit) in [
      ("connection_string", database.connectionString, maximumConnectionStringBytes),
      ("username", database.username, maximumCredentialBytes),
    ] where text.utf8.count > limit {
      checks.note(.invalid("configuration.database.\(field)", "at most \(limit) bytes"))
    }
  }

  static func check(password: ClearSecret?, _ checks: inout FieldChecks) {
    guard let password, password.byteCount > maximumCredentialBytes else { return }
    checks.note(
      .invalid("configuration.database.password", "at most \(maximumCredentialBytes) bytes"))
  }

  /// Checks the size of settings, and no more of it than that takes.
  public static func check(
    settings: [String: JSONValue], field: String = "configuration.custom_settings"
  ) throws(TenancyError) {
    var bytes = 0
    guard measure(.object(settings), depth: 0, into: &bytes) else {
      throw .invalid(field, "nested deeper than \(maximumSettingsDepth)")
    }
    guard bytes <= maximumSettingsBytes else {
      throw .invalid(field, "more than \(maximumSettingsBytes) bytes")
    }
  }

  static func check(
    flags: [String: Bool], field: String = "configuration.feature_flags"
  ) throws(TenancyError) {
    guard flags.count <= maximumFeatureFlags else {
      throw .invalid(field, "more than \(maximumFeatureFlags)")
    }
    for name in flags.keys where !(1...maximumFlagNameLength).contains(name.utf8.count) {
      throw .invalid(field, "names have 1 to \(maximumFlagNameLength) bytes")
    }
  }

  /// Adds up text and a few bytes for each value, until there are too many; false when nested too deep.
  static func measure(_ value: JSONValue, depth: Int, into bytes: inout Int) -> Bool {
    guard depth <= maximumSettingsDepth else { return false }
    guard bytes <= maximumSettingsBytes else { return true }
    switch value {
    case .null, .bool: bytes += 4
    case .number: bytes += 8
    case .string(let text): bytes += text.utf8.count + 2
    case .array(let items):
      bytes += 2
      for item in items where !measure(item, depth: depth + 1, into: &bytes) { return false }
    case .object(let members):
      bytes += 2
      for (key, item) in members {
        bytes += key.utf8.count + 3
        if !measure(item, depth: depth + 1, into: &bytes) { return false }
      }
    }
    return true
  }

  private static func schemaName(for slug: Slug) -> String {
    let name = slug.text.map { $0 == "-" ? "_" : $0 }
    let prefix = name.first.map { $0.isNumber } == true ? "t_" : ""
    return String((prefix + name).prefix(maximumSchemaNameLength))
  }

  /// Whether it is an SQL identifier that needs no quotes: 1 to 63 of a-z, 0-9 and `_`, the first no digit.
  public static func isSchemaName(_ text: String) -> Bool {
    guard let first = text.utf8.first, text.utf8.count <= maximumSchemaNameLength else {
      return false
    }
    let isDigit: (UInt8) -> Bool = { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    return !isDigit(first)
      && text.utf8.allSatisfy {
        isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
          || $0 == UInt8(ascii: "_")
      }
  }

  /// Whether it can stand for a tenant in shared tables: 1 to 128 printable ASCII characters, no space.
  public static func isTenantIdentifier(_ text: String) -> Bool {
    (1...maximumTenantIdentifierBytes).contains(text.utf8.count)
      && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
  }
}
