internal import TenancyRPCCore

/// The budgets of a server. Thread-safe.
final class ServerMemory: Sendable {
  let requests: MemoryBudget
  let replies: MemoryBudget
  let replyGate: ReplyGate
  let unpacking: UnpackBudget

  init(_ limits: ServerLimits) {
    requests = MemoryBudget(limit: limits.maximumTotalBufferedBytes)
    replies = MemoryBudget(limit: limits.maximumTotalWaitingReplyBytes)
    replyGate = ReplyGate(replies)
    unpacking = UnpackBudget(limits)
  }
}

/// What one connection and its peer have of a server's budgets. Thread-safe.
final class ConnectionMemory: Sendable {
  /// What a connection may be asked to give up.
  enum Kind: Sendable {
    case requests
    case replies
  }

  let server: ServerMemory
  let peer: PeerKey
  /// Most bytes of a request message.
  let maximumMessageBytes: Int
  /// When to come back is told to who finds no room.
  let retryDelay: Duration
  let overdrafts: Overdrafts
  let meter: UnpackMeter
  private let giveUp: @Sendable (Kind, _ bytes: Int) -> Void

  /// - Parameter giveUp: asks the connection, from any thread.
  init(
    _ server: ServerMemory, peer: PeerKey, limits: ServerLimits,
    giveUp: @escaping @Sendable (Kind, _ bytes: Int) -> Void
  ) {
    self.server = server
    self.peer = peer
    self.giveUp = giveUp
    maximumMessageBytes = limits.maximumMessageBytes
    retryDelay = limits.retryDelay
    overdrafts = Overdrafts(limits)
    meter = UnpackMeter(server.unpacking, peer, limits, overdrafts)
  }

  /// What a request is refused with that finds no room.
  var noRoom: RPCStatus {
    RPCStatus(.resourceExhausted, "too many request bytes are waiting", retryAfter: retryDelay)
  }

  var requestShare: MemoryShare {
    MemoryShare(of: server.requests, peer: peer) { [giveUp] in giveUp(.requests, $0) }
  }

  var replyShare: MemoryShare {
    MemoryShare(of: server.replies, peer: peer) { [giveUp] in giveUp(.replies, $0) }
  }
}
