internal import Dispatch
internal import Synchronization
internal import Tenancy

/// An audit that goes on while the next table is read.
final class BackgroundAudit: Sendable {
  private let queue = DispatchQueue(label: "tenancy.store.audit")
  private let state: Mutex<(audit: StateAudit, failure: StoreError?)>

  init(revision: UInt64) { state = Mutex((StateAudit(revision: revision), nil)) }

  /// In the order of the calls.
  func check(_ rows: [Change]) {
    queue.async { [self] in run { audit throws(StoreError) in try audit.check(rows) } }
  }

  /// Waits for what was given.
  /// - Throws: `.corrupt` with the first row that no write can have left.
  func finish() throws(StoreError) {
    queue.sync { [self] in run { audit throws(StoreError) in try audit.finish() } }
    if let failure = state.withLock({ $0.failure }) { throw failure }
  }

  private func run(_ body: (inout StateAudit) throws(StoreError) -> Void) {
    state.withLock { state in
      guard state.failure == nil else { return }
      do throws(StoreError) {
        try body(&state.audit)
      } catch {
        state.failure = error
      }
    }
  }
}
