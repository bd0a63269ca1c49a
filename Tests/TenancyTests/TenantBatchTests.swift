import TenancyTestSupport
import Testing

@testable import Tenancy

struct TenantBatchTests {
  private let test: TestPlane
  private let commands: TenantCommands

  init() throws {
    test = try TestPlane()
    commands = TenantCommands(test.plane, actor: "alice")
  }

  private static func new(
    _ slug: String, model: IsolationModel = .shared,
    _ configuration: TenantConfiguration = TenantConfiguration(), request: String = ""
  ) -> TenantCommands.NewTenant {
    TenantCommands.NewTenant(
      slug: slug, displayName: "Name", isolationModel: model, configuration: configuration,
      requestID: request, digest: request)
  }

  @Test func allAreMadeInOneTransaction() async throws {
    let made = try await commands.create((0..<100).map { Self.new("t\($0)") })
    #expect(made.map(\.slug.text) == (0..<100).map { "t\($0)" })
    #expect(test.store.log.count == 1 && test.store.log.first?.tenants.count == 100)
    for tenant in made { #expect(test.plane.state.find(tenant.id)?.tenant == tenant) }
  }

  @Test func oneThatCannotBeMadeKeepsAllFromIt() async throws {
    _ = try await commands.create(Self.new("taken"), validateOnly: false)
    let database = TenantConfiguration(
      database: DatabaseConfiguration(connectionString: "host=a dbname=x", username: "u"))
    let column = TenantConfiguration(shared: SharedConfiguration(tenantIdentifier: "x"))
    let bad: [([TenantCommands.NewTenant], String)] = [
      ([Self.new("a"), Self.new("taken")], "requests[1].tenant.slug"),
      ([Self.new("a"), Self.new("b"), Self.new("a")], "requests[2].tenant.slug"),
      ([Self.new("a"), Self.new("B")], "requests[1].tenant.slug"),
      (
        [Self.new("a", column), Self.new("b", column)],
        "requests[1].tenant.configuration.shared.tenant_identifier"
      ),
      (
        [Self.new("a", model: .database, database), Self.new("b", model: .database, database)],
        "requests[1].tenant.configuration.database"
      ),
      ([Self.new("a", request: "r"), Self.new("b", request: "r")], "requests[1].request_id"),
    ]
    for (all, field) in bad {
      let error = await refusal { () async throws(TenancyError) in try await commands.create(all) }
      #expect((error?.violations.first?.field ?? error?.metadata["field"]) == field)
      #expect(error?.message.hasPrefix(field) == true, "\(error?.message ?? "")")
      #expect(test.plane.state.tenantCount == 1 && test.store.log.count == 1)
    }
  }

  /// It makes room once, for as many as are new.
  @Test func requestsAreForgottenOnceForAll() async throws {
    let (tenant, now) = (Sample.id(1), test.clock.now.nanoseconds)
    try await test.put(Sample.tenant(1))
    try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      for number in 0..<RequestKey.Bounds().platforms {
        transaction.emit(
          .rememberRequest(
            RememberedRequest(
              actor: "alice", requestID: "\(number)", digest: "", tenant: tenant,
              time: Timestamp(nanoseconds: now + Int64(number)))), about: tenant)
      }
    }
    _ = try await commands.create(
      [Self.new("a", request: "a"), Self.new("b", request: "b"), Self.new("c", request: "c")])
    let state = test.plane.state
    #expect(state.requests.count == RequestKey.Bounds().platforms)
    #expect(state.request("2", of: "alice") == nil && state.request("3", of: "alice") != nil)
    let forgetting = test.store.log.last?.changes.count {
      if case .forgetRequests = $0 { true } else { false }
    }
    #expect(forgetting == 1)
  }

  @Test func aRepeatedBatchIsAnsweredAlike() async throws {
    let all = [Self.new("a", request: "1"), Self.new("b", request: "2")]
    let made = try await commands.create(all)
    #expect(try await commands.create(all) == made)
    // What is new in it is made.
    let more = try await commands.create(all + [Self.new("c", request: "3")])
    #expect(more.prefix(2) == made[...] && test.plane.state.tenantCount == 3)
  }
}
