internal import Synchronization

/// Whether tenants' requests are within their limits.
///
/// Each tenant has its own meters: what one spends, no other lacks. Answers come from memory; what was let through is
/// told to the ledger a moment later, by `run`. Thread-safe.
public final class RequestLimiter: Sendable {
  /// Which limits tenants have.
  public let plans: LimitPlans
  let ledger: any LimitLedger
  let node: String
  let shards: [LimitShard]
  let alive = Atomic<Int>(1)
  let wake: AsyncStream<Void>
  let waker: AsyncStream<Void>.Continuation
  private let steady: @Sendable () -> Int64

  private static let shardCount = 64

  /// - Parameters:
  ///   - node: what the ledger knows this node by; no other has it.
  ///   - steady: nanoseconds of a clock that is never set.
  public init(
    plans: LimitPlans, ledger: any LimitLedger, node: String,
    steady: @escaping @Sendable () -> Int64
  ) {
    self.plans = plans
    self.ledger = ledger
    self.node = node
    self.steady = steady
    shards = (0..<Self.shardCount).map { _ in LimitShard() }
    (wake, waker) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Nodes that share the limits, as far as is known.
  public var nodes: Int { alive.load(ordering: .relaxed) }
  /// Whether there may be others.
  public var isShared: Bool { ledger.isShared }

  func time(_ wall: Timestamp) -> LimitTime { LimitTime(steady: steady(), wall: wall) }

  // MARK: Questions

  /// Some requests of one tenant that want to be let through.
  public struct Question: Sendable {
    /// Whose they are.
    public let tenant: Tenant
    /// The plan that it names, where the platform has declared it.
    public let plan: Plan?
    /// Which limits they have: those of this name.
    public let name: String
    /// A lower limit that Envoy asks for; nil: the tenant's own are all.
    public let asked: RequestLimit?
    /// How many; 0 asks only.
    public let hits: Int64

    /// - Parameter hits: not negative.
    public init(
      tenant: Tenant, plan: Plan? = nil, name: String, asked: RequestLimit? = nil, hits: Int64
    ) {
      self.tenant = tenant
      self.plan = plan
      self.name = name
      self.asked = asked
      self.hits = hits
    }
  }

  /// How it stands.
  public struct Answer: Sendable {
    /// Whether the requests are within all limits. They count only if the answers to all questions say so.
    public let isWithin: Bool
    /// The limit that is nearest to be reached, or that keeps them out longest.
    public let limit: RequestLimit
    /// What of it is left.
    public let remaining: Int64
    /// Seconds until the requests may be let through, or, where they are within it, until nothing of it is used.
    public let wait: Double
  }

  /// Judges requests together: they count if all are within their limits, and else none of them.
  /// - Throws: FAILED_PRECONDITION where a tenant's plan is not there any more, INVALID_ARGUMENT where no limit
  ///   has the name, RESOURCE_EXHAUSTED where Envoy asks for too many of a tenant's.
  public func judge(
    _ questions: [Question], at wall: Timestamp
  ) throws(TenancyError) -> [Answer] {
    let now = time(wall)
    var answers: [Answer] = []
    answers.reserveCapacity(questions.count)
    do throws(TenancyError) {
      for question in questions {
        answers.append(try ask(question, at: now))
      }
    } catch {
      giveBack(questions, answers)
      throw error
    }
    if questions.count > 1, answers.contains(where: { !$0.isWithin }) {
      giveBack(questions, answers)
    }
    return answers
  }

  private func ask(_ question: Question, at now: LimitTime) throws(TenancyError) -> Answer {
    let (nodes, isShared) = (nodes, ledger.isShared)
    let (answer, isFirst) = try shard(of: question.tenant.id).state.withLock {
      (shard: inout LimitShard.State) throws(TenancyError) -> (Answer, Bool) in
      let meters = try shard.meters(
        of: question.tenant, question.plan, plans, nodes, isShared, now)
      let asked = try meters.admit(question, nodes, isShared, now)
      let answer = meters.judge(question, asked, nodes, now)
      guard !meters.isListed, meters.isOpen(nodes) else { return (answer, false) }
      meters.isListed = true
      shard.open.append(question.tenant.id)
      return (answer, shard.open.count == 1)
    }
    if isFirst { waker.yield() }
    return answer
  }

  private func giveBack(_ questions: [Question], _ answers: [Answer]) {
    for (question, answer) in zip(questions, answers) where answer.isWithin && question.hits > 0 {
      shard(of: question.tenant.id).state.withLock {
        $0.tenants[question.tenant.id]?.giveBack(question)
      }
    }
  }

  func shard(of tenant: TenantID) -> LimitShard {
    // In range: a remainder. Those bits are random.
    shards[Int(tenant.low % UInt64(Self.shardCount))]
  }
}
