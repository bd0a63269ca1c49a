internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
import Synchronization
public import TenancyRPC

/// A listener that could not start.
public struct ProbeListenerError: Error, Sendable, CustomStringConvertible {
  public let description: String
}

/// Serves a few pages to scrapers and probes over HTTP/1.1, on a thread of its own. One request for each
/// connection, without a body. Thread-safe.
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
  /// Of a request.
  static let maximumRequestBytes = 8 * 1024
  /// From a connection's begin to its end.
  static let patience = TimeAmount.seconds(10)

  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let pages: Pages
  /// Of a Unix listener.
  private let file = Mutex<UnixSocketFile?>(nil)

  public init(_ pages: @escaping Pages) { self.pages = pages }

  /// Starts to listen.
  /// - Returns: the address in use: with port 0, the port that the system chose.
  /// - Throws: when the address can't be bound.
  public func start(_ address: ListenAddress) async throws -> ListenAddress {
    let loop = group.next()
    let room = try await loop.submit { NIOLoopBound(Room(), eventLoop: loop) }.get()
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelInitializer { [pages] channel in
        channel.eventLoop.makeCompletedFuture {
          guard room.value.enter(channel) else {
            throw ProbeListenerError(description: "too many connections")
          }
          channel.closeFuture.whenComplete { _ in room.value.leave(channel) }
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(ByteLimit())
          try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false)
          try pipeline.addHandler(PageHandler(pages) { room.value.note($0) })
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

/// The connections that are open. Confined to the listener's loop.
private final class Room {
  private var open: Set<ObjectIdentifier> = []
  /// Those without a request, the oldest first.
  private var silent: [any Channel] = []

  /// - Returns: false if there is no place.
  func enter(_ channel: any Channel) -> Bool {
    if open.count >= ProbeListener.maximumConnections {
      guard let oldest = silent.first else { return false }
      leave(oldest)
      oldest.close(promise: nil)
    }
    open.insert(ObjectIdentifier(channel))
    silent.append(channel)
    return true
  }

  /// It has sent a request, and is answered.
  func note(_ channel: any Channel) { silent.removeAll { $0 === channel } }

  func leave(_ channel: any Channel) {
    open.remove(ObjectIdentifier(channel))
    note(channel)
  }
}

/// Ends connections that send more than a request may have.
private final class ByteLimit: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer
  private var left = ProbeListener.maximumRequestBytes

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    left -= unwrapInboundIn(data).readableBytes
    guard left >= 0 else { return context.close(promise: nil) }
    context.fireChannelRead(data)
  }
}

/// Answers one request, and closes.
private final class PageHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let pages: ProbeListener.Pages
  private var isAnswering = false
  private var timer: Scheduled<Void>?

  private let onRequest: (any Channel) -> Void

  /// - Parameter onRequest: told when the head of the request is here.
  init(_ pages: @escaping ProbeListener.Pages, onRequest: @escaping (any Channel) -> Void) {
    self.pages = pages
    self.onRequest = onRequest
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
    // Before its request was whole: nobody asks for anything.
    if case ChannelEvent.inputClosed = event, !isAnswering { context.close(promise: nil) }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isAnswering, case .head(let head) = unwrapInboundIn(data) else { return }
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
