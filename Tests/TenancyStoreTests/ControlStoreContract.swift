import Tenancy
import TenancyTestSupport
import Testing

/// What `ControlStore` promises, as checks that go through the protocol only. Every store's tests run
/// all of them, each on storage of its own that is empty at first.
struct ControlStoreContract: Sendable, CustomTestStringConvertible {
  /// Opens the same storage again; what was opened before is closed or abandoned by then.
  typealias Open = () throws -> any ControlStore

  let testDescription: String
  let check: @Sendable (Open) throws -> Void

  init(_ promise: String, _ check: @escaping @Sendable (Open) throws -> Void) {
    testDescription = promise
    self.check = check
  }

  static let all =
    revisions + atomicity + fidelity + changes + durability + log + past + compaction
    + secrets + tokens + workloads + domains + configuration + history + operations
    + authorities + leases
}

/// Runs a check on a store and closes it.
func withStore(_ open: ControlStoreContract.Open, _ body: (any ControlStore) throws -> Void) throws
{
  let store = try open()
  defer { store.close() }
  try body(store)
}

/// The state a store gives back, rebuilt from its changes.
func loadedState(_ store: any ControlStore) throws -> StateModel {
  StateModel(try store.load())
}

func expectState(
  _ expected: StateModel, in store: any ControlStore,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let state = try loadedState(store)
  #expect(state == expected, sourceLocation: sourceLocation)
}

func expectError(_ code: StoreError.Code, _ body: () throws -> Void) {
  let error = #expect(throws: StoreError.self) { try body() }
  #expect(error?.code == code, "\(error?.description ?? "no error")")
}

extension ControlStoreContract {
  private static let revisions = [
    ControlStoreContract("a new store is empty") { open in
      try withStore(open) { store in
        let stored = try store.load()
        #expect(stored.revision == 0)
        #expect(stored.changes.isEmpty)
      }
    },
    ControlStoreContract("an empty batch changes nothing") { open in
      try withStore(open) { store in
        try store.append([])
        #expect(try store.load().revision == 0)
      }
    },
    ControlStoreContract("revisions that do not follow are refused and change nothing") { open in
      try withStore(open) { store in
        let tenant = Sample.tenant(1)
        for bad in [0, 2, UInt64.max] {
          expectError(.conflict) { try store.append([Sample.entry(bad, [.putTenant(tenant)])]) }
        }
        try expectState(StateModel(), in: store)

        try store.append([Sample.entry(1, [.putTenant(tenant)]), Sample.entry(2, [])])
        let before = try loadedState(store)
        let other = Change.putTenant(Sample.tenant(2))
        let badBatches: [[UInt64]] = [[1], [2], [4], [3, 3], [3, 5], [3, 4, 6], [4, 3]]
        for revisions in badBatches {
          expectError(.conflict) { try store.append(revisions.map { Sample.entry($0, [other]) }) }
          try expectState(before, in: store)
        }
        try store.append([Sample.entry(3, [other])])
        #expect(try store.load().revision == 3)
      }
    },
  ]

  private static let atomicity = [
    ControlStoreContract("a batch that fails at its end leaves nothing") { open in
      let taken = ReservedName(.slug, "acme")
      try withStore(open) { store in
        let (first, second) = (Sample.tenant(1), Sample.tenant(2))
        try store.append([
          Sample.entry(1, [.putTenant(first), .reserveName(taken, first.id)])
        ])
        let before = try loadedState(store)
        var renamed = first
        renamed.displayName = "changed"
        let batch = [
          Sample.entry(2, [.putTenant(renamed)]),
          Sample.entry(3, [.putTenant(second), .reserveName(taken, second.id)]),
        ]
        expectError(.conflict) { try store.append(batch) }
        try expectState(before, in: store)
        // What was refused leaves no trace either: the same revisions are still to be had.
        try store.append([Sample.entry(2, [.putTenant(second)])])
      }
      try withStore(open) { store in
        let revision = try store.load().revision
        #expect(revision == 2)
      }
    },
    ControlStoreContract("a change about a tenant that is not there is refused") { open in
      try withStore(open) { store in
        let absent = Sample.tenant(9).id
        let refused: [Change] = [
          .putRole(absent, Sample.role("admin")),
          .putAssignment(absent, Sample.assignment("a")),
          .putProvisioningStep(absent, name: "schema"),
          .reserveName(ReservedName(.schema, "s"), absent),
          .rememberRequest(Sample.request("r", tenant: absent, at: 1)),
        ]
        for change in refused {
          let batch = [Sample.entry(1, [.putTenant(Sample.tenant(1))]), Sample.entry(2, [change])]
          expectError(.conflict) { try store.append(batch) }
          try expectState(StateModel(), in: store)
        }
      }
    },
  ]

  private static let durability = [
    ControlStoreContract("what was appended is there after closing and opening") { open in
      var random = SeededGenerator(seed: 5)
      var history = RandomHistory()
      for _ in 0..<10 {
        try withStore(open) { store in
          try expectState(history.state, in: store)
          for _ in 0..<10 { try store.append(history.nextBatch(using: &random)) }
          try expectState(history.state, in: store)
        }
      }
    },
    ControlStoreContract("what was appended is there after a store was let go without closing") {
      open in
      var random = SeededGenerator(seed: 6)
      var history = RandomHistory()
      for _ in 0..<10 {
        let store = try open()
        try expectState(history.state, in: store)
        try store.append(history.nextBatch(using: &random))
      }
    },
    ControlStoreContract("a closed store refuses everything, and closing again is harmless") {
      open in
      let store = try open()
      store.close()
      store.close()
      expectError(.unavailable) { _ = try store.load() }
      expectError(.unavailable) { try store.append([Sample.entry(1, [])]) }
      expectError(.unavailable) { try store.checkWritable() }
      expectError(.unavailable) { _ = try store.entries(after: 0, limit: 1) }
      expectError(.unavailable) { _ = try store.oldestEntries(limit: 1) }
      expectError(.unavailable) { try store.compact(through: 0) }
    },
    ControlStoreContract("checking that it can be written changes nothing") { open in
      var random = SeededGenerator(seed: 7)
      var history = RandomHistory()
      for _ in 0..<3 {
        try withStore(open) { store in
          try store.checkWritable()
          try expectState(history.state, in: store)
          try store.append(history.nextBatch(using: &random))
          try store.checkWritable()
          try expectState(history.state, in: store)
        }
      }
    },
  ]
}
