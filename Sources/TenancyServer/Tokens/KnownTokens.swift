import Tenancy

/// A token that was verified, and who makes calls with it.
final class KnownToken {
  let grant: TokenGrant
  /// As it came, without `Bearer`.
  let bytes: [UInt8]
  /// Who it was presented by last, and who makes calls then.
  var lastPeer: Caller?
  var lastCaller: Caller?

  init(_ grant: TokenGrant, _ bytes: [UInt8]) {
    self.grant = grant
    self.bytes = bytes
  }
}

/// Tokens that were verified, by their bytes: one that comes again costs a look-up. Confined to an event loop.
///
/// Only what was verified is in it, so that bad tokens push none out. What is pushed out is the oldest of a tenant:
/// of the one whose tokens are too many, or, where all are, of one that has many.
struct KnownTokens {
  /// What a token is looked up by: its end, which is of its signature. Whoever chooses keys as well can have a few
  /// tokens that end alike: of these the last is known.
  private struct Key: Hashable {
    private let end: SIMD4<UInt64>

    init?(_ token: UnsafeRawBufferPointer) {
      let size = MemoryLayout<SIMD4<UInt64>>.size
      guard token.count >= size else { return nil }
      // In range: the token has so many bytes.
      end = token.loadUnaligned(fromByteOffset: token.count - size, as: SIMD4<UInt64>.self)
    }
  }

  private struct Slot {
    let key: Key
    let token: KnownToken
    /// The next younger of its tenant.
    var next: Int?

    var tenant: TenantID { token.grant.tenant }
  }

  private struct Line {
    var first: Int
    var last: Int
    var count = 1
  }

  /// Of a token.
  private static let maximumBytes = 2048

  private let capacity: Int
  private let tenantCapacity: Int
  private var slots: [Slot?] = []
  private var free: [Int] = []
  private var index: [Key: Int] = [:]
  private var lines: [TenantID: Line] = [:]
  /// Where the next to make room is looked for.
  private var hand = 0
  /// Where the next that have expired are looked for.
  private var broom = 0

  /// - Parameters:
  ///   - capacity: of all of them.
  ///   - tenantCapacity: of those of one tenant.
  init(capacity: Int = 8192, tenantCapacity: Int = 2048) {
    self.capacity = max(1, capacity)
    self.tenantCapacity = max(1, tenantCapacity)
  }

  var count: Int { index.count }

  /// - Parameter token: as it came, without `Bearer`.
  func find(_ token: UnsafeRawBufferPointer) -> KnownToken? {
    guard let key = Key(token), let at = index[key], let found = slots[at]?.token else {
      return nil
    }
    let bytes = found.bytes
    return bytes.span.bytes.equals(token.bytes) ? found : nil
  }

  /// Large ones are not kept: they would take the memory of many.
  mutating func insert(_ token: KnownToken) {
    guard token.bytes.count <= Self.maximumBytes,
      let key = token.bytes.withUnsafeBytes({ Key($0) })
    else { return }
    if let at = index[key], let slot = slots[at] { removeOldest(of: slot.tenant, until: at) }
    let tenant = token.grant.tenant
    if let line = lines[tenant], line.count >= tenantCapacity { removeOldest(of: tenant) }
    while index.count >= capacity { makeRoom() }
    let slot = Slot(key: key, token: token)
    let at: Int
    if let reused = free.popLast() {
      at = reused
      slots[at] = slot
    } else {
      at = slots.count
      slots.append(slot)
    }
    index[key] = at
    if var line = lines[tenant] {
      slots[line.last]?.next = at
      line.last = at
      line.count += 1
      lines[tenant] = line
    } else {
      lines[tenant] = Line(first: at, last: at)
    }
  }

  /// Removes some that have expired, and lets go of connections that others were presented on.
  /// - Parameter steps: so many places are looked at.
  mutating func sweep(_ steps: Int, at now: Timestamp) {
    for _ in 0..<min(steps, slots.count) {
      broom = broom + 1 < slots.count ? broom + 1 : 0
      guard let slot = slots[broom] else { continue }
      slot.token.lastPeer = nil
      slot.token.lastCaller = nil
      // They expire about in the order in which they came.
      while let line = lines[slot.tenant], let first = slots[line.first],
        first.token.grant.expireTime <= now
      {
        removeOldest(of: slot.tenant)
      }
    }
  }

  private mutating func makeRoom() {
    while true {
      hand = hand + 1 < slots.count ? hand + 1 : 0
      guard let slot = slots[hand] else { continue }
      return removeOldest(of: slot.tenant)
    }
  }

  /// - Parameter last: removes all that are older as well.
  private mutating func removeOldest(of tenant: TenantID, until last: Int? = nil) {
    while var line = lines[tenant], let slot = slots[line.first] {
      let at = line.first
      slots[at] = nil
      index[slot.key] = nil
      free.append(at)
      if let next = slot.next {
        line.first = next
        line.count -= 1
        lines[tenant] = line
      } else {
        lines[tenant] = nil
      }
      if last == nil || at == last { return }
    }
  }
}
