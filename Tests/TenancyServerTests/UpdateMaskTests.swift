import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyServer

struct UpdateMaskTests {
  private static let all = ["slug", "display_name"]

  private static func mask(_ paths: [String]?) throws(TenancyError) -> UpdateMask {
    try UpdateMask(
      paths.map { GoogleProtobuf.FieldMask(paths: $0) }, all: all, isKnown: all.contains)
  }

  @Test(arguments: [nil, []] as [[String]?])
  func withoutAMaskWhatIsPopulatedCounts(_ paths: [String]?) throws {
    let mask = try Self.mask(paths)
    #expect(mask.isImplied)
    #expect(mask.covers("slug", populated: true))
    #expect(!mask.covers("slug", populated: false))
  }

  @Test func withAMaskWhatItNamesCounts() throws {
    let mask = try Self.mask(["slug", "slug"])
    #expect(!mask.isImplied)
    #expect(mask.covers("slug", populated: false))
    #expect(!mask.covers("display_name", populated: true))
  }

  @Test(arguments: [["*"], ["*", "slug"]])
  func aStarIsEverything(_ paths: [String]) throws {
    let mask = try Self.mask(paths)
    #expect(mask.paths == Set(Self.all))
  }

  @Test(arguments: ["", "Slug", "slug ", "slug.x", "state", "name", "**", "displayName"])
  func unknownPathsAreRefusedByTheirPosition(_ path: String) {
    for paths in [["slug", path], ["*", path]] {
      let error = thrown { () throws(TenancyError) in try Self.mask(paths) }
      #expect(error?.violations.first?.field == "update_mask.paths[1]")
    }
  }
}

struct UpdateMaskLimitTests {
  private static func refusedField(_ paths: [String]) -> String? {
    thrown { () throws(TenancyError) in
      try UpdateMask(GoogleProtobuf.FieldMask(paths: paths), all: []) { _ in true }
    }?.violations.first?.field
  }

  @Test func aMaskHasALimitOfPaths() {
    let paths = Array(repeating: "a", count: UpdateMask.maximumPaths)
    #expect(Self.refusedField(paths) == nil)
    #expect(Self.refusedField(paths + ["a"]) == "update_mask.paths")
  }

  @Test func aPathHasALimit() {
    let path = String(repeating: "a", count: UpdateMask.maximumPathBytes)
    #expect(Self.refusedField(["a", path]) == nil)
    #expect(Self.refusedField(["a", path + "a"]) == "update_mask.paths[1]")
  }

  /// Before the writer has to merge them.
  @Test func settingsThatAreTooLargeAreRefusedAtOnce() {
    for (count, isGood) in [(65_529, true), (65_530, false)] {
      let sent = V1.TenantConfiguration(
        customSettings: ["a": .string(String(repeating: "x", count: count - 1))])
      let error = thrown { () throws(TenancyError) in
        try ConfigurationChange(sent, nil, by: Sample.operator)
      }
      #expect((error == nil) == isGood)
      #expect(isGood || error?.violations.first?.field == "configuration.custom_settings")
    }
  }
}

struct ConfigurationChangeTests {
  private static let secret = SecretReference(version: 7, key: KeyID(high: 1, low: 2))
  private static let before = TenantConfiguration(
    database: DatabaseConfiguration(connectionString: "db", username: "u", password: secret),
    schema: SchemaConfiguration(schemaName: "s"),
    shared: SharedConfiguration(tenantIdentifier: "i"),
    customSettings: ["a": .number(1), "b": .object(["c": .null])],
    featureFlags: ["on": true, "off": false])

  private static func apply(
    _ sent: V1.TenantConfiguration, _ paths: [String]?, by caller: Caller = Sample.operator
  ) throws(TenancyError) -> TenantConfiguration {
    let mask = paths.map { GoogleProtobuf.FieldMask(paths: $0) }
    return try ConfigurationChange(sent, mask, by: caller).apply(before)
  }

  @Test func withoutAMaskWhatIsSentIsMerged() throws {
    #expect(try Self.apply(V1.TenantConfiguration(), nil) == Self.before)
    let after = try Self.apply(
      V1.TenantConfiguration(
        database: V1.DatabaseConfig(connectionString: "db2", username: "u2"),
        customSettings: ["b": .string("new"), "d": .bool(true)], featureFlags: ["off": true]),
      [])
    var wanted = Self.before
    wanted.database = DatabaseConfiguration(
      connectionString: "db2", username: "u2", password: Self.secret)
    wanted.customSettings = ["a": .number(1), "b": .string("new"), "d": .bool(true)]
    wanted.featureFlags = ["on": true, "off": true]
    #expect(after == wanted)
  }

