import Tenancy
import TenancyRPC
import Testing

@testable import tenantctl

@Suite struct LoadPlanTests {
  static func plan(_ arguments: [String]) throws -> LoadPlan {
    try LoadPlan(try LoadCommand.parse(arguments).load)
  }

  @Test func defaults() throws {
    let plan = try Self.plan([])
    #expect(plan.shape.arrivals == .closed(callers: 1))
    #expect(plan.shape.duration == 10_000_000_000 && plan.shape.warmup == 1_000_000_000)
    #expect(plan.methods == [.resolve] && plan.connections == 1 && plan.tenants.isEmpty)
  }

  @Test func open() throws {
    let plan = try Self.plan([
      "--rate", "1000", "--poisson", "--max-outstanding", "7", "--method", "check=3", "--method",
      "resolve", "--tenant", "tenants/acme", "--tenant-count", "2", "--tenant-prefix", "t-",
      "--protocol", "ttrpc",
    ])
    #expect(plan.shape.arrivals == .open(rate: 1_000, isPoisson: true, maximumOutstanding: 7))
    #expect(plan.methods == [.check, .resolve] && plan.mix == LoadMix(weights: [3, 1]))
    #expect(plan.spoken == .ttrpc)
    #expect(plan.tenants == ["acme", "t-00000", "t-00001"])
  }

  @Test(arguments: [
    ["--rate", "0"], ["--rate", "10000001"], ["--rate", "nan"], ["--concurrency", "0"],
    ["--concurrency", "100001"], ["--rate", "1", "--concurrency", "1"], ["--poisson"],
    ["--connections", "0"], ["--connections", "10001"], ["--duration", "0"],
    ["--duration", "604801"], ["--warmup=-1"], ["--warmup", "604801"],
    ["--rate", "1", "--max-outstanding", "0"], ["--rate", "1", "--max-outstanding", "100001"],
    ["--method", "check", "--method", "check=2"], ["--tenant-count", "0"],
    ["--tenant-count", "1000001"], ["--tenant-count", "1000000", "--tenant", "acme"],
    ["--tenant", "a/b"], ["--tenants-file", "/nowhere"], ["--tenants-file", "/dev/null"],
  ])
  func refused(arguments: [String]) {
    #expect(throws: UsageError.self) { try Self.plan(arguments) }
  }
}

@Suite struct LoadReportTests {
  static func report(
    _ arguments: [String], _ calls: [FinishedCall], late: UInt64 = 0, unsent: UInt64 = 0
  ) throws -> LoadReport {
    let plan = try LoadPlanTests.plan(arguments)
    var tally = LoadTally(methods: plan.methods.count)
    for call in calls { tally.record(call) }
    return LoadReport(
      target: "unix:/s", plan: plan, tally: tally,
      outcome: LoadRun.Outcome(late: late, unsent: unsent, nanoseconds: 2_000_000_000))
  }

  static func call(
    _ code: RPCStatus.Code, method: Int = 0, milliseconds: UInt64 = 1
  ) -> FinishedCall {
    FinishedCall(method: method, code: code, latency: milliseconds * 1_000_000, lag: 2_000)
  }

  @Test func table() throws {
    let calls =
      (1...10).map { Self.call(.ok, milliseconds: $0) } + [
        Self.call(.ok, method: 1, milliseconds: 20), Self.call(.notFound, milliseconds: 3),
        Self.call(.unavailable, method: 1, milliseconds: 4),
      ]
    let report = try Self.report(
      ["--rate", "6.5", "--method", "resolve=5", "--method", "check"], calls, late: 3, unsent: 4)
    #expect(
      report.lines() == [
        "Target:      unix:/s, 1 connection, grpc",
        "Load:        open loop, 6.50/s evenly, at most 4096 in flight, 10.0 s after 1.0 s of warm-up",
        "Calls:       13 in 2.00 s (6/s)",
        "Failed:      2 (NOT_FOUND 1, UNAVAILABLE 1)",
        "Late:        3 sent over 1 ms after they were due",
        "Never sent:  4",
        "Lag:         p50 0.002, p99 0.002, max 0.002 ms from when calls were due to when sent",
        "",
        "LATENCY (ms)  CALLS  MEAN    P50     P90     P99     P99.9   P99.99  MAX",
        "resolve       10     5.500   5.001   9.003   10.000  10.000  10.000  10.000",
        "check         1      19.997  20.000  20.000  20.000  20.000  20.000  20.000",
        "all           11     6.817   6.001   10.002  20.000  20.000  20.000  20.000",
        "(failed)      2      3.500   3.000   4.000   4.000   4.000   4.000   4.000",
      ])
    #expect(report.exitCode == Failure.refused)
  }

  @Test func json() throws {
    let report = try Self.report(
      ["--concurrency", "3"], [Self.call(.ok), Self.call(.internalError, milliseconds: 9)])
    guard case .object(let fields) = report.json() else { return #expect(Bool(false)) }
    #expect(fields["protocol"] == .string("grpc"))
    #expect(fields["loop"] == .string("closed") && fields["concurrency"] == .number(3))
    #expect(fields["calls"] == .number(2) && fields["failed"] == .number(1))
    #expect(fields["calls_per_s"] == .number(1) && fields["elapsed_s"] == .number(2))
    #expect(fields["codes"] == .object(["OK": .number(1), "INTERNAL": .number(1)]))
    guard case .object(let latency)? = fields["latency_us"],
      case .object(let methods)? = fields["methods"], case .object(let one)? = methods["resolve"]
    else { return #expect(Bool(false)) }
    #expect(latency["p99.99"] == .number(1_000) && latency["max"] == .number(1_000))
    #expect(one["calls"] == .number(2) && one["codes"] == fields["codes"])
    #expect(fields["lag_us"] == nil)
  }

  @Test func exitCodes() throws {
    func code(_ calls: [FinishedCall]) throws -> Int32 { try Self.report([], calls).exitCode }
    #expect(try code([Self.call(.ok)]) == 0)
    #expect(try code([Self.call(.unavailable), Self.call(.ok)]) == Failure.refused)
    let hundred = (0..<100).map { _ in Self.call(.ok) }
    #expect(try code(hundred + [Self.call(.unavailable)]) == 0)
    #expect(
      try code(hundred + [Self.call(.unavailable), Self.call(.notFound)]) == Failure.refused)
    #expect(try code([Self.call(.unavailable), Self.call(.notFound)]) == Failure.refused)
    #expect(
      try code([Self.call(.unavailable), Self.call(.deadlineExceeded)]) == Failure.noConnection)
    #expect(try code([]) == Failure.noConnection)
  }
}
