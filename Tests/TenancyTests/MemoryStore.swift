import Dispatch
import Synchronization

@testable import Tenancy

/// A control store in memory. Atomic; told what to fail at, and when to wait.
final class MemoryStore: ControlStore {
  enum Failure: Sendable {
    /// Nothing is added.
    case refused(StoreError.Code)
    /// The batch is added all the same.
    case lostAnswer
  }

  private struct Contents {
    var log: [LogEntry] = []
    var batches: [Int] = []
    var appendFailures: [Failure?] = []
    var loadFailures: [StoreError.Code] = []
    var checkFailures: [StoreError.Code] = []
    var loads = 0
    var closings = 0
    var barrier: Barrier?
  }

  private let contents = Mutex(Contents())

  var log: [LogEntry] { contents.withLock { $0.log } }
  /// How many entries each successful append had.
  var batches: [Int] { contents.withLock { $0.batches } }
  var loads: Int { contents.withLock { $0.loads } }
  var closings: Int { contents.withLock { $0.closings } }

  /// How the next appends fail, in order; nil: not at all.
  func failNextAppends(_ failures: Failure?...) {
    contents.withLock { $0.appendFailures += failures }
  }

  func failNextLoad(_ code: StoreError.Code) {
    contents.withLock { $0.loadFailures.append(code) }
  }

  func failNextCheck(_ code: StoreError.Code) {
    contents.withLock { $0.checkFailures.append(code) }
  }

  /// Makes the next append wait.
  func holdNextAppend() -> Barrier {
    let barrier = Barrier()
    contents.withLock { $0.barrier = barrier }
    return barrier
  }

  func load() throws(StoreError) -> StoredState {
    try contents.withLock { contents throws(StoreError) in
      contents.loads += 1
      if !contents.loadFailures.isEmpty {
        throw StoreError(contents.loadFailures.removeFirst(), "told to fail")
      }
      return StoredState(
        revision: UInt64(contents.log.count), changes: contents.log.flatMap(\.changes))
    }
  }

  func append(_ entries: [LogEntry]) throws(StoreError) {
    let barrier = contents.withLock { contents in
      defer { contents.barrier = nil }
      return contents.barrier
    }
    barrier?.pass()
    try contents.withLock { contents throws(StoreError) in
      guard contents.closings == 0 else { throw StoreError(.unavailable, "closed") }
      let failure = contents.appendFailures.isEmpty ? nil : contents.appendFailures.removeFirst()
      if case .refused(let code) = failure { throw StoreError(code, "told to fail") }
      for (offset, entry) in entries.enumerated() {
        guard entry.revision == UInt64(contents.log.count + offset + 1) else {
          throw StoreError(.conflict, "revision \(entry.revision) does not follow")
        }
      }
      contents.log += entries
      contents.batches.append(entries.count)
      if case .lostAnswer = failure { throw StoreError(.unknownOutcome, "told to fail") }
    }
  }

  /// As entries have put it.
  func secret(
    _ purpose: SecretPurpose, of tenant: TenantID
  ) throws(StoreError) -> StoredSecret? {
    var found: StoredSecret?
    for change in log.flatMap(\.changes) {
      switch change {
      case .putSecret(tenant, purpose, let reference, let sealed?):
        found = StoredSecret(reference: reference, sealed: sealed)
      case .deleteSecret(tenant, purpose): found = nil
      default: break
      }
    }
    return found
  }

  func dataKeys() throws(StoreError) -> [WrappedDataKey] {
    var keys: [KeyID: WrappedDataKey] = [:]
    for case .putDataKey(let key) in log.flatMap(\.changes) { keys[key.id] = key }
    return keys.values.sorted { $0.id.description < $1.id.description }
  }

  func checkWritable() throws(StoreError) {
    try contents.withLock { contents throws(StoreError) in
      if !contents.checkFailures.isEmpty {
        throw StoreError(contents.checkFailures.removeFirst(), "told to fail")
      }
    }
  }

  func close() { contents.withLock { $0.closings += 1 } }
}

/// Where a blocking call waits until a test opens it.
final class Barrier: Sendable {
  private struct State {
    var isReached = false
    var waiter: CheckedContinuation<Void, Never>?
  }
  private let state = Mutex(State())
  private let opened = DispatchSemaphore(value: 0)

  /// Returns when the call has come.
  func reached() async {
    await withCheckedContinuation { continuation in
      let isReached = state.withLock { state in
        if !state.isReached { state.waiter = continuation }
        return state.isReached
      }
      if isReached { continuation.resume() }
    }
  }

  func open() { opened.signal() }

  fileprivate func pass() {
    let waiter = state.withLock { state in
      state.isReached = true
      return state.waiter
    }
    waiter?.resume()
    opened.wait()
  }

  /// For other fakes that block.
  func wait() { pass() }
}

/// A control plane over a store in memory, with a clock that stands still.
struct TestPlane {
  let store: MemoryStore
  let clock = TestClock()
  let plane: ControlPlane

  init(_ store: MemoryStore = MemoryStore(), sealer: (any SecretSealer)? = nil) throws {
    self.store = store
    plane = try ControlPlane(store: store, sealer: sealer, clock: { [clock] in clock.now })
  }

  /// Adds a tenant as it is.
  func put(_ tenant: Tenant) async throws {
    try await plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      transaction.emit(.putTenant(tenant), about: tenant.id)
    }
  }
}
