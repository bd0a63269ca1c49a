import Synchronization
import Tenancy

/// The decisions that one event loop has recorded. Others only read it, and seldom: its lock is as good as the loop's
/// own.
final class DecisionShard: Sendable {
  private let log: DecisionPace
  /// One that no event loop looks after.
  private let other: DecisionShard?
  /// Allowed decisions until the next that is recorded. One loop counts: where several threads do, some are not.
  private let untilSample: Atomic<Int>
  private let state = Mutex(DecisionRings())

  init(_ log: DecisionPace, beside other: DecisionShard? = nil) {
    self.log = log
    self.other = other
    untilSample = Atomic(log.nextSample())
  }

  // MARK: Recording

  /// Whether a decision is to be recorded, if there is room. Of most that are allowed this is all that is done.
  @inline(__always)
  func wants(_ decision: Decision) -> Bool {
    guard case .allowed = decision else { return log.recordsDenials }
    let left = untilSample.load(ordering: .relaxed)
    if left > 1 {
      untilSample.store(left - 1, ordering: .relaxed)
      return false
    }
    untilSample.store(log.nextSample(), ordering: .relaxed)
    return true
  }

  /// Whether those are to be recorded that are refused without asking the policy.
  var wantsDenials: Bool { log.recordsDenials }

  /// Records what was answered, unless the tenant has recorded too much within this second.
  /// - Parameter decision: nil: the tenant is not active.
  func note(
    _ decision: Decision?, of record: TenantRecord, by source: RecordedDecision.Source,
    subject: RawSpan, permission: RawSpan, resource: RawSpan, _ attributes: RequestAttributes,
    _ access: Access
  ) {
    let answer = RecordedDecision.Answer(decision, record.policy)
    let (tenant, now, terms) = (record.tenant.id, access.now, log.terms)
    guard
      state.withLock({ $0.admit(tenant, isAllowed: answer.isAllowed, at: now, terms) })
    else { return }
    let asked = AskedQuestion(
      subject: subject.decodedText, permission: permission.decodedText,
      resource: resource.decodedText,
      attributes: KeptAttributes(attributes, redacting: terms.redacted))
    let revision = access.snapshot.state.revision
    state.withLock { rings in
      // Within the lock: whoever has seen a greater number sees this one too.
      let decision = RecordedDecision(
        sequence: log.nextSequence(), time: now, revision: revision, asked, answer, source)
      rings.add(decision, of: tenant, terms, share: log.share)
    }
  }

  /// Forgets some of what is too old, or of tenants that are gone.
  func sweep(_ snapshot: Snapshot, at now: Timestamp) {
    other?.sweep(snapshot, at: now)
    let oldest = log.oldest(at: now)
    state.withLock { rings in
      rings.sweep(before: oldest) { snapshot.state.find($0)?.tenant.state.isGone ?? true }
    }
  }

  // MARK: Reading

  /// What is kept of a tenant.
  func kept(of tenant: TenantID) -> DecisionRings.Kept { state.withLock { $0.kept(of: tenant) } }

  /// Bytes of all that is kept, about.
  var bytes: Int { state.withLock { $0.bytes } }
}

/// The decisions of tenants, each in a ring of its own.
struct DecisionRings: Sendable {
  /// What is kept of one tenant.
  struct Kept: Sendable {
    var decisions: ArraySlice<RecordedDecision?> = []
    var leftOut: UInt64 = 0
    var overwritten: UInt64 = 0
    /// When something was last missed that is not kept: left out, overwritten, or forgotten with all of some tenant's;
    /// nil: never.
    var lastMissed: Timestamp?
  }

  fileprivate struct Ring: Sendable {
    /// Those before `head` are gone.
    var slots: [RecordedDecision?] = []
    var head = 0
    var bytes = DecisionRings.ringBytes
    /// Recorded within this second.
    var second: Int64 = 0
    var allowed = 0
    var denied = 0
    var leftOut: UInt64 = 0
    var overwritten: UInt64 = 0
    /// The time of the last that was left out or overwritten.
    var lastMissed: Timestamp?
    var isUsed = true

    var count: Int { slots.count - head }
    // In range: a head is within its slots, or at their end.
    var first: RecordedDecision? { count > 0 ? slots[head] : nil }

    mutating func miss(_ time: Timestamp) { lastMissed = max(lastMissed ?? time, time) }

    mutating func removeFirst() -> Int {
      guard let first else { return 0 }
      slots[head] = nil
      head += 1
      bytes -= first.bytes
      if head > 32, head > slots.count / 2 {
        slots.removeFirst(head)
        head = 0
      }
      return first.bytes
    }
  }

