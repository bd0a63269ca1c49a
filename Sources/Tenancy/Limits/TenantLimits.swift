internal import Synchronization

/// A part of the tenants, with their meters.
final class LimitShard: Sendable {
  struct State {
    var tenants: [TenantID: TenantLimits] = [:]
    /// Those of which the ledger is to be told, each once.
    var open: [TenantID] = []
    /// What quotas had used when the node began, as far as it has not asked since.
    var quotas: [LimitKey: LimitCount] = [:]

    /// - Throws: FAILED_PRECONDITION where the tenant's plan is not there any more.
    mutating func meters(
      of tenant: Tenant, _ plan: Plan?, _ plans: LimitPlans, _ nodes: Int, _ isShared: Bool,
      _ now: LimitTime
    ) throws(TenancyError) -> TenantLimits {
      // An event loop may be behind for a moment.
      let version = TenantLimits.Version(tenant: tenant.version, plan: plan?.version ?? 0)
      if let known = tenants[tenant.id], known.version >= version { return known }
      guard let limits = plans.limits(of: tenant.configuration.limits, plan) else {
        throw TenancyError(
          .failedPrecondition, .limitPlanUnknown, "the tenant's plan is not configured any more")
      }
      let meters = tenants[tenant.id] ?? TenantLimits()
      meters.set(limits, version: version, nodes, isShared, now) { key, period in
        used(LimitKey(tenant: tenant.id, text: key), period, now)
      }
      tenants[tenant.id] = meters
      return meters
    }

    private mutating func used(
      _ key: LimitKey, _ period: RequestLimit.Period, _ now: LimitTime
    ) -> Double {
      guard period.isCalendar, let quota = quotas.removeValue(forKey: key),
        quota.begin >= period.begin(of: now.wall)
      else { return 0 }
      return quota.used
    }
  }

  let state = Mutex(State())
}

/// What one tenant has let through. Confined to its shard's lock.
final class TenantLimits {
  /// Limits that Envoy may ask for of one tenant, besides the tenant's own.
  static let maximumAsked = 16

  /// Tells a tenant's own limits apart.
  static func key(of limit: RequestLimit) -> String { "\(limit.name)/\(limit.period.rawValue)" }

  private struct Entry {
    var meter: LimitMeter
    /// Whether it is no limit of the tenant's, but one that Envoy has asked for.
    let isAsked: Bool
    /// Whether the tenant has it no more. It is kept for when it comes back.
    var isFormer = false

    var isOwn: Bool { !isAsked && !isFormer }
  }
  /// Entries that are kept for a tenant that had them.
  private static let maximumFormer = 32

  /// By which limits were worked out. With another plan the tenant has another version.
  struct Version: Comparable {
    var tenant: UInt64 = 0
    var plan: UInt64 = 0

    static func < (a: Self, b: Self) -> Bool { (a.tenant, a.plan) < (b.tenant, b.plan) }
  }

  private(set) var version = Version()
  private var entries: [Entry] = []
  /// Whether it is among those of which the ledger is to be told.
  var isListed = false

  func set(
    _ limits: [RequestLimit], version: Version, _ nodes: Int, _ isShared: Bool, _ now: LimitTime,
    used: (String, RequestLimit.Period) -> Double
  ) {
    self.version = version
    let former = entries
    entries = limits.map { limit in
      let key = Self.key(of: limit)
      guard var entry = former.first(where: { $0.meter.key == key }) else {
        return Entry(
          meter: LimitMeter(
            limit, key: key, used: used(key, limit.period), nodes: nodes, isShared: isShared,
            at: now),
          isAsked: false)
      }
      if entry.meter.limit != limit {
        entry.meter.advance(to: now, nodes: nodes)
        entry.meter.change(to: limit, nodes: nodes)
      }
      entry.isFormer = false
      return entry
    }
    let left = former.filter { entry in
      !entry.isAsked && !entries.contains { $0.meter.key == entry.meter.key }
    }
    entries += left.suffix(Self.maximumFormer).map { entry in
      var entry = entry
      entry.isFormer = true
      return entry
    }
    entries += former.filter(\.isAsked)
  }

  // MARK: Requests

  /// What a question asks for besides the tenant's limits.
  /// - Returns: nil where the tenant's own are as low.
  /// - Throws: INVALID_ARGUMENT where no limit has the name, RESOURCE_EXHAUSTED where Envoy asks for too many.
  func admit(
    _ question: RequestLimiter.Question, _ nodes: Int, _ isShared: Bool, _ now: LimitTime
  ) throws(TenancyError) -> RequestLimit? {
    guard entries.contains(where: { $0.isOwn && $0.meter.limit.name == question.name }) else {
      throw .invalid("descriptors.entries.limit", "no plan has a limit called that")
    }
    guard let asked = asked(by: question) else { return nil }
    guard !entries.contains(where: { $0.isAsked && $0.meter.limit == asked }) else { return asked }
    var count = 0
    for entry in entries where entry.isAsked { count += 1 }
    if count >= Self.maximumAsked {
      entries.removeAll { $0.isAsked && $0.meter.isIdle(at: now, nodes: nodes) }
      guard entries.count(where: \.isAsked) < Self.maximumAsked else {
        throw TenancyError(
          .resourceExhausted, .limitReached,
          "Envoy asks for more than \(Self.maximumAsked) different limits of the tenant",
          retryAfterSeconds: 1)
      }
    }
    let key = "\(asked.name)/\(asked.period.rawValue)/\(asked.requests)"
    entries.append(
      Entry(
        meter: LimitMeter(asked, key: key, nodes: nodes, isShared: isShared, at: now),
        isAsked: true))
    return asked
  }

