import TenancyWire
import Testing

/// What tenants use, of a server that counts it.
enum UsageStory {
  static func run(_ client: Stubs) async throws {
    let acme = try await client.createActive("acme")
    let usage = try await client.tenants.getTenantUsage(V1.GetTenantUsageRequest(name: acme.name))
    #expect(usage.health?.state == .active)
    #expect(usage.health?.dataPlace == .reached && usage.health?.failedOperation == "")
    let calls = try #require(usage.calls)
    // That of the question itself is not over.
    #expect(calls.calls == calls.okCalls && calls.calls > 0)
    #expect(calls.lastMinuteCalls == calls.calls && calls.latestCallTime != nil)
    #expect(usage.storage?.measureTime != nil)

    let list = V1.ListBusiestTenantsRequest(order: .calls)
    let busiest = try await client.tenants.listBusiestTenants(list)
    #expect(busiest.tenants.map(\.tenant) == [acme.name])
    #expect(busiest.tenants.map(\.slug) == ["acme"] && busiest.node == usage.node)
    #expect(busiest.countedTenants == 1 && busiest.forgottenTenants == 0)
    for bad in [
      V1.ListBusiestTenantsRequest(pageSize: -1),
      V1.ListBusiestTenantsRequest(order: .init(rawValue: 99)),
    ] {
      let error = try await refusal { try await client.tenants.listBusiestTenants(bad) }
      #expect(error.code == .invalidArgument)
    }
  }
}

@Suite("What tenants use", .timeLimit(.minutes(1))) struct UsageTests {
  @Test func allCallsOfManyConnectionsAreCounted() async throws {
    try await withLiveServer(eventLoops: 2) { server in
      let name = try await server.asOperator(over: .unix) { client in
        _ = try await client.createActive("other")
        return try await client.createActive("acme").name
      }
      let request = V1.GetTenantUsageRequest(name: name)
      let before = try await server.asOperator(over: .unix) {
        try await $0.tenants.getTenantUsage(request)
      }
      let (connections, calls) = (8, 50)
      try await withThrowingTaskGroup { group in
        for _ in 0..<connections {
          group.addTask {
            try await server.asWorkload(of: "acme") { client in
              for call in 0..<calls {
                if call % 5 == 0 {
                  // Another's: denied.
                  _ = try await refusal { try await client.get("other") }
                } else {
                  _ = try await client.get("acme")
                }
              }
            }
          }
        }
        group.addTask {
          try await server.asOperator(over: .unix) { client in
            for _ in 0..<50 {
              _ = try await client.tenants.listBusiestTenants(V1.ListBusiestTenantsRequest())
            }
          }
        }
        try await group.waitForAll()
      }
      let after = try await server.asOperator(over: .unix) {
        try await $0.tenants.getTenantUsage(request)
      }
      let (old, new) = (try #require(before.calls), try #require(after.calls))
      // With the question of before.
      #expect(new.okCalls - old.okCalls == Int64(connections * calls * 4 / 5) + 1)
      #expect(new.deniedCalls - old.deniedCalls == Int64(connections * calls / 5))
      #expect(new.calls == new.okCalls + new.deniedCalls + new.failedCalls)
      #expect(new.sinceTime == old.sinceTime)
    }
  }

  @Test func aTenantIsToldOfItselfAlone() async throws {
    try await withLiveServer { server in
      try await server.asOperator(over: .unix) { client in
        _ = try await client.createActive("other")
        _ = try await client.createActive("acme")
      }
      try await server.asWorkload(of: "acme") { client in
        let own = try await client.tenants.getTenantUsage(V1.GetTenantUsageRequest(name: "acme"))
        #expect(own.calls?.openConnections == 1)
        let foreign = try await refusal {
          try await client.tenants.getTenantUsage(V1.GetTenantUsageRequest(name: "other"))
        }
        #expect(foreign.code == .permissionDenied)
        let all = try await refusal {
          try await client.tenants.listBusiestTenants(V1.ListBusiestTenantsRequest())
        }
        #expect(all.code == .permissionDenied)
      }
    }
  }
}
