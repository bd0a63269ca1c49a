internal import NIOCore
internal import TenancyLoop

/// Tells from a connection's first byte what it speaks, and builds the pipeline for it. A connection
/// that stays silent for `firstByteTimeout` is closed.
final class ProtocolSniffer: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer

  /// A TLS record of type handshake (RFC 8446 §5.1).
  private static let tlsHandshake: UInt8 = 0x16
  /// The client connection preface begins with `PRI` (RFC 9113 §3.4).
  private static let http2Preface = UInt8(ascii: "P")
  /// The highest byte of a frame's length (ttrpc PROTOCOL.md, "Message Frame").
  private static let ttrpcFrame: UInt8 = 0

  private let acceptor: ConnectionAcceptor
  private var context: ChannelHandlerContext?
  private lazy var timer = ActionTimer { [unowned self] in context?.close(promise: nil) }
  private var isDone = false

  init(_ acceptor: ConnectionAcceptor) { self.acceptor = acceptor }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    acceptor.timers.schedule(timer, in: .bounded(acceptor.core.limits.firstByteTimeout))
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    acceptor.timers.cancel(timer)
    self.context = nil
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = unwrapInboundIn(data)
    guard !isDone, let first = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) else {
      return
    }
    isDone = true
    do {
      switch first {
      case Self.tlsHandshake: try acceptor.acceptTLS(context)
      case Self.http2Preface: try acceptor.acceptPlain(context, .http2)
      case Self.ttrpcFrame: try acceptor.acceptPlain(context, .ttrpc)
      default: throw ConnectionRefusal(reason: "unknown protocol (first byte \(first))")
      }
      context.fireChannelRead(data)
      context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    } catch {
      acceptor.refuse(context, error)
    }
  }
}

/// Why a connection was not served. For the log; the peer is told nothing.
struct ConnectionRefusal: Error, CustomStringConvertible {
  let reason: String
  var description: String { reason }
}
