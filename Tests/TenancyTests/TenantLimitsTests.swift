import TenancyTestSupport
import Testing

@testable import Tenancy

/// Every limit of a tenant's content, at it and one past it.
struct TenantLimitsTests {
  private let test: TestPlane

  init() throws { test = try TestPlane(sealer: TestSealer(active: true)) }

  /// The field that creating such a tenant is refused for; nil: it is not.
  private func violation(
    name: String = "Name", slug: String = "acme", model: IsolationModel = .hybrid,
    password: String? = nil, _ change: (inout TenantConfiguration) -> Void = { _ in }
  ) async -> String? {
    var configuration = TenantConfiguration()
    change(&configuration)
    let new = TenantCommands.NewTenant(
      slug: slug, displayName: name, isolationModel: model, configuration: configuration,
      databasePassword: password.map { ClearSecret($0) })
    let error = await refusal { () async throws(TenancyError) in
      try await TenantCommands(test.plane, actor: "test").create(new, validateOnly: true)
    }
    guard let error else { return nil }
    #expect(error.category == .invalidArgument)
    return error.violations.first?.field ?? "none"
  }

  private static func text(_ count: Int, of character: Character = "a") -> String {
    String(repeating: character, count: count)
  }

  /// One past the bound, all of the same day.
  @Test func theOldestRequestMakesRoomForAnother() async throws {
    let now = test.clock.now.nanoseconds
    try await test.put(Sample.tenant(1))
    try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      for number in 0..<RequestKey.Bounds().platforms {
        transaction.emit(
          .rememberRequest(
            RememberedRequest(
              actor: "test", requestID: "\(number)", digest: "", tenant: Sample.id(1),
              time: Timestamp(nanoseconds: now + Int64(number)))), about: Sample.id(1))
      }
    }
    let new = TenantCommands.NewTenant(
      slug: "b", displayName: "B", isolationModel: .hybrid, configuration: TenantConfiguration(),
      requestID: "b")
    _ = try await TenantCommands(test.plane, actor: "test").create(new, validateOnly: false)
    let state = test.plane.state
    #expect(state.requests.count == RequestKey.Bounds().platforms)
    #expect(state.request("0", of: "test") == nil)
    #expect(state.request("1", of: "test") != nil && state.request("b", of: "test") != nil)
  }

  @Test(arguments: [
    ("a", true), (text(200), true), (text(201), false), (text(200, of: "é"), true), ("", false),
    ("a\u{0}", false), ("a\n", false), ("a\u{7F}", false), ("a\u{85}", false), ("東京 – Ω", true),
    (text(100, of: "e\u{301}"), true), (text(101, of: "e\u{301}"), false),
  ])
  func displayNames(_ name: String, _ isGood: Bool) async {
    #expect(await violation(name: name) == (isGood ? nil : "tenant.display_name"))
  }

  @Test(arguments: [(text(63), true), (text(64), false), ("A", false)])
  func slugs(_ slug: String, _ isGood: Bool) async {
    #expect(await violation(slug: slug) == (isGood ? nil : "tenant.slug"))
  }

  @Test func aSlugMustBeGivenWhereNoneCanBeMade() async {
    #expect(await violation(name: "東京", slug: "") == "tenant.slug")
  }

  @Test(arguments: [
    (text(63), true), (text(64), false), ("_a1", true), ("1a", false), ("a-b", false),
    ("A", false), ("a;b", false), ("a\"", false), ("ä", false),
  ])
  func schemaNames(_ name: String, _ isGood: Bool) async {
    let field = await violation { $0.schema = SchemaConfiguration(schemaName: name) }
    #expect(field == (isGood ? nil : "configuration.schema.schema_name"))
  }

  @Test(arguments: [
    (text(128), true), (text(129), false), ("a b", false), ("a\u{7F}", false), ("ä", false),
  ])
  func tenantIdentifiers(_ identifier: String, _ isGood: Bool) async {
    let field = await violation { $0.shared = SharedConfiguration(tenantIdentifier: identifier) }
    #expect(field == (isGood ? nil : "configuration.shared.tenant_identifier"))
  }

  @Test(
    arguments: [
      (2048, 1024, 1024, nil), (2049, 1, 1, "connection_string"), (1, 1025, 1, "username"),
      (1, 1, 1025, "password"),
    ] as [(Int, Int, Int, String?)])
  func databases(_ connection: Int, _ user: Int, _ password: Int, _ field: String?) async {
    let found = await violation(model: .database, password: Self.text(password)) {
      $0.database = DatabaseConfiguration(
        connectionString: Self.text(connection), username: Self.text(user))
    }
    #expect(found == field.map { "configuration.database.\($0)" })
  }

  @Test func onlyWhatTheModelUsesMayBeGiven() async {
    let all: [(String, [IsolationModel], @Sendable (inout TenantConfiguration) -> Void)] = [
      (
        "database", [.database],
        {
          $0.database = DatabaseConfiguration(connectionString: "", username: "")
        }
      ),
      ("schema", [.schema, .hybrid], { $0.schema = SchemaConfiguration(schemaName: "s") }),
      ("shared", [.shared, .hybrid], { $0.shared = SharedConfiguration(tenantIdentifier: "i") }),
    ]
    for (name, models, give) in all {
      for model in IsolationModel.allCases {
        let field = await violation(model: model, give)
        #expect(field == (models.contains(model) ? nil : "configuration.\(name)"))
      }
    }
  }

  @Test(arguments: [(1000, true), (1001, false)])
  func featureFlags(_ count: Int, _ isGood: Bool) async {
    let flags = Dictionary(uniqueKeysWithValues: (0..<count).map { ("flag-\($0)", true) })
    #expect(
      await violation { $0.featureFlags = flags } == (isGood ? nil : "configuration.feature_flags"))
  }

  @Test(arguments: [(0, false), (1, true), (128, true), (129, false)])
  func featureFlagNames(_ length: Int, _ isGood: Bool) async {
    let field = await violation { $0.featureFlags = [Self.text(length): true] }
    #expect(field == (isGood ? nil : "configuration.feature_flags"))
  }

  /// A string counts two bytes more than its text, its key three, the object around it two.
  @Test(arguments: [(64 * 1024 - 8, true), (64 * 1024 - 7, false)])
  func settingsBytes(_ length: Int, _ isGood: Bool) async {
    let field = await violation { $0.customSettings = ["k": .string(Self.text(length))] }
    #expect(field == (isGood ? nil : "configuration.custom_settings"))
  }

  @Test(arguments: [(32, true), (33, false)], [true, false])
  func settingsDepth(_ depth: (Int, Bool), _ isArray: Bool) async {
    // The settings' own object is depth 0, so the innermost value is as deep as there are wraps.
    let value = (1..<depth.0).reduce(JSONValue.null) { value, _ in
      isArray ? .array([value]) : .object(["k": value])
    }
    let field = await violation { $0.customSettings = ["k": value] }
    #expect(field == (depth.1 ? nil : "configuration.custom_settings"))
  }
}
