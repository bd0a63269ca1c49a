import TenancyTestSupport
import Testing

@testable import Tenancy

@Suite("What tenants' data takes up", .timeLimit(.minutes(1))) struct DataMeterTests {
  private let test: TestPlane
  private let data = FakeDataPlane()
  private let provisioner: Provisioner
  private let id = Sample.id(1)

  init() throws {
    test = try TestPlane()
    provisioner = Provisioner(test.plane, data)
  }

  private func meter(_ change: (inout DataMeter.Terms) -> Void = { _ in }) -> DataMeter {
    var terms = DataMeter.Terms()
    // No machine is so slow that it matters.
    terms.freshness = .seconds(3600)
    terms.patience = .seconds(50)
    change(&terms)
    return DataMeter(provisioner, terms: terms)
  }

  private func make(_ number: UInt64 = 1) async throws {
    try await test.put(Sample.tenant(number, state: .pending))
    _ = try await provisioner.provision(Sample.id(number), actor: "test")
  }

  private var looks: Int { data.events.count { $0 == "usage" } }

  @Test func withoutDataThereIsNothing() async throws {
    try await test.put(Sample.tenant(1, state: .pending))
    let reading = await meter().reading(of: id)
    #expect(reading?.usage == DataUsage(bytes: 0) && reading?.isReached == nil)
    #expect(looks == 0)
    #expect(await meter().reading(of: Sample.id(2)) == nil)
  }

  @Test func itIsAskedOnceInAWhile() async throws {
    try await make()
    data.use(DataUsage(bytes: 100, sessions: 3), by: id)
    let meter = meter()
    #expect(meter.lastReading(of: id) == nil)
    let reading = await meter.reading(of: id)
    #expect(reading?.usage == DataUsage(bytes: 100, sessions: 3))
    #expect(reading?.isReached == true && reading?.time == test.plane.now)
    data.use(DataUsage(bytes: 200), by: id)
    #expect(await meter.reading(of: id) == reading && looks == 1)
    let eager = self.meter { $0.freshness = .zero }
    #expect(await eager.reading(of: id)?.usage.bytes == 200)
    data.use(DataUsage(bytes: 300), by: id)
    #expect(await eager.reading(of: id)?.usage.bytes == 300)
  }

  @Test func allWhoAskAtOnceAskOnce() async throws {
    try await make()
    let (meter, barrier) = (meter(), data.holdNext("usage"))
    await withTaskGroup { group in
      for _ in 0..<50 {
        group.addTask { #expect(await meter.reading(of: id)?.usage.bytes == 7) }
      }
      await barrier.reached()
      barrier.open()
    }
    #expect(looks == 1)
  }

  @Test func nobodyWaitsForLong() async throws {
    try await make()
    let (meter, barrier) = (meter { $0.patience = .milliseconds(5) }, data.holdNext("usage"))
    #expect(await meter.reading(of: id) == nil)
    // The look that is under way is the only one.
    #expect(await meter.reading(of: id) == nil)
    barrier.open()
    while meter.lastReading(of: id) == nil { try await Task.sleep(for: .milliseconds(1)) }
    #expect(meter.lastReading(of: id)?.usage.bytes == 7 && looks == 1)
  }

  @Test func soManyWaitAtMost() async throws {
    for number in 1...3 as ClosedRange<UInt64> { try await make(number) }
    let meter = meter {
      $0.patience = .milliseconds(5)
      $0.waiting = 2
    }
    let barrier = data.holdNext("usage")
    for number in 1...3 as ClosedRange<UInt64> {
      #expect(await meter.reading(of: Sample.id(number)) == nil)
    }
    barrier.open()
    while meter.readings.count < 2 { try await Task.sleep(for: .milliseconds(1)) }
    #expect(Set(meter.readings.keys) == [Sample.id(1), Sample.id(2)])
  }

  @Test func soManyWaitForOneLookAtMost() async throws {
    try await make()
    let (meter, barrier) = (meter(), data.holdNext("usage"))
    await withTaskGroup { group in
      for _ in 0..<DataMeter.waitersPerLook {
        group.addTask { #expect(await meter.reading(of: id)?.usage.bytes == 7) }
      }
      while meter.waiters(for: id) < DataMeter.waitersPerLook { await Task.yield() }
      // One more is told what is known, at once.
      #expect(await meter.reading(of: id) == nil)
      #expect(meter.waiters(for: id) == DataMeter.waitersPerLook)
      barrier.open()
    }
    #expect(looks == 1)
  }

  @Test func whatIsNotKnownIsSaid() async throws {
    try await make()
    data.failNext("usage")
    let reading = await meter().reading(of: id)
    #expect(reading?.isReached == false && reading?.usage.bytes == nil)
    #expect(reading?.usage.sessions == nil)
    #expect(reading?.usage.problem == "it can't be measured now: usage broke")
  }

  @Test func dataElsewhereIsNotKnown() async throws {
    try await make()
    try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      transaction.emit(.putProvisioningStep(id, name: "place:cluster:gone"), about: id)
    }
    let reading = await meter().reading(of: id)
    #expect(reading?.isReached == false && reading?.usage.bytes == nil && looks == 0)
    #expect(reading?.usage.problem.contains("does not reach") == true)
  }

  @Test func theNewestAreKept() async throws {
    for number in 1...4 as ClosedRange<UInt64> {
      try await make(number)
      data.use(
        number == 2 ? DataUsage(problem: "x") : DataUsage(bytes: Int64(10 - number)),
        by: Sample.id(number))
    }
    let meter = meter { $0.kept = 2 }
    for number in 1...4 as ClosedRange<UInt64> {
      _ = await meter.reading(of: Sample.id(number))
    }
    #expect(Set(meter.readings.keys) == [Sample.id(3), Sample.id(4)])
    #expect(await meter.reading(of: Sample.id(2))?.usage.problem == "x")
  }

  @Test func allAreMeasuredInTheBackground() async throws {
    for number in 1...3 as ClosedRange<UInt64> { try await make(number) }
    try await test.plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      for number in 4...700 as ClosedRange<UInt64> {
        let tenant = Sample.tenant(number, state: .pending)
        transaction.emit(.putTenant(tenant), about: tenant.id)
      }
    }
    try await make(701)
    let meter = meter { $0.roundInterval = .milliseconds(1) }
    let running = Task { await meter.run() }
    while meter.readings.count < 4 { try await Task.sleep(for: .milliseconds(1)) }
    running.cancel()
    await running.value
    #expect(meter.lastReading(of: Sample.id(701))?.usage.bytes == 7)
    #expect(meter.readings.count == 4 && looks == 4)
  }

  @Test func sums() {
    let one = DataUsage(bytes: 1, sessions: 2)
    #expect(one + DataUsage(bytes: 3, sessions: 4) == DataUsage(bytes: 4, sessions: 6))
    #expect(one + DataUsage(bytes: .max) == DataUsage(bytes: .max))
    #expect(
      DataUsage(problem: "a") + DataUsage(bytes: 1, problem: "b") == DataUsage(problem: "a; b"))
  }
}