  /// What a tenant takes before it has recorded anything.
  private static let ringBytes = 256
  /// Tenants that are passed over when room is made, because they have recorded something since.
  private static let chances = 8
  /// Tenants that one sweep looks at.
  private static let turnSize = 64

  private var rings: [TenantID: Ring] = [:]
  /// All of them, in the order of a clock.
  private var order: [TenantID] = []
  private var hand = 0
  private(set) var bytes = 0
  private var lastForgotten: Timestamp?

  /// Whether a tenant may record one more within this second.
  mutating func admit(
    _ tenant: TenantID, isAllowed: Bool, at now: Timestamp, _ terms: DecisionTerms
  ) -> Bool {
    if rings[tenant] == nil {
      rings[tenant] = Ring()
      order.append(tenant)
      bytes += Self.ringBytes
    }
    return rings[tenant, default: Ring()].admit(isAllowed: isAllowed, at: now, terms)
  }

  /// - Parameter share: bytes that all may take here.
  mutating func add(
    _ decision: RecordedDecision, of tenant: TenantID, _ terms: DecisionTerms, share: Int
  ) {
    // Another thread may have forgotten the tenant meanwhile.
    guard var ring = rings.removeValue(forKey: tenant) else { return }
    ring.isUsed = true
    ring.slots.append(decision)
    ring.bytes += decision.bytes
    bytes += decision.bytes
    let limit = min(terms.bytesPerTenant, share)
    while ring.count > 1, ring.count > terms.decisionsPerTenant || ring.bytes > limit {
      if let first = ring.first { ring.miss(first.time) }
      bytes -= ring.removeFirst()
      ring.overwritten += 1
    }
    rings[tenant] = ring
    makeRoom(share, for: tenant, at: decision.time)
  }

  /// Forgets all of tenants that have recorded nothing for longer than others.
  private mutating func makeRoom(_ share: Int, for current: TenantID, at now: Timestamp) {
    var chances = Self.chances
    while bytes > share, order.count > 1 {
      if hand >= order.count { hand = 0 }
      // In range: just made sure.
      let tenant = order[hand]
      if tenant == current {
        hand += 1
        continue
      }
      if chances > 0, rings[tenant]?.isUsed ?? false {
        rings[tenant]?.isUsed = false
        (hand, chances) = (hand + 1, chances - 1)
        continue
      }
      forget(at: hand)
      lastForgotten = now
    }
  }

  private mutating func forget(at place: Int) {
    // In range: places are those of `order`.
    let tenant = order[place]
    order.swapAt(place, order.count - 1)
    order.removeLast()
    bytes -= rings.removeValue(forKey: tenant)?.bytes ?? 0
  }

  // MARK: Sweeping

  /// Looks at some tenants; at the next ones the next time.
  /// - Parameters:
  ///   - oldest: what is older is forgotten.
  ///   - isGone: whether all of a tenant's is.
  mutating func sweep(before oldest: Timestamp, isGone: (TenantID) -> Bool) {
    for _ in 0..<min(order.count, Self.turnSize) {
      if hand >= order.count { hand = 0 }
      // In range: no more are forgotten than there are.
      let tenant = order[hand]
      guard !isGone(tenant), var ring = rings.removeValue(forKey: tenant) else {
        forget(at: hand)
        continue
      }
      while let first = ring.first, first.time < oldest { bytes -= ring.removeFirst() }
      rings[tenant] = ring
      if ring.count == 0 { forget(at: hand) } else { hand += 1 }
    }
  }

  // MARK: Reading

  func kept(of tenant: TenantID) -> Kept {
    var kept = Kept(lastMissed: lastForgotten)
    guard let ring = rings[tenant] else { return kept }
    // In range: a head is within its slots, or at their end.
    kept.decisions = ring.slots[ring.head...]
    (kept.leftOut, kept.overwritten) = (ring.leftOut, ring.overwritten)
    kept.lastMissed = [lastForgotten, ring.lastMissed].compactMap(\.self).max()
    return kept
  }
}

extension DecisionRings.Ring {
  fileprivate mutating func admit(
    isAllowed: Bool, at now: Timestamp, _ terms: DecisionTerms
  ) -> Bool {
    if second != now.seconds { (second, allowed, denied) = (now.seconds, 0, 0) }
    if isAllowed {
      guard allowed < terms.allowedPerSecond else { return leaveOut(at: now) }
      allowed += 1
    } else {
      guard denied < terms.denialsPerSecond else { return leaveOut(at: now) }
      denied += 1
    }
    return true
  }

  private mutating func leaveOut(at now: Timestamp) -> Bool {
    leftOut += 1
    miss(now)
    return false
  }
}
