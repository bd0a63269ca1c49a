import TenancyTestSupport
import Testing

@testable import Tenancy

/// Changes that are judged and kept nowhere.
struct RehearsalTests {
  private let test: TestPlane
  private let tenant = Sample.tenant(1, slug: "acme")

  init() async throws {
    var quotas = TenantQuotas()
    quotas.residentBytes = 10_000
    test = try TestPlane(options: ControlPlane.Options(quotas: quotas))
    try await test.put(tenant)
  }

  private var judge: WriteJudge {
    WriteJudge(payer: .platform("operator"), requestBytes: 0) { (_, _) throws(TenancyError) in }
      .validating(only: true)
  }

  private var roles: RoleCommands {
    RoleCommands(test.plane, actor: "alice", tenant: tenant.id, judge: judge) { _ in { _ in true } }
  }

  @Test func nothingIsKept() async throws {
    let (log, before) = (test.store.log, test.plane.state.revision)
    let moved = try await TenantCommands(test.plane, actor: "alice", judge: judge).move(
      tenant.id, .deactivate)
    #expect(moved.state == .suspended && moved.epoch == tenant.epoch + 1)
    let role = try await roles.createRole(
      id: "reader", title: "", summary: "", permissions: ["a:b"])
    #expect(role.permissions == ["a:b"])
    let refused = await refusal { () async throws(TenancyError) in
      try await roles.updateRole(id: "reader", etag: "") { $0.title = "x" }
    }
    #expect(refused?.reason == .roleNotFound)
    #expect(test.store.log == log && test.plane.state.revision == before)
    #expect(test.plane.state.find(tenant.id)?.tenant == tenant)
  }

  @Test func quotasRefuseAsTheyWould() async throws {
    let long = (0..<100).map { "docs.\($0):\(String(repeating: "a", count: 64))" }
    let refused = await refusal { () async throws(TenancyError) in
      try await roles.createRole(id: "r", title: "", summary: "", permissions: long)
    }
    #expect(refused?.reason == .limitReached)
    #expect(refused?.metadata["quota"] == Quota.residentBytes.name)
  }

  /// A role with more assignments than go in one transaction is not begun with.
  @Test func aLargeRoleIsLookedAtOnce() async throws {
    let real = RoleCommands(test.plane, actor: "a", tenant: tenant.id, judge: .server) { _ in
      { _ in true }
    }
    _ = try await real.createRole(id: "crowd", title: "", summary: "", permissions: ["a:b"])
    for number in 0...RoleCommands.maximumDeletions {
      _ = try await real.assign(subject: "user:\(number)", role: "crowd", expireTime: nil)
    }
    let before = test.plane.state.revision
    try await roles.deleteRole(id: "crowd", etag: "", force: true)
    #expect(test.plane.state.revision == before)
    #expect(test.plane.state.find(tenant.id)?.policy.role("crowd")?.role.permissions == ["a:b"])
  }

  /// It takes nothing away from anybody: it waits as any other write.
  @Test func itIsInNoHurry() {
    #expect(judge.terms(.revoking).turn == .ordinary)
    #expect(judge.validating(only: false).terms(.revoking).turn == .revoking)
  }
}
