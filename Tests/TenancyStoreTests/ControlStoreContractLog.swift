import Dispatch
import Synchronization
import Tenancy
import TenancyTestSupport
import Testing

/// Everything after a revision, read in parts of at most `limit`.
func follow(
  _ store: any ControlStore, after revision: UInt64, limit: Int = 100
) throws -> [LogEntry] {
  var found: [LogEntry] = []
  while true {
    let part = try store.entries(after: revision + UInt64(found.count), limit: limit)
    #expect(part.count <= limit)
    if part.isEmpty { return found }
    found += part
  }
}

/// The checks of the log that others follow.
extension ControlStoreContract {
  static let log = [
    ControlStoreContract("a new log is empty and can be followed from its begin") { open in
      try withStore(open) { (store) throws in
        #expect(try store.entries(after: 0, limit: 10).isEmpty)
        #expect(try store.oldestEntries(limit: 10).isEmpty)
        #expect(try store.entries(after: 7, limit: 10).isEmpty)
        #expect(try store.entries(after: .max, limit: 10).isEmpty)
      }
    },
    ControlStoreContract("entries come back as they were appended, from any revision on") { open in
      var (random, history) = (SeededGenerator(seed: 11), RandomHistory())
      var appended: [LogEntry] = []
      for _ in 0..<4 {
        try withStore(open) { (store) throws in
          for _ in 0..<15 {
            let batch = history.nextBatch(using: &random)
            try store.append(batch)
            appended += batch
          }
          for _ in 0..<40 {
            let after = Int.random(in: 0...appended.count, using: &random)
            let limit = Int.random(in: 1...30, using: &random)
            let found = try store.entries(after: UInt64(after), limit: limit)
            #expect(found == Array(appended.dropFirst(after).prefix(limit)))
          }
          #expect(try follow(store, after: 0) == appended)
        }
      }
    },
    ControlStoreContract("large entries come in parts, none of them empty") { open in
      var tenant = Sample.tenant(1)
      tenant.configuration.customSettings["p"] = .string(String(repeating: "p", count: 400_000))
      let entries = (1...9).map { Sample.entry($0, [.putTenant(tenant)]) }
      try withStore(open) { (store) throws in
        try store.append(entries)
        #expect(try follow(store, after: 0) == entries)
        #expect(try follow(store, after: 8) == entries.suffix(1))
      }
    },
    ControlStoreContract("a snapshot and the entries after it give the state at any revision") {
      open in
      var (random, history) = (SeededGenerator(seed: 12), RandomHistory())
      try withStore(open) { (store) throws in
        var snapshots = [try loadedState(store)]
        for _ in 0..<25 {
          try store.append(history.nextBatch(using: &random))
          snapshots.append(try loadedState(store))
        }
        for (index, start) in snapshots.enumerated() {
          var state = start
          var later = snapshots[(index + 1)...]
          for entry in try follow(store, after: start.revision, limit: 7) {
            state.apply(entry)
            if later.first?.revision == entry.revision { #expect(later.popFirst() == state) }
          }
          #expect(later.isEmpty && state == history.state)
        }
      }
    },
    ControlStoreContract("an entry tells all tenants that it concerns") { open in
      try withStore(open) { (store) throws in
        for count in [0, 1, 2, 100] as [UInt64] {
          let last = try store.load().revision
          let entry = LogEntry(
            revision: last + 1, time: Timestamp(nanoseconds: -5), actor: "\"a\u{0}",
            action: "x", tenants: (0..<count).reversed().map(Sample.id), changes: [])
          try store.append([entry])
          #expect(try store.entries(after: last, limit: 1) == [entry])
        }
      }
    },
    ControlStoreContract("the log tells which password a tenant has") { open in
      var tenant = Sample.tenant(1)
      let database = DatabaseConfiguration(
        connectionString: "host=db port=5432", username: "u",
        password: SecretReference(version: .max, key: KeyID(high: .max, low: 0)))
      tenant.configuration.database = database
      let entry = Sample.entry(1, [.putTenant(tenant)])
      try withStore(open) { (store) throws in
        try store.append([entry])
        #expect(try store.load().changes == [.putTenant(tenant)])
        #expect(try store.entries(after: 0, limit: 1) == [entry])
      }
    },
    ControlStoreContract("the log can be followed only behind what can't be told without a secret")
    { open in
      var tenant = Sample.tenant(1)
      tenant.configuration.database = DatabaseConfiguration(
        connectionString: "postgres://u:hidden@db/x", username: "")
      let last = Sample.entry(3, [.putTenant(Sample.tenant(2))])
      try withStore(open) { (store) throws in
        try store.append([Sample.entry(1, []), Sample.entry(2, [.putTenant(tenant)]), last])
        expectError(.compacted(floor: 2)) { _ = try store.entries(after: 1, limit: 5) }
        #expect(try store.entries(after: 2, limit: 5) == [last])
        #expect(try store.oldestEntries(limit: 5).map(\.revision) == [1, 2, 3])
      }
      try withStore(open) { (store) throws in
        #expect(try loadedState(store).tenants[tenant.id] == tenant)
        expectError(.compacted(floor: 2)) { _ = try store.entries(after: 0, limit: 5) }
      }
    },
    ControlStoreContract("settings of any depth come back from the log or are refused") { open in
      try withStore(open) { (store) throws in
        var (value, revision, refused) = (JSONValue.null, UInt64(0), 0)
        for _ in 0..<80 {
          value = .array([value])
          var tenant = Sample.tenant(1)
          tenant.configuration.customSettings["x"] = value
          let entry = Sample.entry(revision + 1, [.putTenant(tenant)])
          do {
            try store.append([entry])
          } catch {
            #expect((error as? StoreError)?.code == .conflict)
            refused += 1
            continue
          }
          revision += 1
          #expect(refused == 0)
          #expect(try store.entries(after: revision - 1, limit: 1) == [entry])
          #expect(try loadedState(store).tenants[tenant.id] == tenant)
        }
        #expect(refused > 0)
      }
    },
    ControlStoreContract("the log can be read while it is written") { open in
      try withStore(open) { (store) throws in
        let count = 60
        let failure = Mutex<(any Error)?>(nil)
        let seen = Mutex<[LogEntry]>([])
        DispatchQueue.concurrentPerform(iterations: 2) { role in
          do {
            if role == 0 {
              for number in 1...count { try store.append([Sample.entry(UInt64(number), [])]) }
            } else {
              while seen.withLock({ $0.count }) < count, failure.withLock({ $0 == nil }) {
                let after = UInt64(seen.withLock { $0.count })
                let found = try store.entries(after: after, limit: 5)
                seen.withLock { $0 += found }
              }
            }
          } catch {
            failure.withLock { $0 = error }
          }
        }
        if let error = failure.withLock({ $0 }) { throw error }
        #expect(seen.withLock { $0.map(\.revision) } == (1...60).map { UInt64($0) })
      }
    },
  ]

  static let compaction = [
    ControlStoreContract("compacting raises the floor and changes nothing else") { open in
      var (random, history) = (SeededGenerator(seed: 13), RandomHistory())
      var kept: [LogEntry] = []
      var floor: UInt64 = 0
      for round in 0..<8 {
        try withStore(open) { (store) throws in
          for _ in 0..<6 {
            let batch = history.nextBatch(using: &random)
            try store.append(batch)
            kept += batch
          }
          let last = history.state.revision
          // In the last rounds all of it, and more than there is.
          floor = round < 6 ? UInt64.random(in: (floor + 1)...last, using: &random) : last
          kept.removeAll { $0.revision <= floor }
          try store.compact(through: round == 7 ? .max : floor)
          // What is gone can't go again.
          try store.compact(through: floor / 2)
          try expectState(history.state, in: store)
          #expect(try follow(store, after: floor) == kept)
          for below in [0, floor / 2, floor - 1] {
            expectError(.compacted(floor: floor)) {
              _ = try store.entries(after: below, limit: 1)
            }
          }
        }
        try withStore(open) { (store) throws in
          try expectState(history.state, in: store)
          #expect(try follow(store, after: floor) == kept)
          #expect(
            try store.oldestEntries(limit: 3).map(\.revision) == kept.prefix(3).map(\.revision))
          let next = history.state.revision + 1
          expectError(.conflict) { try store.append([Sample.entry(next + 1, [])]) }
          expectError(.conflict) { try store.append([Sample.entry(1, [])]) }
        }
      }
    },
    ControlStoreContract("the oldest entries are those that go first") { open in
      try withStore(open) { (store) throws in
        try store.append(
          (1...5).map { number in
            LogEntry(
              revision: number, time: Timestamp(nanoseconds: Int64(number) * 10), actor: "a",
              action: "x", tenants: [], changes: [])
          })
        try store.compact(through: 2)
        #expect(
          try store.oldestEntries(limit: 2) == [
            LogMark(revision: 3, time: Timestamp(nanoseconds: 30)),
            LogMark(revision: 4, time: Timestamp(nanoseconds: 40)),
          ])
      }
    },
  ]
}
