import Testing

@testable import Tenancy

/// What a change costs where there is little and where there is much, counted in nodes that a state does
/// not share with the one before.
struct FlatCostTests {
  private static func state(tenants count: Int) -> ControlState {
    var state = ControlState()
    for number in 0..<UInt64(count) { state.apply(changes(number), revision: number + 1) }
    return state
  }

  /// A tenant that is made, with its names and the request that asked for it.
  private static func changes(_ number: UInt64) -> [Change] {
    let tenant = Sample.tenant(number)
    return [
      .putTenant(tenant), .reserveName(ReservedName(.slug, tenant.slug.text), tenant.id),
      .rememberRequest(
        RememberedRequest(
          actor: "a", requestID: "r\(number)", digest: "", tenant: tenant.id,
          time: Timestamp(nanoseconds: Int64(number)))),
    ]
  }

  /// Four tables and two trees, each two or three nodes deeper for a hundred times as many entries.
  @Test(arguments: [(1_000, 28), (100_000, 44)])
  func makingATenantCopiesWhatItTouches(_ count: Int, _ most: Int) {
    let before = Self.state(tenants: count)
    for number in [UInt64(count), UInt64(2 * count)] {
      var after = before
      after.apply(Self.changes(number), revision: before.revision + 1)
      let nodes = after.unsharedNodes(with: before)
      #expect(nodes > 5 && nodes <= most)
      #expect(before.tenantCount == count && after.tenantCount == count + 1)
    }
  }

  @Test(arguments: [1_000, 100_000])
  func forgettingRequestsLooksAtTheOldestOnly(_ count: Int) {
    let before = Self.state(tenants: count)
    #expect(before.oldestRequest?.requestID == "r0")
    var after = before
    after.apply([.forgetRequests(before: Timestamp(nanoseconds: 1))], revision: before.revision + 1)
    #expect(after.rememberedRequests == count - 1)
    #expect(after.oldestRequest?.requestID == "r1")
    #expect(after.unsharedNodes(with: before) <= 10)
  }

  @Test(arguments: [10, 100_000])
  func oneAssignmentAmongManyCopiesWhatItTouches(_ count: Int) {
    var before = PolicyContent()
    before.put(Sample.role("reader", ["docs:read"]))
    for number in 0..<count {
      before.put(
        Sample.assignment("a\(1_000_000 + number)", "user:\(number)", role: "reader"))
    }
    for id in ["a0", "a\(1_000_000 + count / 2)x", "b"] {
      var after = before
      after.put(Sample.assignment(id, "user:new", role: "reader"))
      #expect(after.unsharedNodes(with: before) <= 20)
      after.deleteAssignment(id)
      #expect(after.assignments.count == count)
      #expect(after.unsharedNodes(with: before) <= 20)
    }
  }

  @Test(arguments: [10, 990])
  func oneRoleAmongManyCopiesWhatItTouches(_ count: Int) {
    var before = PolicyContent()
    for number in 0..<count {
      before.put(Sample.role("role-\(number)", (0..<50).map { "docs-\(number):read-\($0)" }))
    }
    var after = before
    after.put(Sample.role("new", ["docs:read"]))
    #expect(after.unsharedNodes(with: before) <= 10)
    after.deleteRole("new")
    #expect(after.roles.count == before.roles.count)
    #expect(after.unsharedNodes(with: before) <= 10)
  }
}