  @Test func aPathReplacesOrRemoves() throws {
    let sent = V1.TenantConfiguration(customSettings: ["x": .null, "y": .null])
    var wanted = Self.before
    wanted.customSettings = ["x": .null, "y": .null]
    #expect(try Self.apply(sent, ["custom_settings"]) == wanted)
    wanted.featureFlags = [:]
    #expect(try Self.apply(sent, ["custom_settings", "feature_flags"]) == wanted)
    wanted = Self.before
    wanted.customSettings["a"] = nil
    wanted.customSettings["x"] = .null
    wanted.featureFlags["on"] = nil
    let paths = ["custom_settings.a", "custom_settings.x", "feature_flags.on"]
    #expect(try Self.apply(sent, paths) == wanted)
  }

  @Test func aWholeAndItsPartAreTheWhole() throws {
    let sent = V1.TenantConfiguration(customSettings: ["x": .null])
    for paths in [
      ["custom_settings", "custom_settings.a"], ["custom_settings.x", "custom_settings"],
    ] {
      #expect(try Self.apply(sent, paths).customSettings == ["x": .null])
    }
  }

  /// A whole leaves secrets alone that are not sent: the part says that one goes.
  @Test(arguments: [["secret_values"], ["*"], []])
  func aSecretThatIsNamedBesideItsWholeGoes(_ whole: [String]) throws {
    let sent = V1.TenantConfiguration(secretValues: ["b": "new"])
    let mask = GoogleProtobuf.FieldMask(paths: whole + ["secret_values.a"])
    let secrets = try ConfigurationChange(sent, mask, by: Sample.operator).secrets
    #expect(secrets.keys.sorted() == (whole.isEmpty ? ["a"] : ["a", "b"]))
    if case .some(.some) = secrets["a"] { Issue.record("it is set") }
  }

  @Test func aStarReplacesEverything() throws {
    let sent = V1.TenantConfiguration(schema: V1.SchemaConfig(schemaName: "new"))
    let wanted = TenantConfiguration(schema: SchemaConfiguration(schemaName: "new"))
    #expect(try Self.apply(sent, ["*"]) == wanted)
    #expect(
      try ConfigurationChange.replacement(by: sent, by: Sample.operator)(Self.before) == wanted)
  }

  @Test func aPasswordThatIsNotSentStays() throws {
    for paths in [nil, ["database"], ["*"]] {
      let kept = try Self.apply(
        V1.TenantConfiguration(database: V1.DatabaseConfig(connectionString: "x")), paths)
      #expect(kept.database?.password == Self.secret)
      #expect(kept.database?.connectionString == "x")
      #expect(try Self.password(V1.DatabaseConfig(password: "new"), paths) == "new")
      #expect(try Self.password(V1.DatabaseConfig(connectionString: "x"), paths) == nil)
    }
    #expect(try Self.password(V1.DatabaseConfig(password: "new"), ["feature_flags"]) == nil)
  }

  /// That which a change sets.
  private static func password(
    _ database: V1.DatabaseConfig, _ paths: [String]?
  ) throws -> String? {
    let mask = paths.map { GoogleProtobuf.FieldMask(paths: $0) }
    let change = try ConfigurationChange(
      V1.TenantConfiguration(database: database), mask, by: Sample.operator)
    return change.databasePassword.map { String(decoding: $0.reveal(), as: UTF8.self) }
  }

  /// Whether they are what the server has or not.
  @Test(arguments: [("db", ""), ("", "secret"), ("db", "secret"), ("db", "guess"), ("x", "")])
  func tenantsIdentitiesSendNoSecrets(_ connection: String, _ password: String) {
    let sent = V1.TenantConfiguration(
      database: V1.DatabaseConfig(
        connectionString: connection, username: "u", password: password))
    for paths in [nil, ["database"], ["*"], ["feature_flags"]] {
      let error = thrown { () throws(TenancyError) in
        try Self.apply(sent, paths, by: Sample.workload)
      }
      #expect(error?.reason == .permissionMissing)
    }
    let error = thrown { () throws(TenancyError) in
      try ConfigurationChange.replacement(by: sent, by: Sample.workload)(Self.before)
    }
    #expect(error?.reason == .permissionMissing)
  }

  @Test func whatTenantsIdentitiesReadTheyMaySendBack() throws {
    let read = V1.TenantConfiguration(Self.before, isPlatform: false)
    #expect(read.database?.connectionString == "" && read.database?.username == "u")
    #expect(try Self.apply(read, nil, by: Sample.workload) == Self.before)
    #expect(
      try ConfigurationChange.replacement(by: read, by: Sample.workload)(Self.before)
        == Self.before)
  }

  @Test func passwordsAreNeverAnswered() {
    let answer = V1.TenantConfiguration(Self.before, isPlatform: true)
    #expect(answer.database?.connectionString == "db")
    #expect(answer.database?.password == "")
    #expect(answer.database?.passwordSet == true)
    #expect(!answer.json().description.contains("secret"))
  }

  @Test(arguments: [
    "", "custom_settings.", "feature_flags.", "database.password", "schema.schema_name",
    "custom_settingsx", "customSettings", "name",
  ])
  func unknownPaths(_ path: String) {
    let error = thrown { () throws(TenancyError) in
      try Self.apply(V1.TenantConfiguration(), [path])
    }
    #expect(error?.violations.first?.field == "update_mask.paths[0]")
  }
}