  private func asked(by question: RequestLimiter.Question) -> RequestLimit? {
    guard let asked = question.asked else { return nil }
    let isCovered = entries.contains { entry in
      entry.isOwn && entry.meter.limit.replaces(asked)
        && entry.meter.limit.requests <= asked.requests
        && entry.meter.limit.burst <= asked.burst
    }
    return isCovered ? nil : asked
  }

  private func counts(
    _ entry: Entry, _ question: RequestLimiter.Question, _ asked: RequestLimit?
  ) -> Bool {
    entry.isAsked
      ? entry.meter.limit == asked : entry.isOwn && entry.meter.limit.name == question.name
  }

  /// Lets all of them through, or nothing.
  /// - Parameter asked: what `admit` has returned.
  func judge(
    _ question: RequestLimiter.Question, _ asked: RequestLimit?, _ nodes: Int, _ now: LimitTime
  ) -> RequestLimiter.Answer {
    // Who asks only wants to know whether one would be let through.
    let hits = Double(max(1, question.hits))
    var isWithin = true
    for index in entries.indices where counts(entries[index], question, asked) {
      entries[index].meter.advance(to: now, nodes: nodes)
      if !entries[index].meter.allows(hits) { isWithin = false }
    }
    var answer: RequestLimiter.Answer?
    var worst = -Double.infinity
    for index in entries.indices where counts(entries[index], question, asked) {
      if isWithin, question.hits > 0 { entries[index].meter.take(hits) }
      if !isWithin, entries[index].meter.allows(hits) { continue }
      let meter = entries[index].meter
      let remaining = meter.remaining
      let wait = meter.wait(for: isWithin ? 0 : hits, at: now, nodes: nodes)
      let rank = isWithin ? -Double(remaining) / Double(meter.limit.burst) : wait
      guard rank > worst else { continue }
      worst = rank
      answer = RequestLimiter.Answer(
        isWithin: isWithin, limit: meter.limit, remaining: isWithin ? remaining : 0, wait: wait)
    }
    // In range: `admit` has seen that one has the name.
    guard let answer else { preconditionFailure("no limit counts") }
    return answer
  }

  func giveBack(_ question: RequestLimiter.Question) {
    let asked = asked(by: question)
    for index in entries.indices where counts(entries[index], question, asked) {
      entries[index].meter.giveBack(Double(question.hits))
    }
  }

  // MARK: The ledger

  func isOpen(_ nodes: Int) -> Bool {
    for entry in entries where entry.meter.isOpen(nodes: nodes) { return true }
    return false
  }

  /// What the ledger is to be told now.
  /// - Parameter all: whether it is for the last time.
  func uses(
    of tenant: TenantID, all: Bool, _ nodes: Int, _ now: LimitTime
  ) -> [LimitUse] {
    var uses: [LimitUse] = []
    for index in entries.indices {
      let limit = entries[index].meter.limit
      guard entries[index].meter.isOpen(nodes: nodes),
        all || entries[index].meter.isDue(at: now, nodes: nodes)
      else { continue }
      let (spent, age) = entries[index].meter.beginTelling(at: now)
      uses.append(
        LimitUse(
          key: LimitKey(tenant: tenant, text: entries[index].meter.key), spent: spent, age: age,
          rate: limit.rate, most: entries[index].meter.most,
          period: limit.period.isCalendar ? limit.period : nil))
    }
    return uses
  }

  /// - Parameter count: nil: the ledger did not answer.
  func told(_ key: String, _ count: LimitCount?, _ nodes: Int, _ now: LimitTime) {
    for index in entries.indices where entries[index].meter.key == key {
      if let count {
        entries[index].meter.told(count, nodes: nodes, at: now)
      } else {
        entries[index].meter.couldNotTell()
      }
    }
  }

  /// What is left of the tenant's own limits, and in how many seconds all is.
  func rest(_ nodes: Int, _ now: LimitTime) -> [(limit: RequestLimit, left: Int64, wait: Double)] {
    entries.filter(\.isOwn).map { entry in
      var meter = entry.meter
      meter.advance(to: now, nodes: nodes)
      return (meter.limit, meter.remaining, meter.wait(for: 0, at: now, nodes: nodes))
    }
  }

  func isIdle(_ nodes: Int, _ now: LimitTime) -> Bool {
    entries.allSatisfy { $0.meter.isIdle(at: now, nodes: nodes) }
  }
}
