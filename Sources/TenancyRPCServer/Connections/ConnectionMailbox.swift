internal import NIOCore
import Synchronization
internal import TenancyRPCCore

/// How tasks tell a connection that one of its calls has news: keys are collected, and the event loop is
/// asked once to look at them all. Thread-safe.
final class ConnectionMailbox: Sendable {
  struct Mail: Sendable {
    /// Streaming calls whose pipe has news.
    var keys: [StreamKey] = []
    /// Unary calls whose handler has returned.
    var results: [Outcome] = []
    /// Calls that are to end, whatever their handlers do.
    var endings: [Ending] = []
    /// Calls whose handlers hold a message that the memory is needed of.
    var unaffordable: [StreamKey] = []
    /// Bytes that the connection is asked to give up.
    var requestBytes = 0
    var replyBytes = 0
  }

  /// What a unary call's handler has returned.
  struct Outcome: Sendable {
    let key: StreamKey
    let result: Result<[UInt8], RPCStatus>
    /// Held until the connection counts the response.
    var inFlight: ReplyInFlight?
  }

  struct Ending: Sendable {
    let key: StreamKey
    let status: RPCStatus
  }

  private struct State {
    var mail = Mail()
    var isScheduled = false
    var isClosed = false
  }

  private let state = Mutex(State())
  /// Nothing was posted since the last time: there is nothing to lock for.
  private let isEmpty = Atomic(true)
  private let loop: any EventLoop
  private let reader: NIOLoopBoundBox<(any MailboxReader)?>

  /// On the event loop.
  init(loop: any EventLoop) {
    self.loop = loop
    reader = .makeEmptyBox(eventLoop: loop)
  }

  /// On the event loop. Mail is read by `reader` until `close`.
  func open(_ reader: any MailboxReader) { self.reader.value = reader }

  /// On the event loop. Mail is dropped from now on.
  func close() {
    reader.value = nil
    let dropped = state.withLock { state in
      state.isClosed = true
      defer { state.mail = Mail() }
      return state.mail
    }
    withExtendedLifetime(dropped) {}  // Given up outside of the lock.
  }

  func post(_ key: StreamKey) { post { $0.keys.append(key) } }

  func post(_ outcome: Outcome) { post { $0.results.append(outcome) } }

  func post(end key: StreamKey, _ status: RPCStatus) {
    post { $0.endings.append(Ending(key: key, status: status)) }
  }

  func post(unaffordable key: StreamKey) { post { $0.unaffordable.append(key) } }

  func post(giveUp kind: ConnectionMemory.Kind, _ bytes: Int) {
    post { mail in
      switch kind {
      case .requests: mail.requestBytes += bytes
      case .replies: mail.replyBytes += bytes
      }
    }
  }

  @inline(__always)
  private func post(_ add: (inout Mail) -> Void) {
    let first = state.withLock { state in
      guard !state.isClosed else { return false }
      add(&state.mail)
      isEmpty.store(false, ordering: .relaxed)
      defer { state.isScheduled = true }
      return !state.isScheduled
    }
    if first { schedule() }
  }

  /// On the event loop: what has come since the last time; nil: nothing. What comes while this looks is
  /// read by the task that its post makes.
  @inline(__always)
  func take() -> Mail? { isEmpty.load(ordering: .relaxed) ? nil : takeAll() }

  private func takeAll() -> Mail {
    state.withLock { state in
      isEmpty.store(true, ordering: .relaxed)
      defer {
        state.mail = Mail()
        state.isScheduled = false
      }
      return state.mail
    }
  }

  private func schedule() {
    loop.execute { [self] in reader.value?.readMail() }
  }
}

/// Confined to an event loop.
protocol MailboxReader: AnyObject {
  func readMail()
}
