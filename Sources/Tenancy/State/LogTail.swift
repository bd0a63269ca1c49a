import Dispatch
import Synchronization

/// The newest entries of the log in memory, for those who follow it closely, and who waits for the next.
/// Thread-safe. The writer adds to it; what that costs does not depend on how many wait.
final class LogTail: Sendable {
  struct Limits: Sendable {
    var entries = 1024
    /// About bytes: of the entries, and of what they have replaced.
    var weight = 4 << 20
  }

  /// What there is behind a revision.
  enum Answer {
    case entries([LogEntry])
    /// Nothing yet.
    case nothing
    /// The tail begins later: the store has it, up to this revision.
    case inStore(through: UInt64)
    /// The store has lost what it had, and goes on from this revision.
    case takenBack(to: UInt64)
    case closed
  }

  /// What an entry's changes have replaced, by tenant.
  typealias Formers = [TenantID: TenantChange.Former]

  private struct Item {
    let entry: LogEntry
    let weight: Int
    /// Nil: not known, or not any more.
    var formers: Formers?
    var formerWeight: Int
  }

  private struct State {
    /// By revision modulo their number.
    var items: [Item?]
    var count = 0
    var weight = 0
    var formerWeight = 0
    /// What was replaced up to this revision is forgotten.
    var forgotten: UInt64
    var last: UInt64
    /// The least revision since the beginning that the log was taken back to, and how often it was.
    var takenBack: (to: UInt64, times: Int) = (0, 0)
    var isClosed = false
    var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    var nextWaiter: UInt64 = 0
  }

  private let limits: Limits
  private let state: Mutex<State>
  /// Where those who wait are woken, so that the writer does not do it.
  private let waker = DispatchQueue(label: "tenancy.control-plane.log-waker")

  init(after revision: UInt64, _ limits: Limits = Limits()) {
    self.limits = limits
    state = Mutex(
      State(
        items: Array(repeating: nil, count: max(1, limits.entries)), forgotten: revision,
        last: revision))
  }

  var isClosed: Bool { state.withLock { $0.isClosed } }

  /// Entries in memory, and their weight.
  var size: (entries: Int, weight: Int) { state.withLock { ($0.count, $0.weight) } }

  /// How many wait.
  var waiters: Int { state.withLock { $0.waiters.count } }

  /// How often the log was taken back: who follows it must not go on over that.
  var timesTakenBack: Int { state.withLock { $0.takenBack.times } }

  // MARK: The writer's side

  /// Adds entries that follow the last one.
  /// - Parameter formers: of each entry; nil: not known.
  func append(_ entries: [LogEntry], formers: [Formers]? = nil) {
    let items = entries.enumerated().map { number, entry in
      let told = entry.withoutSecrets
      // In range: there are as many.
      let replaced = formers?[number]
      return Item(
        entry: told, weight: told.weight, formers: replaced,
        formerWeight: replaced?.values.reduce(0) { $0 + $1.weight } ?? 0)
    }
    change { state in
      for item in items {
        while state.count == state.items.count { removeFirst(&state) }
        state.last = item.entry.revision
        state.items[slot(state.last, state)] = item
        state.count += 1
        state.weight += item.weight
        state.formerWeight += item.formerWeight
      }
      while state.weight > limits.weight, state.count > 0 { removeFirst(&state) }
      while state.formerWeight > limits.weight { forgetFormers(&state) }
    }
  }

  /// Goes on from another revision: what is between is in the store.
  /// - Parameter isContinued: the store's log is known to go on from the one that was followed so far. Another one
  ///   may have the same revisions, and more, with other changes: whoever follows begins anew.
  func restart(after revision: UInt64, isContinued: Bool) {
    change { state in
      while state.count > 0 { removeFirst(&state) }
      if revision < state.last || !isContinued {
        state.takenBack = (revision, state.takenBack.times + 1)
      }
      state.last = revision
      state.forgotten = revision
    }
  }

  /// Ends all who follow.
  func close() {
    change { $0.isClosed = true }
  }

  private func change(_ body: (inout State) -> Void) {
    let woken = state.withLock { state in
      body(&state)
      let waiters = state.waiters
      state.waiters = [:]
      return waiters
    }
    if woken.isEmpty { return }
    waker.async {
      for waiter in woken.values { waiter.resume() }
    }
  }

  private func removeFirst(_ state: inout State) {
    let first = slot(state.last - UInt64(state.count) + 1, state)
    state.weight -= state.items[first]?.weight ?? 0
    state.formerWeight -= state.items[first]?.formerWeight ?? 0
    state.items[first] = nil
    state.count -= 1
  }

