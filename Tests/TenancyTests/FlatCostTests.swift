import TenancyTestSupport
import Testing

@testable import Tenancy

/// What a change costs where there is little and where there is much, counted in nodes that a state does
/// not share with the one before.
struct FlatCostTests {
  /// The middle of several: now and then a leaf that is full becomes several.
  private static func median(_ counts: [Int]) -> Int { counts.sorted()[counts.count / 2] }

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

  /// Four tables and seven trees, each a node or two deeper for thirty times as many entries.
  @Test(arguments: [(1_000, 34), (32_000, 48)])
  func makingATenantCopiesWhatItTouches(_ count: Int, _ most: Int) {
    let before = Self.state(tenants: count)
    let nodes = (0..<9).map { number in
      var after = before
      after.apply(Self.changes(UInt64(count + number)), revision: before.revision + 1)
      #expect(before.tenantCount == count && after.tenantCount == count + 1)
      return after.unsharedNodes(with: before)
    }
    #expect(nodes.allSatisfy { $0 > 5 })
    #expect(Self.median(nodes) <= most)
  }

  @Test(arguments: [1_000, 32_000])
  func forgettingRequestsLooksAtTheOldestOnly(_ count: Int) {
    let before = Self.state(tenants: count)
    #expect(before.requests.oldest(1, of: nil).first?.requestID == "r0")
    var after = before
    after.apply(
      [.forgetRequests(before: Timestamp(nanoseconds: 1), of: nil)], revision: before.revision + 1)
    #expect(after.requests.count == count - 1)
    #expect(after.requests.oldest(1, of: nil).first?.requestID == "r1")
    #expect(after.unsharedNodes(with: before) <= 10)
  }

  @Test(arguments: [10, 32_000])
  func oneAssignmentAmongManyCopiesWhatItTouches(_ count: Int) {
    var before = PolicyContent()
    before.put(Sample.role("reader", ["docs:read"]))
    for number in 0..<count {
      before.put(
        Sample.assignment("a\(1_000_000 + number)", "user:\(number)", role: "reader"))
    }
    let nodes = (0..<9).map { number in
      let id = "a\(1_000_000 + number * count / 8)x"
      var after = before
      after.put(Sample.assignment(id, "user:new-\(number)", role: "reader"))
      let added = after.unsharedNodes(with: before)
      after.deleteAssignment(id)
      #expect(after.assignments.count == count)
      return max(added, after.unsharedNodes(with: before))
    }
    #expect(Self.median(nodes) <= 24)
  }

  @Test(arguments: [10, 990])
  func oneRoleAmongManyCopiesWhatItTouches(_ count: Int) {
    var before = PolicyContent()
    for number in 0..<count {
      before.put(Sample.role("role-\(number)", (0..<50).map { "docs-\(number):read-\($0)" }))
    }
    let nodes = (0..<9).map { number in
      var after = before
      after.put(Sample.role("new-\(number)", ["docs:read-\(number)"]))
      let added = after.unsharedNodes(with: before)
      after.deleteRole("new-\(number)")
      #expect(after.roles.count == before.roles.count)
      return max(added, after.unsharedNodes(with: before))
    }
    #expect(Self.median(nodes) <= 12)
  }
}
