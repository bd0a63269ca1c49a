public import Tenancy
import TenancyRPC
import TenancyWire

/// What is known of how much tenants use.
public struct UsageTerms: Sendable {
  /// Of calls; nil: they are not counted.
  public let counters: TenantCallCounters?
  /// Of data; nil: it is not measured.
  public let meter: DataMeter?
  /// What this node is called.
  public let node: String

  /// Nothing is counted that is not given.
  public init(
    counters: TenantCallCounters? = nil, meter: DataMeter? = nil, node: String = "embedded"
  ) {
    self.counters = counters
    self.meter = meter
    self.node = node
  }
}

/// Methods of `tenancy.v1.TenantManager` that tell what tenants use.
struct UsageService: Sendable {
  static let usualCount = 20
  static let maximumCount = 1000

  let plane: ControlPlane
  let provisioner: Provisioner
  let limiter: RequestLimiter?
  let terms: UsageTerms
  /// By which it is told since when calls are counted: the same each time.
  let start: Clocks

  init(
    plane: ControlPlane, provisioner: Provisioner, limiter: RequestLimiter?, terms: UsageTerms
  ) {
    self.plane = plane
    self.provisioner = provisioner
    self.limiter = limiter
    self.terms = terms
    start = Clocks(wall: plane.now)
  }

  /// Nil: nothing is counted.
  private var counters: TenantCallCounters? {
    terms.counters.flatMap { $0.counts ? $0 : nil }
  }

  func methods(_ gate: Gate) -> [TenancyMethod] {
    let streams = gate.streams
    return [
      gate.async(V1.TenantManager.getTenantUsage) { (access, _) throws(TenancyError) in
        try await usage(access, streams)
      },
      gate.async(V1.TenantManager.listBusiestTenants) { (_, request) throws(TenancyError) in
        try await busiest(request, streams)
      },
    ]
  }

  // MARK: One tenant

  private func usage(
    _ access: Access, _ streams: StreamLeases
  ) async throws(TenancyError) -> V1.TenantUsage {
    let record = try access.requireTarget()
    let (tenant, isPlatform) = (record.tenant, access.caller.isPlatform)
    var usage = V1.TenantUsage(plane.usage(of: record), tenant: record.idText)
    usage.node = terms.node
    if let counters {
      let counted = await counters.usage(of: tenant.id)
      usage.calls = calls(counted, streams: streams.count(of: tenant.id), Clocks(wall: plane.now))
    }
    let plan = access.snapshot.state.catalog.plan(of: tenant.configuration)
    usage.requestLimits =
      limiter?.uses(of: tenant, plan: plan, at: plane.now).map(V1.RequestLimitUsage.init) ?? []
    let reading = await terms.meter?.reading(of: tenant.id)
    usage.storage = storage(reading, isPlatform: isPlatform)
    usage.health = await health(of: tenant, reading, isPlatform: isPlatform, by: access.payer)
    // It was waited for: by now it may not be told any more.
    try access.requireJudge().judge(on: plane.state, at: plane.now)
    return usage
  }

  private func calls(
    _ usage: TenantCallUsage, streams: Int, _ clocks: Clocks
  ) -> V1.CallUsage {
    V1.CallUsage(usage, since: moment(usage.since, clocks), streams: streams, clocks)
  }

  private func moment(_ since: UInt64, _ clocks: Clocks) -> Timestamp {
    since == counters?.begin ? start.wall(since) : clocks.wall(since)
  }

  private func storage(_ reading: DataReading?, isPlatform: Bool) -> V1.StorageUsage {
    guard terms.meter != nil else {
      return V1.StorageUsage(problem: "this node does not measure data")
    }
    return V1.StorageUsage(reading, isPlatform: isPlatform)
  }

  private func health(
    of tenant: Tenant, _ reading: DataReading?, isPlatform: Bool, by payer: WritePayer
  ) async -> V1.TenantHealth {
    var health = V1.TenantHealth(
      state: V1.TenantState(tenant.state), dataPlace: .init(reading?.isReached))
    // What is done to its resources is the platform's business.
    guard isPlatform else { return health }
    do throws(TenancyError) {
      let failed = try await provisioner.operations(of: tenant.id, by: payer).first {
        $0.failure != nil
      }
      if let failed, let failure = failed.failure {
        health.failedOperation = "tenants/\(tenant.id)/operations/\(failed.number)"
        health.failureTime = GoogleProtobuf.Timestamp(failure.time)
        health.failedStep = failure.step
      }
    } catch {
      health.operationsUnknown = true
    }
    return health
  }

  // MARK: The busiest

  struct Candidate: Hashable {
    let id: TenantID
    let rank: Int64

    func comes(before other: Candidate) -> Bool {
      (other.rank, id) < (rank, other.id)
    }
  }

