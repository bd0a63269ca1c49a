/// Where each of many tenants is in a list. For what looks at a whole store: a set of Swift's takes several
/// times as long for each look, and copies the ids.
///
/// Open addressing; the hash is multiply-shift with factors of its own (Dietzfelbinger et al., "A Reliable
/// Randomized Algorithm for the Closest-Pair Problem"), so that no file is made to collide in it.
public struct TenantPositions: Sendable {
  /// The tenants in order of their positions, from 0.
  public private(set) var ids: [TenantID] = []
  /// A position + 1; 0 where there is none.
  private var slots: [UInt32]
  private let factors = (UInt64.random(in: 0...(.max)) | 1, UInt64.random(in: 0...(.max)) | 1)

  /// No tenant has a position yet.
  public init() { slots = Array(repeating: 0, count: 16) }

  /// Gives a tenant the next position.
  /// - Returns: false if it has one.
  public mutating func append(_ id: TenantID) -> Bool {
    if 2 * (ids.count + 1) > slots.count { grow() }
    let slot = slot(of: id)
    guard slots[slot] == 0 else { return false }
    ids.append(id)
    slots[slot] = UInt32(ids.count)
    return true
  }

  /// The tenant's position, from 0. Takes one look-up.
  public func find(_ id: TenantID) -> Int? {
    let found = slots[slot(of: id)]
    return found == 0 ? nil : Int(found) - 1
  }

  /// Where the tenant is, or where it would be put. There is always a place free.
  private func slot(of id: TenantID) -> Int {
    let hash = id.low &* factors.0 &+ id.high &* factors.1
    var slot = Int(truncatingIfNeeded: hash >> UInt64(64 - slots.count.trailingZeroBitCount))
    // In range: a slot holds a position of `ids`.
    while slots[slot] != 0, ids[Int(slots[slot]) - 1] != id {
      slot = (slot + 1) & (slots.count - 1)
    }
    return slot
  }

  private mutating func grow() {
    slots = Array(repeating: 0, count: 2 * slots.count)
    for (position, id) in ids.enumerated() { slots[slot(of: id)] = UInt32(position + 1) }
  }
}
