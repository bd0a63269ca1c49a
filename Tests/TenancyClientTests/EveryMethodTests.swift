import TenancyWire
import Testing

@Suite("Every method, by the generated stubs", .timeLimit(.minutes(1)))
struct EveryMethodTests {
  @Test(arguments: Transport.allCases)
  func answers(over transport: Transport) async throws {
    // The stories make tenants of the same names: each has a server of its own.
    var called: Set<String> = []
    for story in [
      TenantManagerStory.run, ResolverStory.run, AuthorizationStory.run, SecretsStory.run,
      AuditStory.run, TokenStory.run, WorkloadStory.run, AuthorityStory.run, DomainStory.run,
      ClusterStory.run, OperationStory.run, UsageStory.run,
      SettingStory.run, PlanStory.run,
    ] {
      try await withLiveServer { server in
        try await server.asOperator(over: transport) { client in
          try await story(client)
          called.formUnion(client.called)
        }
      }
    }
    try await withLiveServer { server in
      try await server.asOperator(over: transport) { client in
        try await IdentityStory.run(client, over: transport)
        called.formUnion(client.called)
      }
    }
    #expect(Set(V1.methods.map(\.path)).subtracting(called) == [], "never called")
  }
}
