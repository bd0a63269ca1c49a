import Synchronization

/// What was denied since the last time it was written: alike ones are counted, so that a flood is few
/// records, and none is left out. Thread-safe; what denies only counts here.
///
/// Its size is bounded. A chain has places for different ones of its own callers, and as many for those of
/// others, so that strangers can't crowd out what the tenant's own were denied. The rest is counted under the
/// chain's name alone, its own and others' apart. Callers of one home take up no more than their part of the
/// table, whatever names they call: what is beyond it stands in their own chain as a count, and so does, in the
/// platform's, what too many homes are beyond.
final class DenialTable: Sendable {
  struct Limits: Sendable {
    /// Different ones in one chain of its own callers, and as many of others.
    var perChain = 8
    var all = 4096
    /// Chains in which some are counted by their number only, its own callers' and others' each.
    var crowdedChains = 4096
    /// Of the two above, what callers of one home have made.
    var perHome = 256
    /// Homes that are beyond their part.
    var crowdedHomes = 1024
  }

  /// `AuditEvent.reason` of those that are only counted.
  static let othersReason = "OTHERS"
  /// `AuditEvent.action` of those.
  static let othersAction = "various"
  /// Of those that other chains would tell of, in the chain of the callers' home.
  static let elsewhereAction = "elsewhere"

  /// Bytes of a name that came with a request.
  static let maximumNameBytes = 128

  /// A chain, and whether the callers are its own.
  private struct Side: Hashable {
    let chain: AuditChain
    let isOwn: Bool

    init(_ chain: AuditChain, _ home: TenantID?) {
      self.chain = chain
      isOwn = chain.tenant == home
    }
  }

  private struct Key: Hashable {
    let side: Side
    let home: TenantID?
    let subject: String
    let credentialID: String
    let action: String
    let named: String
    let reason: String
  }

  private struct Contents {
    var denials: [Key: AuditEvent] = [:]
    var perSide: [Side: Int] = [:]
    /// Different ones, and crowds, that callers of a home have made.
    var perHome: [TenantID?: Int] = [:]
    var crowds: [Side: AuditEvent] = [:]
    /// By the callers' home, in its chain.
    var elsewhere: [TenantID?: AuditEvent] = [:]
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
        contents.denials.map { AuditNote(event: $1, chains: [$0.side.chain]) }
        + contents.crowds.map { AuditNote(event: $1, chains: [$0.chain]) }
        + contents.elsewhere.map {
          AuditNote(event: $1, chains: [$0.map(AuditChain.tenant) ?? .platform])
        }
      contents = Contents()
      return notes.sorted { $0.event.firstTime < $1.event.firstTime }
    }
  }

  private func count(_ event: AuditEvent, in chain: AuditChain, _ contents: inout Contents) {
    let home = event.origin.home
    let side = Side(chain, home)
    let key = Key(
      side: side, home: home, subject: event.origin.subject,
      credentialID: event.origin.credentialID, action: event.action, named: event.named,
      reason: event.reason)
    if let index = contents.denials.index(forKey: key) {
      contents.denials.values[index].add(event)
    } else if contents.denials.count < limits.all,
      contents.perSide[side, default: 0] < limits.perChain, takePart(of: home, &contents)
    {
      contents.denials[key] = event
      contents.perSide[side, default: 0] += 1
    } else if let index = contents.crowds.index(forKey: side) {
      contents.crowds.values[index].add(event)
    } else if contents.crowds.count < limits.crowdedChains, takePart(of: home, &contents) {
      contents.crowds[side] = Self.others(
        event, Self.othersAction, home: side.isOwn ? home : nil, in: chain)
    } else {
      countElsewhere(event, &contents)
    }
  }

  private func takePart(of home: TenantID?, _ contents: inout Contents) -> Bool {
    guard contents.perHome[home, default: 0] < limits.perHome else { return false }
    contents.perHome[home, default: 0] += 1
    return true
  }

  private func countElsewhere(_ event: AuditEvent, _ contents: inout Contents) {
    let home = event.origin.home
    // The platform's always has its place.
    let isThere =
      contents.elsewhere[home] != nil || contents.elsewhere.count < limits.crowdedHomes
    let crowd = isThere ? home : nil
    if let index = contents.elsewhere.index(forKey: crowd) {
      contents.elsewhere.values[index].add(event)
    } else {
      contents.elsewhere[crowd] = Self.others(
        event, Self.elsewhereAction, home: crowd, in: crowd.map(AuditChain.tenant) ?? .platform)
    }
  }

  private static func others(
    _ event: AuditEvent, _ action: String, home: TenantID?, in chain: AuditChain
  ) -> AuditEvent {
    AuditEvent(
      origin: AuditOrigin(home: home, subject: ""), action: action,
      tenant: action == othersAction ? chain.tenant : nil, decision: .denied,
      reason: othersReason, count: event.count, firstTime: event.firstTime, time: event.time)
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
