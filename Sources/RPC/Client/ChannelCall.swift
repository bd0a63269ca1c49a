internal import NIOCore
import Synchronization

/// One call of a channel, from the caller's task to the stream that carries it. Confined to the
/// channel's event loop.
final class ChannelCall {
  typealias Answer = CheckedContinuation<Result<[UInt8], RPCStatus>, Never>

  let request: ClientRequest
  let deadline: NIODeadline?
  private var answer: Answer?
  private var timer: Scheduled<Void>?
  private var carrier: (connection: HTTP2ClientHandler, stream: HTTP2ClientStream)?
  private var onEnd: (() -> Void)?

  init(_ request: ClientRequest, deadline: NIODeadline?, answer: Answer) {
    self.request = request
    self.deadline = deadline
    self.answer = answer
  }

  var isDone: Bool { answer == nil }

  /// Starts the deadline's clock. `onEnd` is called once.
  func begin(on loop: any EventLoop, onEnd: @escaping () -> Void) {
    self.onEnd = onEnd
    guard let deadline else { return }
    timer = loop.assumeIsolated().scheduleTask(deadline: deadline) { [self] in
      end(carrier == nil ? Self.tooLate : RPCStatus(.deadlineExceeded, "the deadline has passed"))
    }
  }

  func submit(to connection: HTTP2ClientHandler) {
    guard !isDone else { return }
    var timeout: UInt64?
    if let deadline {
      let left = (deadline - .now()).nanoseconds
      guard left > 0 else { return end(Self.tooLate) }
      timeout = UInt64(left)
    }
    let stream = connection.submit(request, timeout: timeout) { [weak self] in self?.finish($0) }
    carrier = (connection, stream)
  }

  private static let tooLate = RPCStatus(
    .deadlineExceeded, "the deadline passed before the call could be sent")

  /// Gives up, and resets the stream if there is one.
  func end(_ status: RPCStatus) {
    guard !isDone else { return }
    if let carrier {
      carrier.connection.cancel(carrier.stream, status)
    } else {
      finish(.failure(status))
    }
  }

  func finish(_ result: Result<[UInt8], RPCStatus>) {
    guard let answer else { return }
    self.answer = nil
    timer?.cancel()
    timer = nil
    carrier = nil
    onEnd?()
    onEnd = nil
    answer.resume(returning: result)
  }
}

/// What a caller's task holds of its call, for cancelling it.
final class CallTicket: Sendable {
  private let isCancelled = Atomic(false)
  private let call: NIOLoopBoundBox<ChannelCall?>
  private let loop: any EventLoop

  init(loop: any EventLoop) {
    self.loop = loop
    call = .makeEmptyBox(eventLoop: loop)
  }

  /// On the event loop. Returns false if the call was cancelled before it began.
  func attach(_ call: ChannelCall) -> Bool {
    self.call.value = call
    return !isCancelled.load(ordering: .acquiring)
  }

  /// From any thread, before or after `attach`: the flag is set before the loop looks at it.
  func cancel() {
    isCancelled.store(true, ordering: .releasing)
    loop.execute { [self] in call.value?.end(Self.cancelled) }
  }

  /// On the event loop, when the call is over.
  func detach() { call.value = nil }

  static let cancelled = RPCStatus(.cancelled, "the caller cancelled the call")
}
