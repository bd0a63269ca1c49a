import ArgumentParser
import Tenancy
import TenancyWire

/// A tenant's configuration on the command line.
struct ConfigurationOptions: ParsableArguments {
  @OptionGroup var place: PlaceOptions

  @Option(
    name: .customLong("setting"),
    help: ArgumentHelp(
      "A setting: JSON, or text if it is not JSON. May be repeated.", valueName: "key=value"),
    transform: KeyValue.init(parsing:))
  var settings: [KeyValue] = []

  @Option(
    name: .customLong("flag"),
    help: ArgumentHelp("A feature flag. May be repeated.", valueName: "name=true|false"),
    transform: KeyValue.init(parsing:))
  var flags: [KeyValue] = []

  @Option(
    name: .customLong("route"),
    help: ArgumentHelp(
      "What HTTP requests need that come through Envoy. May be repeated: the first that covers one counts.",
      valueName: "[METHODS] PATH PERMISSION"),
    transform: RouteText.parse)
  var routes: [V1.RouteRule] = []

  @Option(
    help: "By which of the platform's plans its HTTP requests are limited that come through Envoy.")
  var plan: String?

  @Option(
    name: .customLong("limit"),
    help: ArgumentHelp(
      "A limit in place of the plan's, such as 100/second, or 'uploads 10/minute 20'. May be repeated.",
      valueName: "[NAME] NUMBER/PERIOD [BURST]"),
    transform: LimitText.parse)
  var limits: [V1.RequestLimit] = []

  /// What is given, and nothing else.
  func message() throws(UsageError) -> V1.TenantConfiguration {
    let settings = try KeyValue.dictionary(settings, option: "--setting") {
      pair throws(UsageError) in try pair.json()
    }
    var message = try place.message()
    message.customSettings = settings.isEmpty ? nil : settings
    message.featureFlags = try KeyValue.dictionary(flags, option: "--flag") {
      pair throws(UsageError) in try pair.bool()
    }
    message.routes = routes
    if plan != nil || !limits.isEmpty {
      message.limits = V1.RequestLimits(plan: plan ?? "", limits: limits)
    }
    return message
  }
}

/// Where a tenant's data is, on the command line.
struct PlaceOptions: ParsableArguments {
  @Option(help: "SCHEMA and HYBRID isolation: the schema's name.")
  var schemaName: String?

  @Option(help: "SHARED and HYBRID isolation: the value of the tenant column.")
  var tenantIdentifier: String?

  @Option(help: "DATABASE isolation: where the database is.")
  var connectionString: String?

  @Option(help: "DATABASE isolation: the user; needs --connection-string.")
  var username: String?

  @Option(
    help: ArgumentHelp(
      "DATABASE isolation: a file that holds the password, - for stdin; needs --connection-string.",
      valueName: "file"))
  var passwordFile: String?

  @Option(help: "The region of the cluster that its data is made in.")
  var region: String?

  @Option(help: "The cluster that its data is made in; empty: the server chooses.")
  var cluster: String?

  @Option(
    name: .customLong("category"),
    help: ArgumentHelp(
      "HYBRID isolation: a kind of data that is kept apart, as a database, a schema or in shared tables, and where, "
        + "such as documents=database@eu-1. May be repeated.", valueName: "name=model[@cluster]"),
    transform: CategoryText.parse)
  var categories: [V1.DataCategory] = []

  /// What is given, and nothing else.
  func message() throws(UsageError) -> V1.TenantConfiguration {
    V1.TenantConfiguration(
      database: try database(),
      schema: schemaName.map { V1.SchemaConfig(schemaName: $0) },
      shared: tenantIdentifier.map { V1.SharedConfig(tenantIdentifier: $0) },
      placement: region == nil && cluster == nil
        ? nil : V1.TenantPlacement(region: region ?? "", cluster: cluster ?? ""),
      dataCategories: categories)
  }

  /// Written as a whole: a user or a password without its database would unset the rest.
  private func database() throws(UsageError) -> V1.DatabaseConfig? {
    guard let connectionString else {
      if username == nil, passwordFile == nil { return nil }
      throw UsageError("--username and --password-file need --connection-string")
    }
    var database = V1.DatabaseConfig(connectionString: connectionString, username: username ?? "")
    if let passwordFile { database.password = try InputFile.secret(passwordFile) }
    return database
  }
}

/// A change of parts of a configuration.
struct ConfigurationChange: Equatable {
  let configuration: V1.TenantConfiguration
  /// What changes; what is in here but not in `configuration` is removed.
  let mask: GoogleProtobuf.FieldMask

  /// Sets what `configuration` has, and removes the settings and flags named.
  init(
    setting configuration: V1.TenantConfiguration, unsetSettings: [String] = [],
    unsetFlags: [String] = [], unsetSecrets: [String] = [], unsetsRoutes: Bool = false,
    unsetsLimits: Bool = false
  ) throws(UsageError) {
    var paths: [String] = []
    if configuration.database != nil { paths.append("database") }
    if configuration.schema != nil { paths.append("schema") }
    if configuration.shared != nil { paths.append("shared") }
    if configuration.placement != nil { paths.append("placement") }
    if !configuration.dataCategories.isEmpty { paths.append("data_categories") }
    paths += try Self.paths(
      "custom_settings", set: configuration.customSettings?.keys.sorted() ?? [],
      unset: unsetSettings)
    paths += try Self.paths(
      "feature_flags", set: configuration.featureFlags.keys.sorted(), unset: unsetFlags)
    paths += try Self.paths(
      "secret_values", set: configuration.secretValues.keys.sorted(), unset: unsetSecrets)
    if unsetsRoutes, !configuration.routes.isEmpty {
      throw UsageError("routes can't be both set and unset")
    }
    if unsetsRoutes || !configuration.routes.isEmpty { paths.append("routes") }
    paths += try Self.limits(of: configuration, unsets: unsetsLimits)
    guard !paths.isEmpty else { throw UsageError("nothing to change") }
    self.configuration = configuration
    mask = GoogleProtobuf.FieldMask(paths: paths)
  }

  private static func limits(
    of configuration: V1.TenantConfiguration, unsets: Bool
  ) throws(UsageError) -> [String] {
    guard let limits = configuration.limits else { return unsets ? ["limits"] : [] }
    guard !unsets else { throw UsageError("limits can't be both set and unset") }
    return (limits.plan.isEmpty ? [] : ["limits.plan"])
      + (limits.limits.isEmpty ? [] : ["limits.limits"])
  }

  private static func paths(
    _ field: String, set: [String], unset: [String]
  ) throws(UsageError) -> [String] {
    if let both = unset.first(where: set.contains) {
      throw UsageError("'\(both)' can't be both set and unset")
    }
    return (set + unset).map { "\(field).\($0)" }
  }
}

/// `GET,POST /orders/** orders:read`, where the methods may be left out: a rule as options take it.
enum RouteText {
  static func parse(_ text: String) throws(UsageError) -> V1.RouteRule {
    let parts = text.split(separator: " ").map(String.init)
    guard (2...3).contains(parts.count), let permission = parts.last else {
      throw UsageError("'\(text)' is not [METHODS] PATH PERMISSION")
    }
    let methods = parts.count == 3 ? parts[0].split(separator: ",").map(String.init) : []
    return V1.RouteRule(
      methods: methods, path: parts[parts.count - 2], permission: permission)
  }

  static func text(of rule: V1.RouteRule) -> String {
    let methods = rule.methods.isEmpty ? [] : [rule.methods.joined(separator: ",")]
    return (methods + [rule.path, rule.permission]).joined(separator: " ")
  }
}
