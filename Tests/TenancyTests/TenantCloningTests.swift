import TenancyTestSupport
import Testing

@testable import Tenancy

struct TenantCloningTests {
  private let test: TestPlane
  private let commands: TenantCommands

  init() throws {
    test = try TestPlane()
    commands = TenantCommands(test.plane, actor: "alice")
  }

  private static func clone(
    _ slug: String, _ configuration: TenantConfiguration = TenantConfiguration(),
    model: IsolationModel? = nil, request: String = "", digest: String = "d"
  ) -> TenantCommands.Clone {
    .init(
      TenantCommands.NewTenant(
        slug: slug, displayName: "Clone", isolationModel: model, configuration: configuration,
        requestID: request, digest: digest),
      hasModel: model != nil)
  }

  /// One that has all that there is.
  private func template() async throws -> Tenant {
    var tenant = Sample.tenant(1, slug: "template")
    tenant.isolationModel = .schema
    tenant.configuration.schema = SchemaConfiguration(schemaName: "template")
    tenant.configuration.customSettings = ["theme": .string("dark")]
    tenant.configuration.secretSettings = [
      "key": SecretSetting(
        reference: SecretReference(version: 1, key: KeyID(high: 1, low: 2)),
        setTime: Sample.moment, byteCount: 1)
    ]
    tenant.configuration.featureFlags = ["beta": true]
    tenant.configuration.routes = [
      try RouteRule(methods: ["GET"], path: "/a", permission: "docs:read", field: "routes")
    ]
    tenant.metadata = TenantMetadata(
      labels: ["tier": "gold", "kind": "x"], annotations: ["n": "secret"])
    tenant.tokenKeys = [Sample.key("a")]
    tenant.tokenHorizon = Sample.moment
    tenant.plans.legalHold = LegalHold(reason: "court", time: Sample.moment)
    let made = tenant
    try await test.plane.write(actor: "test", action: "test") { transaction throws(TenancyError) in
      transaction.emit(.putTenant(made), about: made.id)
      transaction.emit(
        .reserveName(ReservedName(.schema, "template"), made.id), about: made.id)
      for (id, permission) in [("reader", "docs:read"), ("writer", "docs:write")] {
        transaction.emit(
          .putRole(
            made.id,
            Role(
              id: id, title: "T", summary: "S", permissions: [permission], version: 7,
              createTime: Sample.moment, updateTime: Sample.moment)), about: made.id)
      }
      transaction.emit(
        .putAssignment(
          made.id,
          RoleAssignment(
            id: "a", subject: "user:al", role: "reader", createTime: Sample.moment,
            expireTime: nil)), about: made.id)
      transaction.emit(
        .putRevocation(
          made.id,
          Revocation(
            target: .tenant, before: Sample.moment, expireTime: Sample.moment, reason: "")),
        about: made.id)
    }
    return made
  }

