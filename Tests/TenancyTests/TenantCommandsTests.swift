import TenancyTestSupport
import Testing

@testable import Tenancy

struct TenantCommandsTests {
  private let test: TestPlane
  private let commands: TenantCommands

  init() throws {
    test = try TestPlane()
    commands = TenantCommands(test.plane, actor: "alice")
  }

  private func create(
    _ slug: String, name: String = "Name", model: IsolationModel = .hybrid,
    _ configuration: TenantConfiguration = TenantConfiguration(), request: String = "",
    digest: String = "", by actor: String? = nil, validateOnly: Bool = false
  ) async throws(TenancyError) -> Tenant {
    let commands = actor.map { TenantCommands(test.plane, actor: $0) } ?? self.commands
    return try await commands.create(
      TenantCommands.NewTenant(
        slug: slug, displayName: name, isolationModel: model, configuration: configuration,
        requestID: request, digest: digest),
      validateOnly: validateOnly)
  }

  private func update(
    _ tenant: Tenant, etag: String = "", mayMove: Bool = true, validateOnly: Bool = false,
    _ change: (inout TenantCommands.Update) -> Void
  ) async throws(TenancyError) -> Tenant {
    var update = TenantCommands.Update(etag: etag, mayMove: mayMove)
    change(&update)
    return try await commands.update(
      tenant.id, update, action: "tenants.update", validateOnly: validateOnly)
  }

  private static func schema(_ name: String) -> TenantConfiguration {
    TenantConfiguration(schema: SchemaConfiguration(schemaName: name))
  }

  // MARK: Creating

  @Test func aNewTenantIsPendingAndComplete() async throws {
    let tenant = try await create("", name: "1st Acme")
    #expect(tenant.slug.text == "1st-acme")
    #expect(tenant.state == .pending)
    #expect(tenant.etag == "v1")
    #expect(tenant.configuration.schema?.schemaName == "t_1st_acme")
    #expect(tenant.configuration.shared?.tenantIdentifier == tenant.id.description)
    #expect(tenant.createTime == test.clock.now && tenant.updateTime == test.clock.now)
    #expect(test.plane.state.find("1st-acme")?.tenant == tenant)
  }

  @Test func validatingOnlyChangesNothing() async throws {
    _ = try await create("acme", request: "r", validateOnly: true)
    #expect(test.store.log.isEmpty)
    _ = try await create("acme", request: "r")
    let taken = await refusal { () async throws(TenancyError) in
      try await create("acme", validateOnly: true)
    }
    #expect(taken?.reason == .nameTaken)
  }

  @Test func namesAreUniqueAmongTenantsPastAndPresent() async throws {
    var configuration = Self.schema("s")
    configuration.shared = SharedConfiguration(tenantIdentifier: "i")
    let tenant = try await create("acme", configuration)
    _ = try await update(tenant) { $0.slug = "renamed" }
    _ = try await commands.move(tenant.id, .delete)
    var shared = TenantConfiguration()
    shared.shared = SharedConfiguration(tenantIdentifier: "i")
    let attempts: [(String, TenantConfiguration, String)] = [
      ("acme", TenantConfiguration(), "tenant.slug"),
      ("renamed", TenantConfiguration(), "tenant.slug"),
      ("other", Self.schema("s"), "configuration.schema.schema_name"),
      ("other", shared, "configuration.shared.tenant_identifier"),
    ]
    for (slug, configuration, field) in attempts {
      let error = await refusal { () async throws(TenancyError) in
        try await create(slug, configuration)
      }
      #expect(error?.category == .alreadyExists)
      #expect(error?.reason == .nameTaken)
      #expect(error?.metadata["field"] == field)
    }
    _ = try await create("other", Self.schema("s2"))
  }

  @Test func aTenantMayTakeItsOwnFormerSlug() async throws {
    let tenant = try await create("acme")
    _ = try await update(tenant) { $0.slug = "renamed" }
    #expect(try await update(tenant) { $0.slug = "acme" }.slug.text == "acme")
    let other = try await create("other")
    let error = await refusal { () async throws(TenancyError) in
      try await update(other) { $0.slug = "renamed" }
    }
    #expect(error?.reason == .nameTaken)
  }

