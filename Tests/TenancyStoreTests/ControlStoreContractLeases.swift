import Tenancy
import Testing

/// What stores promise of leases.
extension ControlStoreContract {
  static let long = Duration.seconds(3600)

  static let leases = [
    ControlStoreContract("a lease is one holder's until it expires, and has a greater number then")
    {
      open in
      try withStore(open) { (store) throws in
        try store.append([taking(1, "a", "one")])
        expectError(.leaseHeld) { try store.append([taking(2, "a", "other")]) }
        // Another lease, and the same holder's own.
        try store.append([taking(2, "b", "other"), taking(3, "a", "one", lasting: .zero)])
        #expect(try held(store) == ["a 3 one expired", "b 2 other"])
        try store.append([taking(4, "a", "other")])
        #expect(try held(store).sorted() == ["a 4 other", "b 2 other"])
      }
      // What holds a lease outlasts whoever took it.
      try withStore(open) { (store) throws in
        expectError(.leaseHeld) { try store.append([taking(5, "a", "one")]) }
        #expect(try held(store).sorted() == ["a 4 other", "b 2 other"])
        #expect(try store.load().revision == 4)
      }
    },
    ControlStoreContract("a lease of a clock that was set back keeps nobody from the work") {
      open in
      try withStore(open) { (store) throws in
        try store.append([taking(1, "a", "one", lasting: Lease.longest - .seconds(60))])
        try store.append([taking(2, "b", "one", lasting: Lease.longest + .seconds(60))])
        expectError(.leaseHeld) { try store.append([taking(3, "a", "other")]) }
        #expect(try held(store) == ["a 1 one", "b 2 one expired"])
        try store.append([taking(3, "b", "other")])
        #expect(try held(store).sorted() == ["a 1 one", "b 3 other"])
      }
    },
    ControlStoreContract("who has lost a lease records nothing, and nobody else of the batch") {
      open in
      try withStore(open) { (store) throws in
        try store.append([taking(1, "a", "one", lasting: .zero)])
        let old = Lease(name: "a", fencingNumber: 1)
        // Nobody has taken it over yet.
        try store.append([entry(2, .hold(old, lasting: .zero))])
        try store.append([taking(3, "a", "other")])
        let tenant = Change.putTenant(Sample.tenant(1))
        for action in [LeaseAction.hold(old, lasting: long), .release(old)] {
          expectError(.leaseLost) {
            try store.append([Sample.entry(4, [tenant]), entry(5, action, [tenant])])
          }
          #expect(try store.load().changes.isEmpty)
        }
        expectError(.leaseLost) { try store.renew(old, lasting: long) }
        #expect(try held(store) == ["a 3 other"])
        try store.append([
          entry(4, .hold(Lease(name: "a", fencingNumber: 3), lasting: long), [tenant])
        ])
        #expect(try store.load().changes == [tenant])
      }
    },
    ControlStoreContract("a lease that was released is free, and its number is of no use") { open in
      try withStore(open) { (store) throws in
        let first = Lease(name: "a", fencingNumber: 1)
        try store.append([taking(1, "a", "one"), entry(2, .release(first))])
        #expect(try store.leases(limit: 9).isEmpty)
        for action in [LeaseAction.hold(first, lasting: long), .release(first)] {
          expectError(.leaseLost) { try store.append([entry(3, action)]) }
        }
        try store.append([taking(3, "a", "other")])
        expectError(.leaseLost) { try store.append([entry(4, .release(first))]) }
        #expect(try held(store) == ["a 3 other"])
      }
    },
    ControlStoreContract(
      "a lease that is held or renewed lasts longer, and those that expire are listed first"
    ) {
      open in
      try withStore(open) { (store) throws in
        try store.append([
          taking(1, "a", "one", lasting: .zero), taking(2, "b", "one", lasting: .zero),
          taking(3, "c", "one"),
        ])
        #expect(try Set(held(store).prefix(2)) == ["a 1 one expired", "b 2 one expired"])
        try store.renew(Lease(name: "a", fencingNumber: 1), lasting: long)
        try store.append([entry(4, .hold(Lease(name: "b", fencingNumber: 2), lasting: long))])
        #expect(try held(store).sorted() == ["a 1 one", "b 2 one", "c 3 one"])
        let remaining = try store.leases(limit: 9).map(\.remaining)
        #expect(remaining.allSatisfy { $0 <= long && $0 > long - .seconds(60) })
        #expect(try store.leases(limit: 1).count == 1)
        expectError(.leaseHeld) { try store.append([taking(5, "a", "other")]) }
      }
    },
    ControlStoreContract("the log does not tell of leases") { open in
      try withStore(open) { (store) throws in
        try store.append([taking(1, "a", "one")])
        #expect(try store.entries(after: 0, limit: 1) == [Sample.entry(1, [])])
      }
    },
    ControlStoreContract("a closed store has no leases") { open in
      let store = try open()
      store.close()
      expectError(.unavailable) { _ = try store.leases(limit: 1) }
      expectError(.unavailable) {
        try store.renew(Lease(name: "a", fencingNumber: 1), lasting: long)
      }
    },
  ]

  private static func entry(
    _ revision: UInt64, _ action: LeaseAction, _ changes: [Change] = []
  ) -> LogEntry {
    let plain = Sample.entry(revision, changes)
    return LogEntry(
      revision: revision, time: plain.time, actor: plain.actor, action: plain.action,
      tenants: plain.tenants, changes: changes, lease: action)
  }

  private static func taking(
    _ revision: UInt64, _ name: String, _ holder: String, lasting duration: Duration = long
  ) -> LogEntry {
    entry(revision, .take(name: name, holder: holder, lasting: duration))
  }

  private static func held(_ store: any ControlStore) throws -> [String] {
    try store.leases(limit: 9).map { stored in
      "\(stored.lease.name) \(stored.lease.fencingNumber) \(stored.holder)"
        + (stored.hasExpired ? " expired" : "")
    }
  }
}
