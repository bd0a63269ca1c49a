import TenancyTestSupport
import Testing

@testable import Tenancy

/// How the control plane's writes wait for each other.
struct WriteFairnessTests {
  private func start(
    _ test: TestPlane, _ action: String, _ terms: WriteTerms
  ) -> Task<TenancyError?, Never> {
    let plane = test.plane
    return Task.immediate {
      await refusal { () async throws(TenancyError) in
        try await plane.write(actor: "test", action: action, terms: terms) {
          (transaction) throws(TenancyError) in
          let id = Sample.id(1)
          transaction.emit(.reserveName(ReservedName(.slug, action), id), about: id)
        }
      }
    }
  }

  @Test func oneTenantsFloodDelaysNobody() async throws {
    let test = try TestPlane()
    let barrier = test.store.holdNextAppend()
    let first = start(test, "first", .server)
    await barrier.reached()
    let hostile = WriteTerms(payer: .tenant(Sample.id(1)))
    let flood = (0..<400).map { start(test, "flood-\($0)", hostile) }
    let other = start(test, "other", WriteTerms(payer: .tenant(Sample.id(2))))
    let suspension = start(
      test, "suspend", WriteTerms(payer: .platform("operator"), priority: .revoking))
    barrier.open()
    #expect(await first.value == nil)
    #expect(await other.value == nil)
    #expect(await suspension.value == nil)
    var refused: [TenancyError] = []
    for write in flood {
      if let error = await write.value { refused.append(error) }
    }
    let actions = test.store.log.map(\.action)
    #expect(actions[1] == "suspend")
    // One turn of the flood.
    #expect(try #require(actions.firstIndex(of: "other")) <= 2 + WriteLimits().turn)
    #expect(actions.filter { $0.hasPrefix("flood") } == (0..<256).map { "flood-\($0)" })
    #expect(refused.count == 400 - 256)
    #expect(refused.allSatisfy { $0.metadata["quota"] == "waiting-writes" })
    #expect(refused.allSatisfy { $0.retryAfterSeconds == 1 })
  }

  /// What is refused for want of room is not counted as written.
  @Test func aRefusedWriteIsNotCounted() async throws {
    let test = try TestPlane()
    let barrier = test.store.holdNextAppend()
    let terms = WriteTerms(payer: .tenant(Sample.id(1)))
    let first = start(test, "first", terms)
    await barrier.reached()
    let flood = (0..<300).map { start(test, "flood-\($0)", terms) }
    #expect(test.plane.budgets.used(by: Sample.id(1), at: test.clock.now).writes == 257)
    barrier.open()
    #expect(await first.value == nil)
    for write in flood { _ = await write.value }
  }

  /// A tenant that is suspended while its writes wait has none of them done.
  @Test func nothingOfAFloodIsDoneAfterTheSuspension() async throws {
    let test = try TestPlane()
    try await test.put(Sample.tenant(1))
    let barrier = test.store.holdNextAppend()
    let first = start(test, "first", .server)
    await barrier.reached()
    let plane = test.plane
    let judge = WriteJudge(payer: .tenant(Sample.id(1)), requestBytes: 10) {
      (state, _) throws(TenancyError) in
      guard state.find(Sample.id(1))?.tenant.state == .active else { throw .tenantMismatch }
    }
    let roles = RoleCommands(plane, actor: "x", tenant: Sample.id(1), judge: judge) { _ in
      { _ in true }
    }
    let flood = (0..<200).map { number in
      Task.immediate {
        await refusal { () async throws(TenancyError) in
          try await roles.createRole(id: "r\(number)", title: "", summary: "", permissions: [])
        }
      }
    }
    let suspension = Task.immediate {
      await refusal { () async throws(TenancyError) in
        try await TenantCommands(plane, actor: "operator").move(Sample.id(1), .deactivate)
      }
    }
    barrier.open()
    #expect(await first.value == nil)
    #expect(await suspension.value == nil)
    for write in flood { #expect(await write.value?.reason == .tenantMismatch) }
    #expect(plane.state.find(Sample.id(1))?.policy.customRoleCount == 0)
  }
}