  @Test func concurrentCreatesOfOneSlugMakeOneTenant() async throws {
    let barrier = test.store.holdNextAppend()
    let first = test.plane.startReserving("first")
    await barrier.reached()
    let tries = (0..<20).map { _ in
      Task.immediate { await refusal { () async throws(TenancyError) in try await create("acme") } }
    }
    barrier.open()
    _ = await first.value
    var made = 0
    for attempt in tries {
      let error = await attempt.value
      if error == nil { made += 1 } else { #expect(error?.reason == .nameTaken) }
    }
    #expect(made == 1)
    #expect(test.plane.state.tenants.count == 1)
  }

  // MARK: Request ids

  @Test func aRepeatedRequestIsAnsweredAlike() async throws {
    let tenant = try await create("acme", request: "r", digest: "d")
    let log = test.store.log.count
    #expect(try await create("acme", request: "r", digest: "d") == tenant)
    #expect(try await create("acme", request: "r", digest: "d", validateOnly: true) == tenant)
    #expect(test.store.log.count == log)
    let reused = await refusal { () async throws(TenancyError) in
      try await create("else", request: "r", digest: "e")
    }
    #expect(reused?.category == .invalidArgument)
    #expect(reused?.reason == .requestReused)
    // Another actor's request ids are its own.
    _ = try await create("else", request: "r", digest: "e", by: "bob")
    #expect(test.plane.state.tenants.count == 2)
  }

  @Test func requestsAreForgottenAfterADayWhenThereAreMany() async throws {
    let tenant = try await create("acme")
    let old = test.clock.now
    try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      for number in 0..<RequestKey.Bounds().platformsBeforeForgetting {
        transaction.emit(
          .rememberRequest(
            RememberedRequest(
              actor: "alice", requestID: "\(number)", digest: "", tenant: tenant.id, time: old)),
          about: tenant.id)
      }
    }
    test.clock.advance(seconds: 86_400)
    _ = try await create("b", request: "b")
    #expect(test.plane.state.requests.count == RequestKey.Bounds().platformsBeforeForgetting + 1)
    test.clock.advance(seconds: 1)
    _ = try await create("c", request: "c")
    #expect(test.plane.state.requests.count == 2)
    #expect(test.plane.state.request("b", of: "alice") != nil)
  }

  // MARK: Updating

  @Test func updatesReplaceWhatTheyNameAndCountVersions() async throws {
    let tenant = try await create("acme")
    test.clock.advance(seconds: 5)
    let after = try await update(tenant, etag: "v1") { $0.displayName = "New" }
    var wanted = tenant
    wanted.displayName = "New"
    wanted.version = 2
    wanted.updateTime = test.clock.now
    #expect(after == wanted)
    // The same again changes nothing.
    let log = test.store.log.count
    #expect(try await update(tenant) { $0.displayName = "New" } == wanted)
    #expect(test.store.log.count == log)
  }

  @Test func anOldEtagChangesNothing() async throws {
    let tenant = try await create("acme")
    _ = try await update(tenant) { $0.displayName = "New" }
    let error = await refusal { () async throws(TenancyError) in
      try await update(tenant, etag: tenant.etag) { $0.displayName = "Newer" }
    }
    #expect(error?.category == .aborted)
    #expect(error?.reason == .etagMismatch)
    #expect(error?.metadata == ["etag": "v2"])
    let move = await refusal { () async throws(TenancyError) in
      try await commands.move(tenant.id, .delete, etag: "v1")
    }
    #expect(move?.reason == .etagMismatch)
    #expect(test.plane.state.find(tenant.id)?.tenant.displayName == "New")
  }

  @Test func validatingAnUpdateChangesNothing() async throws {
    let tenant = try await create("acme")
    let after = try await update(tenant, validateOnly: true) { $0.slug = "new" }
    #expect(after.slug.text == "new")
    #expect(test.plane.state.find(tenant.id)?.tenant == tenant)
    #expect(test.plane.state.owner(of: ReservedName(.slug, "new")) == nil)
  }

