internal import NIOCore
internal import NIOHTTP1

/// The requests of one connection that an exchange answers, one after the other. Confined to the connection's event
/// loop.
final class ExchangeHandler: ChannelDuplexHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  /// Those of the connection's listener that it has to do with.
  struct Terms {
    let exchange: any HTTPExchange
    /// Makes out who is at the other end.
    let peer: HTTPPeer
    let bytes: ByteLimit
    /// Told whether it waits for a request: then it may be closed for others.
    let onRest: (any Channel, Bool) -> Void
  }

  private enum State {
    /// Between two requests.
    case resting
    /// Its head is looked at; what has come behind that waits.
    case beginning(HTTPRequestHead, HeldParts)
    case receiving(HTTPRequestHead, any HTTPTurn, [UInt8])
    /// - Parameter isWhole: whether nothing more of the request comes.
    case answering(HTTPRequestHead, isWhole: Bool)
    /// The last answer is sent; what comes is thrown away.
    case ending
  }

  /// From a request's head to its end, and for an answer to be read.
  static let patience = TimeAmount.seconds(10)
  /// Between two requests.
  static let rest = TimeAmount.seconds(60)
  /// For the last answer to be read by a client that still sends.
  static let farewell = TimeAmount.seconds(2)

  private let terms: Terms
  private var conversation: (any HTTPConversation)?
  private var state = State.resting
  private var timer: Scheduled<Void>?
  private var isInputClosed = false
  /// Somebody would read who is to wait.
  private var isReadHeldBack = false

  init(_ terms: Terms) { self.terms = terms }

  func handlerRemoved(context: ChannelHandlerContext) {
    timer?.cancel()
    state = .ending
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case ChannelEvent.inputClosed = event else { return }
    isInputClosed = true
    switch state {
    case .answering: break
    case .beginning(_, let parts) where parts.isWhole: break
    // Nothing more comes, and what there is is no request.
    case .beginning, .resting, .receiving, .ending: context.close(promise: nil)
    }
  }

  /// Nothing is read of a request that nobody has let in.
  func read(context: ChannelHandlerContext) {
    if case .beginning = state {
      isReadHeldBack = true
    } else {
      context.read()
    }
  }

  private func readOn(_ context: ChannelHandlerContext) {
    if case .beginning = state { return }
    guard isReadHeldBack else { return }
    isReadHeldBack = false
    context.read()
  }

  // MARK: Requests

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let part = unwrapInboundIn(data)
    switch (state, part) {
    case (.resting, .head(let head)): begin(context, head)
    case (.beginning(_, let parts), _): parts.append(part)
    case (.receiving(let head, let turn, let body), _):
      state = .ending  // So that the body has one owner.
      receive(context, head, turn, body, part)
    case (.answering(let head, _), .end): state = .answering(head, isWhole: true)
    case (.resting, _), (.answering, _), (.ending, _): break
    }
  }

  private func begin(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
    state = .beginning(head, HeldParts())
    terms.bytes.restart()
    terms.onRest(context.channel, false)
    wait(context, for: Self.patience)
    let path = String(head.uri.prefix { $0 != "?" })
    guard terms.exchange.takes(path) else { return answer(context, head, Self.notFound) }
    if conversation == nil { conversation = terms.exchange.open(terms.peer) }
    guard let conversation else { return answer(context, head, Self.nobody) }
    let asked = HTTPHead(
      method: head.method.rawValue, path: path, fields: head.headers.map { ($0.name, $0.value) })
    run(context) {
      await conversation.begin(asked)
    } then: { handler, context, beginning in
      guard case .beginning(let head, let parts) = handler.state else { return }
      switch beginning {
      case .answer(let answer): handler.answer(context, head, answer)
      case .body(let turn): handler.admit(context, head, turn, parts.all)
      }
    }
  }

  private func admit(
    _ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ turn: any HTTPTurn,
    _ parts: [HTTPServerRequestPart]
  ) {
    state = .receiving(head, turn, [])
    terms.bytes.allow(turn.maximumBytes)
    let waits = head.headers["expect"].contains { $0.lowercased() == "100-continue" }
    if waits, parts.isEmpty {
      let head = HTTPResponseHead(version: .http1_1, status: .continue)
      context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
    }
    for part in parts {
      guard case .receiving(let head, let turn, let body) = state else { break }
      receive(context, head, turn, body, part)
    }
    readOn(context)
  }

  private func receive(
    _ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ turn: any HTTPTurn,
    _ received: consuming [UInt8], _ part: HTTPServerRequestPart
  ) {
    var body = received
    switch part {
    case .head: context.close(promise: nil)
    case .body(let buffer):
      guard body.count + buffer.readableBytes <= turn.maximumBytes else {
        state = .answering(head, isWhole: false)
        return run(context) {
          await turn.answerTooLarge()
        } then: { handler, context, answer in
          handler.answer(context, head, answer)
        }
      }
      body.append(contentsOf: buffer.readableBytesView)
      state = .receiving(head, turn, body)
    case .end:
      timer?.cancel()
      state = .answering(head, isWhole: true)
      run(context) { [body] in
        await turn.answer(body)
      } then: { handler, context, answer in
        handler.answer(context, head, answer)
      }
    }
  }

  /// Does something elsewhere, and goes on here, if the connection is still open.
  private func run<Result: Sendable>(
    _ context: ChannelHandlerContext, _ work: @escaping @Sendable () async -> Result,
    then: @escaping (ExchangeHandler, ChannelHandlerContext, Result) -> Void
  ) {
    let bound = NIOLoopBound((self, context, then), eventLoop: context.eventLoop)
    context.eventLoop.makeFutureWithTask(work).whenSuccess { result in
      let (handler, context, then) = bound.value
      guard context.channel.isActive else { return }
      then(handler, context, result)
    }
  }

  // MARK: Answers

  private func answer(
    _ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ answer: HTTPAnswer
  ) {
    let isWhole: Bool
    switch state {
    case .answering(_, let whole): isWhole = whole
    case .beginning(_, let parts): isWhole = parts.isWhole
    case .resting, .receiving, .ending: isWhole = false
    }
    let goesOn = isWhole && head.isKeepAlive && !isInputClosed
    // The next request comes as soon as this one's end is written.
    state = goesOn ? .resting : .ending
    wait(context, for: Self.patience)
    var fields = HTTPHeaders(answer.fields.map { ($0.name, $0.value) })
    fields.add(name: "content-length", value: "\(answer.body.utf8.count)")
    fields.add(name: "connection", value: goesOn ? "keep-alive" : "close")
    let response = HTTPResponseHead(
      version: .http1_1, status: HTTPResponseStatus(statusCode: answer.status), headers: fields)
    context.write(wrapOutboundOut(.head(response)), promise: nil)
    if head.method != .HEAD {
      let body = context.channel.allocator.buffer(string: answer.body)
      context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    }
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { result in
      let (handler, context) = bound.value
      guard case .success = result else { return context.close(promise: nil) }
      handler.answered(context, goesOn: goesOn)
    }
    readOn(context)
  }

  private func answered(_ context: ChannelHandlerContext, goesOn: Bool) {
    guard !goesOn else {
      // The next one may have begun.
      guard case .resting = state else { return }
      wait(context, for: Self.rest)
      return terms.onRest(context.channel, true)
    }
    // Closed at once, what the client still sends would take the answer away from it.
    wait(context, for: Self.farewell)
    terms.onRest(context.channel, true)
    terms.bytes.allow(ByteLimit.farewellBytes)
    context.close(mode: .output, promise: nil)
    if isInputClosed { context.close(promise: nil) }
  }

  private func wait(_ context: ChannelHandlerContext, for amount: TimeAmount) {
    timer?.cancel()
    let channel = context.channel
    timer = context.eventLoop.scheduleTask(in: amount) { channel.close(promise: nil) }
  }

  private static let notFound = HTTPAnswer(
    status: 404, fields: [("content-type", "text/plain; charset=utf-8")],
    body: "there is no such page\n")
  private static let nobody = HTTPAnswer(
    status: 403, fields: [("content-type", "text/plain; charset=utf-8")],
    body: "nobody is answered here who comes so\n")
}

/// What has come of a request that nobody has let in yet, its body in one piece. A reference, so that to add to it copies
/// nothing.
private final class HeldParts {
  private var body: ByteBuffer?
  private var end: HTTPServerRequestPart?
  /// What is neither, which ends the connection.
  private var other: HTTPServerRequestPart?

  /// Whether nothing more comes.
  var isWhole: Bool { end != nil }

  var all: [HTTPServerRequestPart] { [other, body.map { .body($0) }, end].compactMap { $0 } }

  func append(_ part: HTTPServerRequestPart) {
    switch part {
    case .head: other = part
    case .body(let more): body.setOrWriteImmutableBuffer(more)
    case .end: end = part
    }
  }
}
