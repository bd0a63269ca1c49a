public import TenancyRPC

/// What an HTTP request begins with.
public struct HTTPHead: Sendable {
  /// As it was sent, such as `POST`.
  public let method: String
  /// Without a query.
  public let path: String
  /// In the order in which they were sent, names in any case.
  public let fields: [(name: String, value: String)]
}

/// Who is at the other end of an HTTP connection.
public struct HTTPPeer: Sendable {
  /// As far as the transport proves it.
  public let peer: Peer
  /// Why the peer is not accepted any more, or nil.
  public let refusal: @Sendable () -> String?
  /// For logs: where it comes from.
  public let label: String
}

/// What an HTTP request is answered.
public struct HTTPAnswer: Sendable {
  /// 200 to 599.
  public let status: Int
  /// Those beside `content-length` and `connection`.
  public let fields: [(name: String, value: String)]
  /// UTF-8.
  public let body: String

  /// - Parameter fields: those beside `content-length` and `connection`.
  public init(status: Int, fields: [(name: String, value: String)], body: String) {
    self.status = status
    self.fields = fields
    self.body = body
  }
}

/// What becomes of a request whose body is not here yet.
public enum HTTPBeginning: Sendable {
  /// Its body is not waited for.
  case answer(HTTPAnswer)
  /// Its body is taken in, and answered when it is whole.
  case body(any HTTPTurn)
}

/// A request whose body is waited for. What it holds is given back when it is let go of.
public protocol HTTPTurn: Sendable {
  /// Bytes of the body, at most.
  var maximumBytes: Int { get }
  /// Answers the whole request.
  func answer(_ body: [UInt8]) async -> HTTPAnswer
  /// Answers a body that is larger.
  func answerTooLarge() async -> HTTPAnswer
}

/// One connection's requests, one after the other.
public protocol HTTPConversation: Sendable {
  /// Looks at the head of the next request: only what it lets in is read.
  func begin(_ head: HTTPHead) async -> HTTPBeginning
}

/// Answers requests that have a body.
public protocol HTTPExchange: Sendable {
  /// Whether a path is its own.
  func takes(_ path: String) -> Bool
  /// Somebody has connected, and sent the first such request.
  /// - Returns: nil: nobody is answered who is this peer.
  func open(_ peer: HTTPPeer) -> (any HTTPConversation)?
}