  @Test func itHasThePatternAndNothingThatIdentifies() async throws {
    let template = try await template()
    test.clock.advance(seconds: 60)
    var asked = Self.clone("copy")
    asked.own.metadata.labels = ["kind": "y"]
    let copy = try await commands.clone(template.id, asked, validateOnly: false)
    let record = try #require(test.plane.state.find(copy.id))
    #expect(record.tenant == copy && copy.slug.text == "copy" && copy.displayName == "Clone")
    #expect(copy.state == .pending && copy.version == 1 && copy.epoch == 1)
    #expect(copy.isolationModel == .schema && copy.createTime == test.clock.now)
    #expect(copy.configuration.schema != template.configuration.schema)
    #expect(copy.configuration.customSettings == template.configuration.customSettings)
    #expect(copy.configuration.secretSettings.isEmpty)
    #expect(copy.configuration.featureFlags == template.configuration.featureFlags)
    #expect(copy.configuration.routes == template.configuration.routes)
    #expect(
      copy.metadata == TenantMetadata(labels: ["tier": "gold", "kind": "y"], annotations: [:]))
    #expect(copy.tokenKeys.isEmpty && copy.tokenHorizon == nil && !copy.hasPlans)
    #expect(record.policy.customRoleCount == 2 && record.policy.assignmentCount == 0)
    let role = try #require(record.policy.role("writer")?.role)
    #expect(role.permissions == ["docs:write"] && role.createTime == test.clock.now)
    #expect(record.revocations.isEmpty)
    // The template is as it was.
    #expect(test.plane.state.find(template.id)?.tenant == template)
  }

  @Test func aRepetitionIsAnsweredAlike() async throws {
    let template = try await template()
    let asked = Self.clone("copy", request: "r")
    let checked = try await commands.clone(template.id, asked, validateOnly: true)
    #expect(test.plane.state.find(checked.id) == nil)
    let copy = try await commands.clone(template.id, asked, validateOnly: false)
    let revision = test.plane.state.revision
    #expect(try await commands.clone(template.id, asked, validateOnly: false) == copy)
    #expect(test.plane.state.revision == revision)
    // Also when the template is gone.
    _ = try await commands.move(template.id, .delete)
    #expect(try await commands.clone(template.id, asked, validateOnly: false) == copy)
    _ = try await commands.move(template.id, .undelete)
    let other = await refusal { () async throws(TenancyError) in
      try await commands.clone(
        template.id, Self.clone("copy", request: "r", digest: "e"), validateOnly: false)
    }
    #expect(other?.reason == .requestReused)
    let taken = await refusal { () async throws(TenancyError) in
      try await commands.clone(template.id, Self.clone("copy"), validateOnly: false)
    }
    #expect(taken?.category == .alreadyExists)
  }

  /// A place of its own counts for all that it has, unless it says more.
  @Test func kindsOfDataGoWhereTheCloneSays() async throws {
    var template = Sample.tenant(1, slug: "template")
    template.isolationModel = .hybrid
    let kind = DataCategory(
      name: "files", model: .schema, placement: PlacementSettings(cluster: "eu"))
    template.configuration = TenantConfiguration(dataCategories: [kind])
    try await test.put(template)
    for (slug, own, expected) in [
      ("same", TenantConfiguration(), [kind]),
      (
        "moved", TenantConfiguration(placement: PlacementSettings(cluster: "us")),
        [DataCategory(name: "files", model: .schema)]
      ),
    ] {
      let copy = try await commands.clone(
        template.id, Self.clone(slug, own), validateOnly: false)
      #expect(copy.configuration.dataCategories == expected)
    }
  }

  @Test func whatCannotBeCloned() async throws {
    var template = try await template()
    template.state = .deleted
    try await test.put(template)
    let gone = await refusal { () async throws(TenancyError) in
      try await commands.clone(template.id, Self.clone("copy"), validateOnly: false)
    }
    #expect(gone?.reason == .tenantNotFound)
    template.state = .active
    try await test.put(template)
    let id = template.id
    try await test.plane.write(actor: "test", action: "test") { transaction throws(TenancyError) in
      for number in 0..<TenantCommands.maximumClonedRoles - 1 {
        transaction.emit(
          .putRole(
            id,
            Role(
              id: "r\(number)", title: "", summary: "", permissions: [], version: 1,
              createTime: Sample.moment, updateTime: Sample.moment)), about: id)
      }
    }
    let large = await refusal { () async throws(TenancyError) in
      try await commands.clone(id, Self.clone("copy"), validateOnly: true)
    }
    #expect(large?.category == .failedPrecondition && large?.reason == .templateTooLarge)
    try await test.plane.write(actor: "test", action: "test") { transaction throws(TenancyError) in
      transaction.emit(.deleteRole(id, id: "r0"), about: id)
    }
    let copy = try await commands.clone(id, Self.clone("copy"), validateOnly: false)
    #expect(
      test.plane.state.find(copy.id)?.policy.customRoleCount == TenantCommands.maximumClonedRoles)
  }

  @Test func anotherModelHasItsOwnPlace() async throws {
    let template = try await template()
    let shared = try await commands.clone(
      template.id, Self.clone("shared", model: .shared), validateOnly: false)
    #expect(shared.isolationModel == .shared && shared.configuration.schema == nil)
    #expect(shared.configuration.customSettings == template.configuration.customSettings)
    let wrong = await refusal { () async throws(TenancyError) in
      try await commands.clone(
        template.id,
        Self.clone(
          "other", TenantConfiguration(schema: SchemaConfiguration(schemaName: "template"))),
        validateOnly: false)
    }
    #expect(wrong?.category == .alreadyExists)
  }
}
