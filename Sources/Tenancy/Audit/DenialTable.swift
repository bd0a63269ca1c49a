import Synchronization

/// What was denied since the last time it was written: alike ones are counted, so that a flood is few
/// records, and none is left out. Thread-safe; what denies only counts here.
///
/// Its size is bounded. When a chain has as many different ones as it may, or all chains together have, the
/// others are counted under the chain's name alone; when there are too many of these, under the platform's.
final class DenialTable: Sendable {
  struct Limits: Sendable {
    /// Different ones in one chain.
    var perChain = 16
    var all = 4096
    /// Chains in which some are counted by their number only.
    var crowdedChains = 4096
  }

  /// `AuditEvent.reason` of those that are only counted.
  static let othersReason = "OTHERS"
  /// `AuditEvent.action` of those.
  static let othersAction = "various"

  /// Bytes of a name that came with a request.
  static let maximumNameBytes = 128

  private struct Key: Hashable {
    let chain: AuditChain
    let home: TenantID?
    let subject: String
    let credentialID: String
    let action: String
    let named: String
    let reason: String
  }

  private struct Contents {
    var denials: [Key: AuditEvent] = [:]
    var perChain: [AuditChain: Int] = [:]
    var others: [AuditChain: AuditEvent] = [:]
  }

  private let limits: Limits
  private let contents = Mutex(Contents())

  init(_ limits: Limits = Limits()) { self.limits = limits }

  /// Counts an event in each of its chains.
  func note(_ note: AuditNote) {
    contents.withLock { contents in
      for chain in note.chains { count(note.event(in: chain), in: chain, &contents) }
    }
  }

  /// Takes all that was counted.
  func drain() -> [AuditNote] {
    contents.withLock { contents in
      let notes =
        contents.denials.map { AuditNote(event: $1, chains: [$0.chain]) }
        + contents.others.map { AuditNote(event: $1, chains: [$0]) }
      contents = Contents()
      return notes.sorted { $0.event.firstTime < $1.event.firstTime }
    }
  }

  private func count(_ event: AuditEvent, in chain: AuditChain, _ contents: inout Contents) {
    let key = Key(
      chain: chain, home: event.origin.home, subject: event.origin.subject,
      credentialID: event.origin.credentialID, action: event.action, named: event.named,
      reason: event.reason)
    if let index = contents.denials.index(forKey: key) {
      contents.denials.values[index].add(event)
      return
    }
    if contents.denials.count < limits.all,
      contents.perChain[chain, default: 0] < limits.perChain
    {
      contents.denials[key] = event
      contents.perChain[chain, default: 0] += 1
      return
    }
    // The platform's always has its place.
    let isThere = contents.others[chain] != nil || contents.others.count < limits.crowdedChains
    let crowd = isThere ? chain : .platform
    if contents.others[crowd] == nil {
      contents.others[crowd] = AuditEvent(
        origin: AuditOrigin(subject: ""), action: Self.othersAction, tenant: crowd.tenant,
        decision: .denied, reason: Self.othersReason, count: event.count,
        firstTime: event.firstTime, time: event.time)
    } else {
      contents.others[crowd]?.add(event)
    }
  }
}

extension AuditEvent {
  fileprivate mutating func add(_ other: AuditEvent) {
    let (sum, overflow) = count.addingReportingOverflow(other.count)
    count = overflow ? .max : sum
    firstTime = min(firstTime, other.firstTime)
    time = max(time, other.time)
  }
}
