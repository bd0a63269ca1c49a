import Synchronization

/// What was denied, or allowed without a change, since the last time it was written: alike ones are counted, so that a flood is few
/// records, and none is left out. Thread-safe; what denies only counts here.
///
/// Its size is bounded. A chain has places for different ones of its own callers, and as many for those of
/// others, so that strangers can't crowd out what the tenant's own were denied. The rest is counted under the
/// chain's name alone, its own and others' apart. Callers of one home take up no more than their part of the
/// table, whatever names they call: calls that are beyond it, in one chain or several, stand in their own chain and
/// in the platform's as a count, and in the platform's alone where too many homes are beyond. Callers of a home
/// that is not known have a part together, apart from the platform's own.
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

  /// Whose callers they are.
  private enum Home: Hashable {
    case tenant(TenantID)
    case platform
    /// Of a tenant, by its certificate, that there is not.
    case unknown

    init(_ event: AuditEvent) {
      if let home = event.origin.home {
        self = .tenant(home)
      } else {
        self =
          event.reason == TenancyError.Reason.identityUnknown.description ? .unknown : .platform
      }
    }

    /// Where what they did is counted that stands nowhere else.
    var chains: [AuditChain] {
      switch self {
      case .tenant(let home): [.tenant(home), .platform]
      case .platform, .unknown: [.platform]
      }
    }

    func owns(_ chain: AuditChain) -> Bool {
      switch self {
      case .tenant(let home): chain.tenant == home
      case .platform: chain.tenant == nil
      case .unknown: false
      }
    }
  }

  /// A chain, and whether the callers are its own.
  private struct Side: Hashable {
    let chain: AuditChain
    let isOwn: Bool

    init(_ chain: AuditChain, _ home: Home) {
      self.chain = chain
      isOwn = home.owns(chain)
    }
  }

  private struct Key: Hashable {
    let side: Side
    let home: Home
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
    var perHome: [Home: Int] = [:]
    var crowds: [Side: AuditEvent] = [:]
    /// By the callers' home.
    var elsewhere: [Home: AuditEvent] = [:]
  }

  private let limits: Limits
  private let contents = Mutex(Contents())

  init(_ limits: Limits = Limits()) { self.limits = limits }

  /// Counts an event in each of its chains.
  func note(_ note: AuditNote) {
    contents.withLock { contents in
      let home = Home(note.event)
      var isPlaced = true
      for chain in note.chains where !count(note.event(in: chain), home, in: chain, &contents) {
        isPlaced = false
      }
      // Once, in however many chains it should stand.
      if !isPlaced { countElsewhere(note.event, home, &contents) }
    }
  }

  /// Takes all that was counted.
  func drain() -> [AuditNote] {
    contents.withLock { contents in
      let notes =
        contents.denials.map { AuditNote(event: $1, chains: [$0.side.chain]) }
        + contents.crowds.map { AuditNote(event: $1, chains: [$0.chain]) }
        + contents.elsewhere.map { AuditNote(event: $1, chains: $0.chains) }
      contents = Contents()
      return notes.sorted { $0.event.firstTime < $1.event.firstTime }
    }
  }

  /// - Returns: whether there was a place for it.
  private func count(
    _ event: AuditEvent, _ home: Home, in chain: AuditChain, _ contents: inout Contents
  ) -> Bool {
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
        event, Self.othersAction, home: side.isOwn ? event.origin.home : nil, of: chain.tenant)
    } else {
      return false
    }
    return true
  }

  private func takePart(of home: Home, _ contents: inout Contents) -> Bool {
    guard contents.perHome[home, default: 0] < limits.perHome else { return false }
    contents.perHome[home, default: 0] += 1
    return true
  }

  private func countElsewhere(_ event: AuditEvent, _ home: Home, _ contents: inout Contents) {
    // The platform's always has its place.
    let isThere =
      contents.elsewhere[home] != nil || contents.elsewhere.count < limits.crowdedHomes
    let crowd = isThere ? home : .platform
    if let index = contents.elsewhere.index(forKey: crowd) {
      contents.elsewhere.values[index].add(event)
    } else {
      contents.elsewhere[crowd] = Self.others(
        event, Self.elsewhereAction, home: isThere ? event.origin.home : nil, of: nil)
    }
  }

  private static func others(
    _ event: AuditEvent, _ action: String, home: TenantID?, of tenant: TenantID?
  ) -> AuditEvent {
    AuditEvent(
      origin: AuditOrigin(home: home, subject: ""), action: action, tenant: tenant,
      decision: event.decision, reason: othersReason, count: event.count,
      firstTime: event.firstTime,
      time: event.time)
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
