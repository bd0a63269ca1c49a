internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
import Synchronization
internal import TenancyCrypto
public import TenancyRPC

/// A listener that could not start.
public struct ProbeListenerError: Error, Sendable, CustomStringConvertible {
  public let description: String
}

/// Serves a few pages to scrapers and probes over HTTP/1.1, on a thread of its own. One request for each
/// connection, without a body, but for those of an exchange. Thread-safe.
public final class ProbeListener: Sendable {
  public struct Page: Sendable {
    public var status: Int
    public var contentType: String
    /// `cache-control`.
    public var caching: String
    public var body: String

    public init(
      status: Int = 200, contentType: String = "text/plain; charset=utf-8",
      caching: String = "no-store", _ body: String
    ) {
      self.status = status
      self.contentType = contentType
      self.caching = caching
      self.body = body
    }
  }

  /// Makes the page of a path; nil: there is none.
  public typealias Pages = @Sendable (_ path: String) async -> Page?

  /// Connections at the same time. For another one, that which has said nothing for longest is closed.
  static let maximumConnections = 64
  /// Of an exchange. For another one, that which has waited longest for its next request is closed.
  static let maximumConversations = 1024
  /// Of a request.
  static let maximumRequestBytes = 8 * 1024
  /// From a connection's begin to its end.
  static let patience = TimeAmount.seconds(10)

  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let pages: Pages
  private let exchange: (any HTTPExchange)?
  /// Nil: plain text.
  private let tls: TLSContext?
  /// Of a Unix listener.
  private let file = Mutex<UnixSocketFile?>(nil)

  /// - Parameters:
  ///   - exchange: who answers requests with a body; nil: nobody.
  ///   - tls: what connections are secured with, for which nothing is negotiated by ALPN; nil: plain text.
  public init(
    exchange: (any HTTPExchange)? = nil, tls: TLSContext? = nil, _ pages: @escaping Pages
  ) {
    self.exchange = exchange
    self.tls = tls
    self.pages = pages
  }

  /// Starts to listen.
  /// - Returns: the address in use: with port 0, the port that the system chose.
  /// - Throws: when the address can't be bound.
  public func start(_ address: ListenAddress) async throws -> ListenAddress {
    let loop = group.next()
    let hasTLS = tls != nil
    let room = try await loop.submit { NIOLoopBound(Room(handshakes: hasTLS), eventLoop: loop) }
      .get()
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelInitializer { [pages, exchange, tls] channel in
        channel.eventLoop.makeCompletedFuture {
          guard room.value.enter(channel) else {
            throw ProbeListenerError(description: "too many connections")
          }
          channel.closeFuture.whenComplete { _ in room.value.leave(channel) }
          let setup = ConnectionSetup(
            pages: pages, exchange: exchange, room: room.value, channel: channel)
          if let tls { try setup.secure(tls) } else { try setup.talk(as: nil) }
        }
      }
    switch address {
    case .unix(let path, let mode, _):
      try UnixSocketFile.prepare(path)
      _ = try await bootstrap.bind(unixDomainSocketPath: path).get()
      file.withLock { $0 = UnixSocketFile(path) }
      guard unsafe chmod(path, mode_t(mode)) == 0 else {
        throw ProbeListenerError(description: "cannot set the mode of \(path)")
      }
      return address
    case .tcp(let host, let port, let insecure, _):
      let channel = try await bootstrap.serverChannelOption(
        .socketOption(.so_reuseaddr), value: 1
      ).bind(host: host, port: port).get()
      return .tcp(host: host, port: channel.localAddress?.port ?? port, insecure: insecure)
    }
  }

  /// Closes everything.
  public func stop() async {
    file.withLock { $0?.remove() }
    try? await group.shutdownGracefully()  // Nothing is left to do after a failure.
  }
}

/// Answers one request, and closes.
final class PageHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let pages: ProbeListener.Pages
  private var isAnswering = false
  private var timer: Scheduled<Void>?

  private let onRequest: (any Channel) -> Void
  /// Makes what has to do with the connection from now on, if a request is an exchange's.
  private let handOver: (HTTPRequestHead) -> ExchangeHandler?
  private var isHandedOver = false

  /// - Parameter onRequest: told when the head of the request is here.
  init(
    _ pages: @escaping ProbeListener.Pages, onRequest: @escaping (any Channel) -> Void,
    handOver: @escaping (HTTPRequestHead) -> ExchangeHandler?
  ) {
    self.pages = pages
    self.onRequest = onRequest
    self.handOver = handOver
  }

  func handlerAdded(context: ChannelHandlerContext) {
    let channel = context.channel
    timer = context.eventLoop.scheduleTask(in: ProbeListener.patience) {
      channel.close(promise: nil)
    }
  }

  func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if isHandedOver { return context.fireUserInboundEventTriggered(event) }
    // Before its request was whole: nobody asks for anything.
    if case ChannelEvent.inputClosed = event, !isAnswering { context.close(promise: nil) }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if isHandedOver { return context.fireChannelRead(data) }
    guard !isAnswering, case .head(let head) = unwrapInboundIn(data) else { return }
    if let handler = handOver(head) {
      isHandedOver = true
      timer?.cancel()
      do {
        try context.pipeline.syncOperations.addHandler(handler, position: .after(self))
      } catch {
        return context.close(promise: nil)
      }
      return context.fireChannelRead(data)
    }
    isAnswering = true
    onRequest(context.channel)
    guard head.method == .GET || head.method == .HEAD else {
      let page = ProbeListener.Page(status: 405, "GET and HEAD only\n")
      return answer(context, page, head, allow: true)
    }
    let length = head.headers["content-length"]
    guard head.headers["transfer-encoding"].isEmpty, length.allSatisfy({ $0 == "0" }) else {
      return answer(context, ProbeListener.Page(status: 400, "no body is taken\n"), head)
    }
    let path = String(head.uri.prefix { $0 != "?" })
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    let pages = pages
    context.eventLoop.makeFutureWithTask { await pages(path) }.whenComplete { result in
      let (handler, context) = bound.value
      guard context.channel.isActive else { return }
      let page =
        switch result {
        case .success(let page?): page
        case .success(nil): ProbeListener.Page(status: 404, "there is no such page\n")
        case .failure: ProbeListener.Page(status: 500, "internal error\n")
        }
      handler.answer(context, page, head)
    }
  }

  private func answer(
    _ context: ChannelHandlerContext, _ page: ProbeListener.Page, _ head: HTTPRequestHead,
    allow: Bool = false
  ) {
    var headers = HTTPHeaders([
      ("content-type", page.contentType), ("content-length", String(page.body.utf8.count)),
      ("cache-control", page.caching), ("connection", "close"),
    ])
    if allow { headers.add(name: "allow", value: "GET, HEAD") }
    let response = HTTPResponseHead(
      version: .http1_1, status: HTTPResponseStatus(statusCode: page.status), headers: headers)
    context.write(wrapOutboundOut(.head(response)), promise: nil)
    if head.method != .HEAD {
      let body = context.channel.allocator.buffer(string: page.body)
      context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    }
    let channel = context.channel
    context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
      channel.close(promise: nil)
    }
  }
}
