internal import NIOCore

/// How a channel notices that a server is gone without a word.
public struct KeepaliveOptions: Sendable, Hashable {
  /// Silence after which the server is sent a PING. Servers may refuse clients that do so often.
  public var time: Duration
  /// How long after the PING the connection is given up if still nothing has come.
  public var timeout: Duration
  /// Whether to do so while no calls are open.
  public var withoutCalls: Bool

  /// Servers may end connections of clients that ask more often than they allow (gRFC A8).
  public init(
    time: Duration = .seconds(300), timeout: Duration = .seconds(20), withoutCalls: Bool = false
  ) {
    self.time = time
    self.timeout = timeout
    self.withoutCalls = withoutCalls
  }
}

/// Watches one connection for silence. Confined to its event loop. One timer for each period, and
/// nothing but a note for each read.
final class Keepalive {
  enum Action {
    case ping
    case giveUp(after: Duration)
  }

  private let options: KeepaliveOptions
  private let act: (Action) -> Void
  private var timer: Scheduled<Void>?
  private var lastHeard = NIODeadline.uptimeNanoseconds(0)
  private var pingSent: NIODeadline?

  init(_ options: KeepaliveOptions, _ act: @escaping (Action) -> Void) {
    self.options = options
    self.act = act
  }

  /// Any bytes are a sign of life.
  func heard(at now: NIODeadline) {
    lastHeard = now
    pingSent = nil
  }

  func stop() {
    timer?.cancel()
    timer = nil
  }

  /// Starts or stops the clock.
  func update(hasCalls: Bool, on loop: any EventLoop) {
    guard hasCalls || options.withoutCalls else { return stop() }
    guard timer == nil else { return }
    heard(at: loop.now)
    schedule(at: loop.now + .bounded(options.time), loop)
  }

  private func schedule(at deadline: NIODeadline, _ loop: any EventLoop) {
    timer = loop.assumeIsolated().scheduleTask(deadline: deadline) { [self] in tick(loop) }
  }

  private func tick(_ loop: any EventLoop) {
    timer = nil
    let now = loop.now
    if let pingSent {
      let end = pingSent + .bounded(options.timeout)
      return now < end ? schedule(at: end, loop) : act(.giveUp(after: options.timeout))
    }
    let end = lastHeard + .bounded(options.time)
    guard now >= end else { return schedule(at: end, loop) }
    pingSent = now
    schedule(at: now + .bounded(options.timeout), loop)
    act(.ping)
  }
}
