import TenancyTestSupport
import Testing

@testable import Tenancy

/// What is told of making and destroying tenants' resources.
struct TenantOperationTests {
  private let test: TestPlane
  private let data = FakeDataPlane()
  private let provisioner: Provisioner
  private let id = Sample.id(1)

  init() throws {
    test = try TestPlane()
    provisioner = Provisioner(test.plane, data)
  }

  private func newest() async throws -> TenantOperation? {
    try await provisioner.operations(of: id).first
  }

  @Test func provisioningIsToldStepByStep() async throws {
    try await test.put(Sample.tenant(1, state: .pending))
    let before = test.plane.state.revision
    _ = try await provisioner.provision(id, actor: "test")
    let operation = try #require(try await newest())
    #expect(operation.kind == .provision && operation.state == .succeeded)
    #expect(operation.actor == "test" && operation.failure == nil)
    #expect(operation.planned == FakeDataPlane.steps)
    #expect(operation.steps.map(\.name) == FakeDataPlane.steps)
    #expect(operation.endTime != nil && operation.nextStep == nil)
    for step in operation.steps { #expect(step.startTime <= step.endTime) }
    // One record for each step, besides beginning and end: what follows sees them in order.
    var counts: [Int] = []
    for try await entry in test.plane.subscribe(after: before) {
      for case .putOperation(let seen) in entry.changes { counts.append(seen.steps.count) }
      if entry.revision == test.plane.state.revision { break }
    }
    let steps = FakeDataPlane.steps.count
    #expect(counts == Array(0...steps) + [steps])
  }

  /// Who looks keeps no write waiting, and waits for none.
  @Test func readingIsNotTheWritersWork() async throws {
    try await test.put(Sample.tenant(1, state: .pending))
    _ = try await provisioner.provision(id, actor: "test")
    let barrier = Barrier()
    let plane = test.plane
    let writing = Task {
      try await plane.write(actor: "test", action: "test") { _ throws(TenancyError) in
        barrier.pass()
      }
    }
    await barrier.reached()
    #expect(try await newest()?.state == .succeeded)
    barrier.open()
    try await writing.value
  }

  @Test(arguments: 0..<3)
  func aFailureSaysWhichStepAndWhy(_ failing: Int) async throws {
    try await test.put(Sample.tenant(1, state: .pending))
    let step = FakeDataPlane.steps[failing]
    data.failNext(step)
    _ = await refusal { () async throws(TenancyError) in
      try await provisioner.provision(id, actor: "test")
    }
    let failed = try #require(try await newest())
    #expect(failed.state == .failed && failed.failure?.step == step)
    #expect(failed.failure?.reason == "\(step) broke")
    #expect(failed.steps.map(\.name) == Array(FakeDataPlane.steps.prefix(failing)))
    _ = try await provisioner.provision(id, actor: "again")
    let both = try await provisioner.operations(of: id)
    #expect(both.map(\.state) == [.succeeded, .failed] && both.last == failed)
    // What was done before is not done again, and is told as done.
    #expect(Set(both[0].steps.map(\.name)) == Set(FakeDataPlane.steps))
  }

  @Test func whatWasInterruptedGoesOnUnderTheSameNumber() async throws {
    try await test.put(Sample.tenant(1, state: .pending))
    data.failNext(FakeDataPlane.steps[1])
    test.store.failNextAppends(nil, nil, .refused(.unavailable))
    _ = await refusal { () async throws(TenancyError) in
      try await provisioner.provision(id, actor: "test")
    }
    let reopened = try TestPlane(MemoryStore(test.store.disk))
    let next = Provisioner(reopened.plane, FakeDataPlane())
    let left = try #require(try await next.operations(of: id).first)
    #expect(left.state == .running && left.nextStep == FakeDataPlane.steps[left.steps.count])
    await next.resume()
    let ended = try await next.operations(of: id)
    #expect(ended.count == 1 && ended.first?.number == left.number)
    #expect(ended.first?.state == .succeeded && ended.first?.actor == "test")
  }

  @Test func deprovisioningIsToldUntilItSucceeds() async throws {
    try await test.put(Sample.tenant(1, state: .suspended))
    data.failNext("destroy")
    _ = await refusal { () async throws(TenancyError) in
      _ = try await provisioner.deprovision(id, etag: "", actor: "test", judge: .server)
    }
    let failing = try #require(try await newest())
    #expect(failing.kind == .deprovision && failing.state == .running)
    #expect(failing.failure?.reason == "destroy broke")
    await provisioner.finishDestroying()
    let ended = try #require(try await newest())
    #expect(ended.state == .succeeded && ended.number == failing.number)
    #expect(ended.steps.count == 1 && ended.endTime != nil)
  }

  @Test func aWatchSeesEachStateOnceAndEnds() async throws {
    try await test.put(Sample.tenant(1, state: .provisioning))
    let begun = TenantOperation(
      .provision, of: Sample.tenant(1, state: .provisioning), actor: "test", at: Sample.moment)
    try await test.put(begun)
    let watch = try await provisioner.watch(id, nil)
    var seen: [TenantOperation] = []
    async let made = provisioner.provision(id, actor: "test")
    for try await operation in watch { seen.append(operation) }
    #expect(try await made.state == .active)
    #expect(seen.first == begun && seen.last?.state == .succeeded)
    #expect(Set(seen).count == seen.count)
    #expect(seen.dropFirst().map(\.steps.count) == [1, 2, 3, 3].suffix(seen.count - 1))
    let after = try await provisioner.watch(id, begun.number)
    var last: [TenantOperation] = []
    for try await operation in after { last.append(operation) }
    #expect(last == [seen.last])
  }

  @Test func oneThatAnotherHasTakenThePlaceOfIsOver() async throws {
    try await test.put(Sample.tenant(1, state: .provisioning))
    let tenant = Sample.tenant(1, state: .provisioning)
    let first = TenantOperation(.provision, of: tenant, actor: "a", at: Sample.moment)
    var later = tenant
    later.epoch += 3
    let second = TenantOperation(.provision, of: later, actor: "b", at: Sample.moment)
    try await test.put(first)
    let watch = try await provisioner.watch(id, nil)
    try await test.put(second)
    var states: [TenantOperation.State] = []
    for try await operation in watch { states.append(operation.state) }
    #expect(states == [.running, .superseded])
    let both = try await provisioner.operations(of: id)
    #expect(both.map(\.state) == [.running, .superseded])
  }

  @Test func aPurgedTenantHasNone() async throws {
    try await test.put(Sample.tenant(1, state: .deleted))
    let old = TenantOperation(
      .provision, of: Sample.tenant(1), actor: "a", at: Sample.moment)
    try await test.put(old)
    _ = try await provisioner.purge(id, isEarly: true, actor: "test", judge: .server)
    #expect(try await provisioner.operations(of: id).isEmpty)
  }

  @Test func whatIsStoredIsReadTheSame() throws {
    var operation = TenantOperation(
      .deprovision, of: Sample.tenant(1), actor: "é\"/", at: Sample.moment)
    operation.settle(at: "cluster:a", ["b", "c"], done: ["b"], at: Sample.moment)
    operation.finish("c", begunAt: Sample.moment, at: Sample.moment + Duration.seconds(1))
    operation.fail("c", "\u{2028}", at: Sample.moment)
    operation.end(at: Sample.moment)
    #expect(operation.steps.map(\.name) == ["b", "c"])
  }
}
