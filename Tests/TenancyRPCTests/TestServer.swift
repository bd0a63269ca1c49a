import Foundation
import Synchronization
import TenancyRPC
import TenancyTestSupport

/// A real server on a Unix socket in a directory of its own.
struct TestServer {
  let directory: String
  let path: String
  let server: Server

  static func start(
    at given: String? = nil, _ extra: [TestMethod] = [], limits: ServerLimits = ServerLimits(),
    interceptors: [any RPCServerInterceptor<PlainDelegate>] = [],
    delegate: PlainDelegate = PlainDelegate(), patience: Duration = .seconds(2)
  ) async throws -> TestServer {
    let directory = given ?? freePath()
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true)
    let path = directory + "/s"
    var configuration = Server.Configuration(listeners: [.unix(path: path, mode: 0o600)])
    configuration.eventLoops = 1
    configuration.limits = limits
    configuration.handlerPatience = patience
    let server = try await Server(
      configuration, methods: EchoService.methods + extra, interceptors: interceptors,
      delegate: delegate)
    _ = try await server.start()
    return TestServer(directory: directory, path: path, server: server)
  }

  func channel(
    limits: ClientLimits = ClientLimits(), wire: WireProtocol = .grpc
  ) -> RPCChannel {
    var configuration = RPCChannel.Configuration()
    configuration.wireProtocol = wire
    configuration.limits = limits
    return RPCChannel(.unix(path: path), configuration: configuration)
  }

  func stop(within limit: Duration = .seconds(5), keepingDirectory: Bool = false) async throws {
    await server.stop(within: limit)
    if !keepingDirectory { try FileManager.default.removeItem(atPath: directory) }
  }
}

/// Runs `body` with a server and a channel to it, and closes both.
func withEcho(
  _ extra: [TestMethod] = [], limits: ServerLimits = ServerLimits(),
  client: ClientLimits = ClientLimits(), wire: WireProtocol = .grpc,
  _ body: (RPCChannel) async throws -> Void
) async throws {
  let server = try await TestServer.start(extra, limits: limits)
  let channel = server.channel(limits: client, wire: wire)
  try await outcome {
    try await body(channel)
  } then: {
    await channel.close()
    try await server.stop()
  }
}

extension RPCChannel {
  /// `unary`, in fewer words.
  func ask(
    _ path: String, _ message: [UInt8] = [], _ options: RPCCallOptions = RPCCallOptions()
  ) async throws -> [UInt8] {
    try await unary(path: path, message: message, options: options)
  }

  /// The status that a call ends with, or nil if it succeeds.
  func refusal(
    _ path: String, _ message: [UInt8] = [], _ options: RPCCallOptions = RPCCallOptions()
  ) async -> RPCStatus? {
    do {
      _ = try await unary(path: path, message: message, options: options)
      return nil
    } catch {
      return error
    }
  }
}

typealias TestMethod = ServiceMethod<PlainDelegate>

final class PlainDelegate: ServerDelegate {
  final class Peer: Sendable {}

  let observer: (any ServerObserver)?
  private let report: @Sendable (ServerEvent) -> Void

  init(
    observer: (any ServerObserver)? = nil,
    report: @escaping @Sendable (ServerEvent) -> Void = { _ in }
  ) {
    self.observer = observer
    self.report = report
  }

  private struct Context { weak var object: Peer? }
  private let contexts = Mutex<[Context]>([])

  /// How many connections there have been.
  var opened: Int { contexts.withLock { $0.count } }

  /// How many connections are still held by anyone.
  var liveConnections: Int { contexts.withLock { $0.count { $0.object != nil } } }

  func connectionOpened(_ connection: Connection) -> Peer? {
    let peer = Peer()
    contexts.withLock { $0.append(Context(object: peer)) }
    return peer
  }

  func account(of caller: Peer) -> Int { 7 }
  func name(of caller: Peer) -> CallerName? { CallerName(subject: "peer") }

  func log(_ event: ServerEvent) { report(event) }
}

/// Methods that answer with what they got.
enum EchoService {
  static let refusal = RPCStatus(
    .failedPrecondition, "100 % Zürich – \u{1D11E}\n", details: [0, 255, 7, 61])

  /// What a client gets of it: over ttrpc details travel as messages, which these bytes are not.
  static func refusal(over wire: WireProtocol) -> RPCStatus {
    wire == .grpc ? refusal : RPCStatus(refusal.code, refusal.message)
  }

  static let methods: [TestMethod] = [
    .inline(path: "/test.Echo/Inline") { call, message in
      call.reply(count: message.count) { target in
        if let base = message.baseAddress {
          target.copyMemory(from: base, byteCount: message.count)
        }
      }
    },
    .async(path: "/test.Echo/Async") { _, message in message },
    .inline(path: "/test.Echo/Refuse") { _, _ throws(RPCStatus) in throw refusal },
    .async(path: "/test.Echo/RefuseAsync") { _, _ in throw refusal },
    .async(path: "/test.Echo/RPCMetadata") { call, message in
      Array(call.metadata[String(decoding: message, as: UTF8.self)].joined(separator: ",").utf8)
    },
  ]
}

/// A method that waits until it is let go, and tells what happens to it.
final class Gate: Sendable {
  enum Event: Sendable { case started, cancelled, finished }

  let events: AsyncStream<Event>
  private let report: AsyncStream<Event>.Continuation
  private let door: AsyncStream<Void>
  private let opener: AsyncStream<Void>.Continuation

  init() {
    (events, report) = AsyncStream.makeStream()
    (door, opener) = AsyncStream.makeStream()
  }

  func open() { opener.finish() }

  var method: TestMethod {
    .async(path: "/test.Gate/Wait") { [self] _, message in
      report.yield(.started)
      for await _ in door {}  // Ends when the door opens or the task is cancelled.
      report.yield(Task.isCancelled ? .cancelled : .finished)
      try Task.checkCancellation()
      return message
    }
  }

  /// The next `count` events.
  func next(_ count: Int) async -> [Event] {
    var seen: [Event] = []
    for await event in events {
      seen.append(event)
      if seen.count == count { break }
    }
    return seen
  }
}
