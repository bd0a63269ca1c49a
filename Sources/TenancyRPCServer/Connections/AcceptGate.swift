internal import NIOCore

/// Stands before a listener: counts the connections that it accepts, closes those that are too many, and
/// stops accepting while the process has no descriptors for more. Those that come then wait in the
/// listener's backlog, and `accept` is not called in vain. When they have waited for `patience`, some that
/// have not proven anything make room. Confined to the listener's event loop.
final class AcceptGate: ChannelDuplexHandler {
  typealias InboundIn = any Channel
  typealias InboundOut = any Channel
  typealias OutboundIn = Never

  /// Connections that one look at the listener accepts: fewer than `Descriptors.reserved`.
  static let acceptedPerRead: UInt = 16

  /// Time for those that were let in last to say who they are: without it, honest ones that come together
  /// would drive each other out.
  static let patience = TimeAmount.milliseconds(100)

  private let core: ServerCore
  private let address: ListenAddress
  private var context: ChannelHandlerContext?
  /// Set while newcomers wait.
  private var eviction: RepeatedTask?

  init(core: ServerCore, address: ListenAddress) {
    self.core = core
    self.address = address
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    eviction?.cancel()
  }

  func read(context: ChannelHandlerContext) {
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    let loop = context.eventLoop
    let mayAccept = core.census.mayAccept { loop.execute { bound.value.resume() } }
    if mayAccept {
      context.read()
    } else {
      core.log(
        .outOfDescriptors, address.description, "accepting no more until some connections end")
      eviction =
        eviction
        ?? loop.scheduleRepeatedTask(initialDelay: Self.patience, delay: Self.patience) {
          [census = core.census] _ in census.makeRoom()
        }
    }
  }

  private func resume() {
    eviction?.cancel()
    eviction = nil
    if let context { read(context: context) }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let child = unwrapInboundIn(data)
    guard core.census.enter() else {
      core.log(.peerRefused, address.description, "there are too many connections")
      return child.close(promise: nil)
    }
    child.closeFuture.whenComplete { [core] _ in core.census.leave() }
    context.fireChannelRead(data)
  }
}