  private func busiest(
    _ request: V1.ListBusiestTenantsRequest, _ streams: StreamLeases
  ) async throws(TenancyError) -> V1.ListBusiestTenantsResponse {
    let count = try Self.count(request.pageSize)
    let summary = await counters?.summary()
    let readings = terms.meter?.readings ?? [:]
    let (state, clocks) = (plane.state, Clocks(wall: plane.now))
    let chosen = Self.most(
      try Self.candidates(request.order, summary, readings, at: clocks.steady), count)
    var answer = V1.ListBusiestTenantsResponse(node: terms.node)
    answer.tenants = chosen.map { one in
      let record = state.find(one.id)
      return V1.BusyTenant(
        tenant: "\(TenantNames.collection)\(one.id)",
        slug: record?.tenant.slug.text ?? "",
        state: record.map { V1.TenantState($0.tenant.state) } ?? .unspecified,
        calls: summary?.usage(of: one.id).map {
          calls($0, streams: streams.count(of: one.id), clocks)
        },
        storage: storage(readings[one.id], isPlatform: true))
    }
    guard let summary else { return answer }
    answer.calls = Int64(clamping: summary.calls)
    answer.countedTenants = Int64(summary.tenants.count)
    answer.forgottenTenants = Int64(clamping: summary.forgotten)
    answer.sinceTime = GoogleProtobuf.Timestamp(moment(summary.since, clocks))
    return answer
  }

  private static func count(_ size: Int32) throws(TenancyError) -> Int {
    guard size >= 0 else { throw .invalid("page_size", "must not be negative") }
    return size == 0 ? usualCount : min(Int(size), maximumCount)
  }

  /// All that have any of what is asked for.
  private static func candidates(
    _ order: V1.ListBusiestTenantsRequest.Order, _ summary: UsageSummary?,
    _ readings: [TenantID: DataReading], at now: UInt64
  ) throws(TenancyError) -> [Candidate] {
    let tenants = summary?.tenants ?? [:]
    func rank(_ value: (CallCounts) -> UInt64) -> [Candidate] {
      tenants.map { Candidate(id: $0.key, rank: Int64(clamping: value($0.value.counts))) }
    }
    let all: [Candidate]
    switch order {
    case .unspecified, .calls: all = rank(\.all)
    case .denied: all = rank(\.denied)
    case .lastMinute: all = rank { $0.ofLastMinute(at: now) }
    case .storage:
      all = readings.map { Candidate(id: $0.key, rank: $0.value.usage.bytes ?? 0) }
    default: throw .invalid("order", "is none of the orders")
    }
    return all.filter { $0.rank > 0 }
  }

  /// The greatest, the oldest first among equals. Not all are sorted for a few.
  static func most(_ all: [Candidate], _ count: Int) -> [Candidate] {
    var best: [Candidate] = []
    for one in all {
      if best.count == count {
        guard let least = best.last, one.comes(before: least) else { continue }
        best.removeLast()
      }
      var (low, high) = (0, best.count)
      while low < high {
        let middle = (low + high) / 2
        if one.comes(before: best[middle]) { high = middle } else { low = middle + 1 }
      }
      best.insert(one, at: low)
    }
    return best
  }
}

/// One moment, by the clock of calls and by that of people.
struct Clocks {
  let steady = CallRecord.now
  let wall: Timestamp

  /// A moment that is over.
  func wall(_ time: UInt64) -> Timestamp {
    let ago = Int64(clamping: steady - min(steady, time))
    return Timestamp(nanoseconds: wall.nanoseconds &- ago)
  }
}

extension V1.CallUsage {
  fileprivate init(
    _ usage: TenantCallUsage, since: Timestamp, streams: Int, _ clocks: Clocks
  ) {
    let counts = usage.counts
    self.init(
      sinceTime: GoogleProtobuf.Timestamp(since),
      latestCallTime: counts.latest == 0
        ? nil : GoogleProtobuf.Timestamp(clocks.wall(counts.latest)),
      calls: Int64(clamping: counts.all), okCalls: Int64(clamping: counts.ok),
      deniedCalls: Int64(clamping: counts.denied), limitedCalls: Int64(clamping: counts.limited),
      cancelledCalls: Int64(clamping: counts.cancelled),
      failedCalls: Int64(clamping: counts.failed),
      lastMinuteCalls: Int64(clamping: counts.ofLastMinute(at: clocks.steady)),
      openConnections: Int64(usage.connections), openStreams: Int64(streams))
  }
}

extension V1.RequestLimitUsage {
  fileprivate init(_ use: RequestLimitUse) {
    self.init(
      limit: use.limit.name, period: use.limit.period.rawValue, used: use.used,
      maximum: use.limit.burst, resetTime: GoogleProtobuf.Timestamp(use.reset))
  }
}

extension V1.StorageUsage {
  /// - Parameter isPlatform: whether it may be told why something is not known: that may name servers and files.
  fileprivate init(_ reading: DataReading?, isPlatform: Bool) {
    guard let reading else {
      self.init(problem: "it was not measured yet")
      return
    }
    let usage = reading.usage
    self.init(
      bytes: usage.bytes, sessions: usage.sessions,
      measureTime: GoogleProtobuf.Timestamp(reading.time),
      problem: usage.problem.isEmpty || isPlatform
        ? usage.problem : "not all of it could be measured")
  }
}

extension V1.TenantHealth.DataPlace {
  fileprivate init(_ isReached: Bool?) {
    switch isReached {
    case nil: self = .unknown
    case true?: self = .reached
    case false?: self = .unreachable
    }
  }
}
