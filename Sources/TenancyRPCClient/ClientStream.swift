internal import TenancyRPCCore

/// Who is told what becomes of a stream. Called on the event loop.
protocol ClientStreamObserver: AnyObject {
  func streamChanged(_ stream: ClientStream)
}

/// One attempt at a call on one connection, whatever the protocol. Confined to the connection's event
/// loop. Engines note events; the observer takes them.
class ClientStream {
  enum Event {
    /// The response begins. Not noted for one that is nothing but an end.
    case headers(RPCMetadata)
    case message(InboundMessage)
    /// The last event.
    case ended(StreamEnd)
  }

  let kind: CallKind
  /// The request's messages; what the engine has taken of the first.
  final var outbound = FIFO<OutboundMessage>()
  final var outboundOffset = 0
  final private(set) var requestsFinished = false
  /// The cost of the messages that the engine has taken, since the stream began.
  final var sentCost = 0
  final weak var observer: (any ClientStreamObserver)?
  /// In the engine's list of changed streams.
  final var isListed = false
  final private(set) var end: StreamEnd?
  private var events: [Event] = []
  private var responses = 0

  init(_ kind: CallKind) { self.kind = kind }

  final func takeEvents() -> [Event] {
    defer { events = [] }
    return events
  }

  // MARK: For engines

  final func enqueue(_ message: OutboundMessage) { outbound.append(message) }
  final func finishRequests() { requestsFinished = true }

  final func note(headers: RPCMetadata) {
    if end == nil { events.append(.headers(headers)) }
  }

  /// - Throws: a second message where the method has one.
  final func note(_ message: InboundMessage) throws(RPCStatus) {
    guard end == nil else { return }
    responses += 1
    if responses > 1, !kind.serverStreams {
      throw RPCStatus(.unimplemented, "the server answered with several messages where one is due")
    }
    events.append(.message(message))
  }

  /// Decides how the stream ends. Returns false if it was decided before.
  final func finish(_ end: StreamEnd) -> Bool {
    guard self.end == nil else { return false }
    var end = end
    if end.status.code == .ok, responses == 0, !kind.serverStreams {
      let status = RPCStatus(.unimplemented, "the server answered with no message where one is due")
      end = StreamEnd(status: status, trailers: end.trailers)
    }
    self.end = end
    outbound.removeAll()
    outboundOffset = 0
    events.append(.ended(end))
    return true
  }
}