  /// Of the oldest entry that has them. There is one: their weight is not zero.
  private func forgetFormers(_ state: inout State) {
    state.forgotten = max(state.forgotten, state.last - UInt64(state.count)) + 1
    let oldest = slot(state.forgotten, state)
    state.formerWeight -= state.items[oldest]?.formerWeight ?? 0
    state.items[oldest]?.formers = nil
    state.items[oldest]?.formerWeight = 0
  }

  private func slot(_ revision: UInt64, _ state: State) -> Int {
    Int(revision % UInt64(state.items.count))
  }

  // MARK: The followers' side

  /// - Parameter times: how often the log was taken back when the follower began.
  func read(after revision: UInt64, limit: Int, takenBack times: Int) -> Answer {
    state.withLock { state in
      if times != state.takenBack.times { return .takenBack(to: state.takenBack.to) }
      guard revision < state.last else { return state.isClosed ? .closed : .nothing }
      guard state.last - revision <= UInt64(state.count) else {
        return state.isClosed ? .closed : .inStore(through: state.last)
      }
      let end = min(state.last, revision + UInt64(limit))
      return .entries((revision + 1...end).compactMap { state.items[slot($0, state)]?.entry })
    }
  }

  /// What the changes of an entry have replaced; nil: not known any more.
  func formers(at revision: UInt64) -> Formers? {
    state.withLock { state in
      guard revision <= state.last, state.last - revision < UInt64(state.count) else { return nil }
      return state.items[slot(revision, state)]?.formers
    }
  }

  /// Returns when there may be more than up to `revision`, or when the task is cancelled.
  func wait(after revision: UInt64) async {
    let number = state.withLock { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isDone = state.withLock { state in
          // Who is cancelled later finds the waiter; who was before is seen here.
          if state.isClosed || state.last > revision || Task.isCancelled { return true }
          state.waiters[number] = continuation
          return false
        }
        if isDone { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.waiters.removeValue(forKey: number) }?.resume()
    }
  }
}

/// About what something holds in memory, in bytes.
extension LogEntry {
  fileprivate var weight: Int {
    changes.reduce(128 + actor.utf8.count + 16 * tenants.count) { $0 + $1.weight }
  }
}

extension Change {
  fileprivate var weight: Int {
    let base = 128
    return switch self {
    case .putTenant(let tenant): base + tenant.weight
    case .putRole(_, let role):
      role.names.reduce(base + role.summary.utf8.count + role.title.utf8.count) {
        $0 + 16 + $1.utf8.count
      }
    case .putAssignment(_, let assignment): base + 128 + assignment.textBytes
    case .putGroup(_, let group): base + group.footprint.storedBytes
    case .putGroupMember(_, let member):
      base + 128 + member.group.utf8.count + member.member.utf8.count
    case .deleteRole, .deleteAssignment, .deleteGroup, .deleteGroupMember, .putProvisioningStep,
      .clearProvisioningSteps, .reserveName, .retireSlug, .forgetRequests, .putSecret,
      .deleteSecret, .putDataKey,
      .forgetRevocations, .deleteWorkloadEntry, .deleteDomain, .deleteAuthority,
      .deleteConfigurationItem, .deleteOperations:
      base
    case .putRevocation(_, let revocation): base + revocation.footprint.storedBytes
    case .putWorkloadEntry(let entry): base + entry.contentBytes
    case .putDomain(let domain): base + domain.contentBytes
    case .putAuthority(let authority): base + authority.contentBytes
    case .putConfigurationItem(let item): base + item.contentBytes
    case .putOperation(let operation): base + operation.contentBytes
    case .rememberRequest(let request): base + request.contentBytes
    }
  }
}

extension TenantChange.Former {
  fileprivate var weight: Int {
    switch self {
    case .unknown, .none: 0
    case .tenant(let tenant): tenant.weight
    }
  }
}

extension Tenant {
  fileprivate var weight: Int {
    let database = configuration.database
    let texts = [displayName, stateReason, database?.connectionString, database?.username]
    let settings = JSONValue.object(configuration.customSettings).weight
    return texts.reduce(256 + settings) { $0 + ($1?.utf8.count ?? 0) }
      + configuration.featureFlags.reduce(0) { $0 + 32 + $1.key.utf8.count }
      + configuration.routes.reduce(0) { $0 + 128 + $1.textBytes }
      + (configuration.limits?.limits.count ?? 0) * 96
      + (hasMetadata ? metadata.content.bytes + 64 * metadata.content.entries : 0)
      + tokenKeys.reduce(authentication.footprint.residentBytes) {
        $0 + $1.footprint.residentBytes
      }
  }
}

extension JSONValue {
  fileprivate var weight: Int {
    switch self {
    case .null, .bool, .number: 16
    case .string(let text): 16 + text.utf8.count
    case .array(let values): values.reduce(32) { $0 + $1.weight }
    case .object(let values): values.reduce(32) { $0 + 32 + $1.key.utf8.count + $1.value.weight }
    }
  }
}
