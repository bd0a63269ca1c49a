import Synchronization
internal import NIOCore

/// How tasks tell a connection that one of its calls has news: keys are collected, and the event loop is
/// asked once to look at them all. Thread-safe.
final class ConnectionMailbox: Sendable {
  struct Mail: Sendable {
    /// Streaming calls whose pipe has news.
    var keys: [StreamKey] = []
    /// Unary calls whose handler has returned.
    var results: [(key: StreamKey, result: Result<[UInt8], RPCStatus>)] = []
  }

  private struct State {
    var mail = Mail()
    var isScheduled = false
  }

  private let state = Mutex(State())
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
  func close() { reader.value = nil }

  func post(_ key: StreamKey) {
    let first = state.withLock { state in
      state.mail.keys.append(key)
      defer { state.isScheduled = true }
      return !state.isScheduled
    }
    if first { schedule() }
  }

  func post(_ key: StreamKey, _ result: Result<[UInt8], RPCStatus>) {
    let first = state.withLock { state in
      state.mail.results.append((key, result))
      defer { state.isScheduled = true }
      return !state.isScheduled
    }
    if first { schedule() }
  }

  /// On the event loop: what has come since the last time.
  func take() -> Mail {
    state.withLock { state in
      defer { state = State() }
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
