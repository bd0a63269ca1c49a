import ArgumentParser
import Tenancy
import TenancyWire

/// A tenant's configuration on the command line.
struct ConfigurationOptions: ParsableArguments {
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

  /// What is given, and nothing else.
  func message() throws(UsageError) -> V1.TenantConfiguration {
    let settings = try KeyValue.dictionary(settings, option: "--setting") {
      pair throws(UsageError) in try pair.json()
    }
    return V1.TenantConfiguration(
      database: try database(),
      schema: schemaName.map { V1.SchemaConfig(schemaName: $0) },
      shared: tenantIdentifier.map { V1.SharedConfig(tenantIdentifier: $0) },
      customSettings: settings.isEmpty ? nil : settings,
      featureFlags: try KeyValue.dictionary(flags, option: "--flag") {
        pair throws(UsageError) in try pair.bool()
      })
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
    setting configuration: V1.TenantConfiguration, unsetSettings: [String], unsetFlags: [String]
  ) throws(UsageError) {
    var paths: [String] = []
    if configuration.database != nil { paths.append("database") }
    if configuration.schema != nil { paths.append("schema") }
    if configuration.shared != nil { paths.append("shared") }
    paths += try Self.paths(
      "custom_settings", set: configuration.customSettings?.keys.sorted() ?? [],
      unset: unsetSettings)
    paths += try Self.paths(
      "feature_flags", set: configuration.featureFlags.keys.sorted(), unset: unsetFlags)
    guard !paths.isEmpty else { throw UsageError("nothing to change") }
    self.configuration = configuration
    mask = GoogleProtobuf.FieldMask(paths: paths)
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