  @Test func unknownAndDeletedTenantsAreNotFound() async throws {
    let tenant = try await create("acme")
    _ = try await commands.move(tenant.id, .delete)
    for subject in [tenant, Sample.tenant(9)] {
      let updated = await refusal { () async throws(TenancyError) in
        try await update(subject) { $0.displayName = "New" }
      }
      #expect(updated?.reason == .tenantNotFound)
      let moved = await refusal { () async throws(TenancyError) in
        try await commands.move(subject.id, .activate)
      }
      #expect(moved?.reason == .tenantNotFound)
    }
  }

  private static let moves: [@Sendable (inout TenantCommands.Update) -> Void] = [
    { $0.isolationModel = .schema },
    {
      $0.configuration = { @Sendable (before) throws(TenancyError) in
        var after = before
        after.schema = SchemaConfiguration(schemaName: "elsewhere")
        return after
      }
    },
    {
      $0.configuration = { @Sendable (before) throws(TenancyError) in
        var after = before
        after.shared = SharedConfiguration(tenantIdentifier: "elsewhere")
        return after
      }
    },
  ]

  @Test(arguments: 0..<3)
  func whereDataLivesIsThePlatformsBusinessWhileThereIsNone(_ number: Int) async throws {
    let move = Self.moves[number]
    let tenant = try await create("acme")
    let denied = await refusal { () async throws(TenancyError) in
      try await update(tenant, mayMove: false, move)
    }
    #expect(denied?.category == .permissionDenied)
    for state in TenantState.known where !state.isGone {
      var placed = try #require(test.plane.state.find(tenant.id)?.tenant)
      placed.state = state
      try await test.put(placed)
      let error = await refusal { () async throws(TenancyError) in
        try await update(tenant, validateOnly: true, move)
      }
      let isFree = state == .pending || state == .provisionFailed
      #expect(error?.reason == (isFree ? nil : .illegalTransition), "\(state)")
      #expect(error == nil || error?.category == .failedPrecondition)
    }
  }

  private static func database(_ connection: String, _ user: String = "u") -> TenantConfiguration {
    TenantConfiguration(
      database: DatabaseConfiguration(connectionString: connection, username: user))
  }

  @Test func aDatabaseIsOneTenantsForOneUser() async throws {
    let first = try await create("a", model: .database, Self.database("host=db"))
    let other = try await create("b", model: .database, Self.database("host=db", "v"))
    for taken in [
      await refusal { () async throws(TenancyError) in
        try await create("c", model: .database, Self.database("host=db"))
      },
      await refusal { () async throws(TenancyError) in
        try await update(other) { $0.configuration = { _ in Self.database("host=db") } }
      },
    ] {
      #expect(taken?.reason == .nameTaken)
    }
    // What one gives up another may have.
    _ = try await update(first) { $0.configuration = { _ in Self.database("host=new") } }
    _ = try await update(other) { $0.configuration = { _ in Self.database("host=db") } }
  }

  /// Of a store of an earlier version, which compared connection strings as they were written.
  @Test func whoSharesADatabaseSinceThenMayChangeWhatElseThereIs() async throws {
    _ = try await create("a", model: .database, Self.database("postgres://h/app"))
    let other = try await create("b", model: .database, Self.database("postgres://h/other"))
    var sharer = other
    sharer.configuration = Self.database("postgres://h:5432/app")
    try await test.put(sharer)
    let renamed = try await update(sharer) { $0.displayName = "Other" }
    #expect(renamed.displayName == "Other")
    let moved = try await update(renamed) { $0.configuration = { _ in Self.database("dbname=x") } }
    let back = await refusal { () async throws(TenancyError) in
      try await update(moved) { $0.configuration = { _ in Self.database("postgres://h/app") } }
    }
    #expect(back?.reason == .nameTaken)
  }

  @Test func aDatabaseDoesNotChangeUnderAnActiveTenant() async throws {
    let tenant = try await create("a", model: .database, Self.database("host=db"))
    var active = tenant
    active.state = .active
    try await test.put(active)
    let moved = await refusal { () async throws(TenancyError) in
      try await update(tenant) { $0.configuration = { _ in Self.database("host=new") } }
    }
    #expect(moved?.reason == .illegalTransition)
  }

