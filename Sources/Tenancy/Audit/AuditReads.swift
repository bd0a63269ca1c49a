import Dispatch
import Synchronization

/// Lets those read audit records, operations or histories of configurations who ask for it: one page after the other, one of each
/// reader at a time, so that nobody waits for more than one page of each of the others. Thread-safe.
final class AuditReads: Sendable {
  struct Limits: Sendable {
    /// Pages of one reader that wait for its own, those aside that are waited for patiently.
    var waitingOfReader = 4
    /// Readers whose pages wait.
    var readers = 1024
  }

  enum Refusal: Equatable {
    /// So many of the reader's wait already.
    case reader(limit: Int)
    case all
    /// No page is read any more.
    case closed
  }

  private struct Page {
    let body: @Sendable () -> Void
    let isPatient: Bool
  }

  private struct Line {
    var pages = Fifo<Page>()
    var impatient = 0
  }

  private let limits: Limits
  /// Not the writer's, and not that of those who follow the log.
  private let queue: DispatchQueue
  /// What waits for the page that its reader has under way.
  private let lines = Mutex<[WritePayer: Line]>([:])
  private let closed = Atomic(false)

  init(_ limits: Limits = Limits(), label: String = "tenancy.control-plane.audit-reader") {
    self.limits = limits
    queue = DispatchQueue(label: label)
  }

  /// From now on nothing is read but what is under way: so that nobody waits for more than that to end.
  func close() { closed.store(true, ordering: .relaxed) }

  /// Whether what has its turn is not to be read any more.
  var isClosed: Bool { closed.load(ordering: .relaxed) }

  /// Runs `body` when it is its turn, unless too many wait: also when it is closed by then.
  /// - Parameter isPatient: whether it waits however many do. For who asks for one page after the other, and of whom
  ///   there are only so many.
  func read(
    _ reader: WritePayer, isPatient: Bool = false, _ body: @escaping @Sendable () -> Void
  ) -> Refusal? {
    if isClosed { return .closed }
    enum Answer { case now, later, refused(Refusal) }
    let waits = isPatient || reader == .server
    let answer = lines.withLock { lines -> Answer in
      guard lines[reader] != nil else {
        guard lines.count < limits.readers || waits else { return .refused(.all) }
        lines[reader] = Line()
        return .now
      }
      guard waits || lines[reader]?.impatient ?? 0 < limits.waitingOfReader else {
        return .refused(.reader(limit: limits.waitingOfReader))
      }
      lines[reader]?.pages.append(Page(body: body, isPatient: waits))
      if !waits { lines[reader]?.impatient += 1 }
      return .later
    }
    switch answer {
    case .now: run(reader, body)
    case .later: break
    case .refused(let refusal): return refusal
    }
    return nil
  }

  private func run(_ reader: WritePayer, _ body: @escaping @Sendable () -> Void) {
    queue.async { [self] in
      body()
      let next = lines.withLock { lines -> (@Sendable () -> Void)? in
        guard let next = lines[reader]?.pages.popFirst() else {
          lines[reader] = nil
          return nil
        }
        if !next.isPatient { lines[reader]?.impatient -= 1 }
        return next.body
      }
      // Behind those of others.
      if let next { run(reader, next) }
    }
  }
}

extension Quota {
  /// Pages of audit records that wait.
  static let auditPages = Quota(name: "audit-pages", unit: "pages")
  /// Reads of configurations' histories that wait.
  static let historyPages = Quota(name: "history-pages", unit: "pages")
  /// Reads of tenants' operations that wait.
  static let operationPages = Quota(name: "operation-pages", unit: "pages")
}

extension TenancyError {
  init(
    _ refusal: AuditReads.Refusal, of reader: WritePayer, pages quota: Quota = .auditPages
  ) {
    switch refusal {
    case .reader(let limit):
      self = .exhausted(
        quota, of: reader, limit: limit, hint: "wait for answers before asking for more",
        retryAfterSeconds: 1)
    case .all:
      self = TenancyError(
        .resourceExhausted, .limitReached, "too many wait for \(quota.name)",
        metadata: ["quota": quota.name], retryAfterSeconds: 1)
    case .closed:
      self = TenancyError(.unavailable, .storeUnavailable, "the server is stopping")
    }
  }
}
