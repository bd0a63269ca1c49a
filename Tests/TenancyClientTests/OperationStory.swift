import TenancyWire
import Testing

/// How operations are seen: `test_operations` has some that go on.
enum OperationStory {
  static func run(_ client: Stubs) async throws {
    let acme = try await client.createActive("operated")
    let listed = try await client.operations.listTenantOperations(
      V1.ListTenantOperationsRequest(parent: acme.name)
    ).operations
    let made = try #require(listed.first)
    #expect(listed.count == 1 && made.kind == .provision && made.state == .succeeded)
    #expect(made.name.hasPrefix("\(acme.name)/operations/"))
    #expect(!made.steps.isEmpty && made.steps.allSatisfy { $0.state == .done })
    #expect(made.endTime != nil && made.failure == nil)
    let found = try await client.operations.getTenantOperation(
      V1.GetTenantOperationRequest(name: made.name))
    #expect(found == made)
    let newest = try await client.operations.getTenantOperation(
      V1.GetTenantOperationRequest(name: "operated"))
    #expect(newest == made)
    let seen = try await client.operations.watchTenantOperation(
      V1.WatchTenantOperationRequest(name: acme.name)
    ) { responses in
      var seen: [V1.TenantOperation] = []
      for try await operation in responses { seen.append(operation) }
      return seen
    }
    #expect(seen == [made])
    let unknown = try await refusal {
      try await client.operations.getTenantOperation(
        V1.GetTenantOperationRequest(name: "\(acme.name)/operations/77"))
    }
    #expect(unknown.code == .notFound && unknown.errorInfo?.reason == "OPERATION_NOT_FOUND")
    for end in ["operations/01", "roles/1", "operations/1/2"] {
      let name = "\(acme.name)/\(end)"
      let bad = try await refusal {
        try await client.operations.getTenantOperation(V1.GetTenantOperationRequest(name: name))
      }
      #expect(bad.code == .invalidArgument, "\(name)")
    }
  }
}
