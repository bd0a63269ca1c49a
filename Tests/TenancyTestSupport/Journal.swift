import Synchronization

/// What tests note in order, from wherever it happens.
package final class Journal: Sendable {
  private let lines = Mutex<[String]>([])

  package init() {}

  package func add(_ line: String) { lines.withLock { $0.append(line) } }

  /// What was added since the last time.
  package func take() -> [String] {
    lines.withLock { lines in
      defer { lines = [] }
      return lines
    }
  }
}