  @Test(arguments: [
    ("postgres://u:secret@h/db", false), ("postgresql://u@h:5432/db", true),
    ("postgres://u:s/e@h/db", false), ("postgres://h:5432,i:5432/db?application_name=a@b", true),
    ("postgres://h/db?user=u&password=x", false), ("postgres://h/db?%70assword=x", false),
    ("host=db password=secret", false), ("host=db PassWord = 'x'", false), ("host=db", true),
    ("host=db sslpassword=x", false), ("Server=h;Uid=u;Pwd=x", false), ("Server=h;Uid=u", true),
    ("u:secret@tcp(h)/db", false), ("host=db passfile=/run/pgpass", true),
    ("u:123/e@h", false), ("postgres://u:123/e@h", false), ("postgres://u:1?2@h", false),
    ("postgres://u:1#2@h/db", false), ("scott/tiger@h", false),
    ("jdbc:oracle:thin:u/p@h:1:x", false),
    ("postgres://h:5432/db?user=a@b", true), ("postgres://[::1]/db?user=a@b", true),
    ("postgres://u@h/db", true), ("h:5432/db", true),
    ("postgres://u%3Asecret@h/db", false), ("postgres://[::1]:5432/db", true), ("", true),
  ])
  func aConnectionStringHoldsNoPassword(_ text: String, _ isGood: Bool) async throws {
    let made = await refusal { () async throws(TenancyError) in
      try await create("a", model: .database, Self.database(text))
    }
    let field = "configuration.database.connection_string"
    #expect(made?.violations.first?.field == (isGood ? nil : field))
    let tenant = try await create("b", model: .database, Self.database("host=b"))
    let changed = await refusal { () async throws(TenancyError) in
      try await update(tenant) { $0.configuration = { _ in Self.database(text, "v") } }
    }
    #expect(changed?.violations.first?.field == (isGood ? nil : field))
  }

  /// In a store of an earlier version.
  @Test func aPasswordThatIsThereKeepsNobodyFromOtherChanges() async throws {
    var tenant = try await create("a", model: .database)
    tenant.configuration = Self.database("host=db password=x")
    try await test.put(tenant)
    #expect(try await update(tenant) { $0.displayName = "New" }.displayName == "New")
  }

  @Test func aSlugInTheFormOfAnIDIsRefusedAsSuch() async {
    let error = await refusal { () async throws(TenancyError) in
      try await create("0190b0c0-1234-4abc-9def-0123456789ab")
    }
    #expect(error?.message.contains("UUID") == true)
  }

  @Test func aTenantsCallerMayChangeNeitherSlugNorDatabase() async throws {
    let tenant = try await create("acme", model: .database)
    let database = DatabaseConfiguration(connectionString: "db", username: "u")
    let slug = await refusal { () async throws(TenancyError) in
      try await update(tenant, mayMove: false) { $0.slug = "new" }
    }
    #expect(slug?.reason == .permissionMissing)
    let moved = await refusal { () async throws(TenancyError) in
      try await update(tenant, mayMove: false) {
        $0.configuration = { (before) throws(TenancyError) in
          var after = before
          after.database = database
          return after
        }
      }
    }
    #expect(moved?.reason == .permissionMissing)
    let settings = try await update(tenant, mayMove: false) {
      $0.displayName = "New"
      $0.slug = "acme"
      $0.configuration = { (before) throws(TenancyError) in
        var after = before
        after.featureFlags["beta"] = true
        return after
      }
    }
    #expect(settings.configuration.featureFlags == ["beta": true])
  }

  @Test func aChangeOfModelLeavesNothingOfTheOldOne() async throws {
    let tenant = try await create("acme", model: .hybrid)
    let database = try await update(tenant) { $0.isolationModel = .database }
    #expect(database.configuration == TenantConfiguration())
    let shared = try await update(tenant) { $0.isolationModel = .shared }
    #expect(shared.configuration.schema == nil)
    #expect(shared.configuration.shared?.tenantIdentifier == tenant.id.description)
  }
}
