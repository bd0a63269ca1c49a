import CTenancyNghttp2
import NIOCore
import NIOEmbedded

@testable import TenancyRPCClient
@testable import TenancyRPCCore

/// Servers that a test plays itself, byte by byte, on an event loop whose clock it turns.
final class FakeNetwork {
  let loop = EmbeddedEventLoop()
  /// All attempts to connect so far.
  private(set) var attempts: [FakeServer] = []
  private var made: Balancer?
  var keepalive: KeepaliveOptions?
  var healthService: String?
  var limits = ClientLimits()
  var policy = RPCRetryPolicy()

  /// A channel to as many Unix sockets, called "0", "1" and so on.
  func balancer(_ count: Int) -> Balancer {
    if let made { return made }
    let targets = (0..<count).map { RPCChannel.Target.unix(path: "\($0)") }
    let half: () -> Double = { 0.5 }
    let shared = ClientCall.Shared(loop: loop, limits: limits, policy: policy, random: half)
    let names = NameTable(
      targets, resolver: SystemNameResolver(), limits: limits, loop: loop, random: half)
    let network = NIOLoopBound(self, eventLoop: loop)
    let balancer = Balancer(shared, names: names) { [loop, healthService] address, owner in
      let health = healthService.map { HealthWatch(service: $0, loop: loop, random: half) }
      return Subchannel(address, loop: loop, health: health, random: half, owner: owner) {
        network.value.connect(to: $0, $1)
      }
    }
    made = balancer
    return balancer
  }

  private func connect(to address: ServerAddress, _ owner: any ClientConnectionOwner) -> FakeServer
  {
    let server = FakeServer(address, owner, self)
    attempts.append(server)
    return server
  }

  /// The last attempt at an address.
  func server(_ index: Int) -> FakeServer? { attempts.last { $0.name == "\(index)" } }

  func attempts(at index: Int) -> Int { attempts.count { $0.name == "\(index)" } }

  /// Makes a call of the channel; nil leaves a request open.
  func call(
    _ balancer: Balancer, _ message: [UInt8]? = [1], kind: CallKind = .unary,
    waits: Bool = false, isIdempotent: Bool = false, timeout: TimeAmount? = nil
  ) throws -> CallMailbox {
    let head = try RequestHead(path: "/a/b", kind: kind, metadata: [:], limits: limits)
    let plan = ClientCall.Plan(
      head: head, deadline: timeout.map { loop.now + $0 }, waitsForReady: waits,
      isIdempotent: isIdempotent, providers: [])
    let mailbox = CallMailbox(limits, only: message.map { OutboundMessage(bytes: $0) })
    balancer.start(ClientCall(plan, mailbox: mailbox, shared: balancer.shared)) {}
    loop.run()
    return mailbox
  }

  func advance(_ time: TimeAmount) { loop.advanceTime(by: time) }
}

/// One connection that a test's server may accept, refuse, answer and drop.
final class FakeServer: ConnectionSetUp {
  let name: String
  private let network: FakeNetwork
  private let connection: ClientConnection
  private var channel: EmbeddedChannel?
  private var onFailure: ((String) -> Void)?
  private(set) var isAbandoned = false
  private let decoder = HeaderDecoder()
  /// Frames that the client has sent and nobody has looked at.
  private var unread: [Frame.Parsed] = []
  /// Streams that were opened, and the fields of their headers.
  private var opened: [UInt32] = []
  private var fields: [UInt32: [String: String]] = [:]

  init(_ address: ServerAddress, _ owner: any ClientConnectionOwner, _ network: FakeNetwork) {
    name = address.description.replacing("unix:", with: "")
    self.network = network
    let engine = HTTP2ClientSession(scheme: "http", authority: "a", limits: network.limits)
    connection = ClientConnection(engine, keepalive: network.keepalive, owner: owner)
  }

  // MARK: ConnectionSetUp

  func owns(_ connection: ClientConnection) -> Bool { self.connection === connection }
  func start(on loop: any EventLoop, onFailure: @escaping (String) -> Void) {
    self.onFailure = onFailure
  }
  func succeed() { onFailure = nil }
  func fail(_ reason: String) {
    onFailure?(reason)
    onFailure = nil
  }
  func abandon() {
    isAbandoned = true
    onFailure = nil
  }

  // MARK: The test's side

  func refuse() {
    fail("refused")
    network.loop.run()
  }

  func accept() throws {
    let channel = EmbeddedChannel(handler: connection, loop: network.loop)
    self.channel = channel
    _ = channel.connect(to: try SocketAddress(unixDomainSocketPath: "x"))
    try send(Frame.settings)
  }

  func send(_ bytes: [UInt8]) throws {
    try channel?.writeInbound(ByteBuffer(bytes: bytes))
    network.loop.run()
    read()
  }

  /// Drops the connection, as a crash would.
  func drop() {
    channel?.pipeline.fireChannelInactive()
    network.loop.run()
  }

  var isOpen: Bool { channel?.isActive ?? false }

  /// What the client has sent since the last time.
  func frames() -> [Frame.Parsed] {
    read()
    defer { unread = [] }
    return unread
  }

  private func read() {
    while case .some(.some(let buffer)) = try? channel?.readOutbound(as: ByteBuffer.self) {
      for frame in Frame.parse(Array(buffer.readableBytesView)) {
        unread.append(frame)
        guard frame.type == 1 else { continue }
        opened.append(frame.stream)
        fields[frame.stream] = decoder.decode(frame.payload)
      }
    }
  }

  var streams: [UInt32] {
    read()
    return opened
  }

  var headers: [UInt32: [String: String]] {
    read()
    return fields
  }

  /// The stream of the last call that came in.
  var lastStream: UInt32 { streams.last ?? 0 }

  /// The paths of calls that came in.
  func paths() -> [String] { streams.compactMap { headers[$0]?[":path"] } }

  func begin(_ stream: UInt32? = nil) throws {
    try send(Frame.headers(ClientSessionTests.ok, stream: stream ?? lastStream))
  }

  func message(_ bytes: [UInt8], _ stream: UInt32? = nil) throws {
    let framed = ClientStreamSessionTests.message(bytes)
    try send(Frame.data(framed, stream: stream ?? lastStream))
  }

  func end(_ code: Int, _ stream: UInt32? = nil, trailers: [(String, String)] = []) throws {
    let fields = [("grpc-status", "\(code)")] + trailers
    try send(Frame.headers(fields, end: true, stream: stream ?? lastStream))
  }

  /// An answer that is nothing but a status.
  func fail(_ code: Int, _ stream: UInt32? = nil, trailers: [(String, String)] = []) throws {
    let fields = ClientSessionTests.ok + [("grpc-status", "\(code)")] + trailers
    try send(Frame.headers(fields, end: true, stream: stream ?? lastStream))
  }

  func answer(_ stream: UInt32? = nil) throws {
    let stream = stream ?? lastStream
    try begin(stream)
    try message([42], stream)
    try end(0, stream)
  }
}

/// Reads a client's compressed headers.
final class HeaderDecoder {
  private var inflater: OpaquePointer?

  init() { nghttp2_hd_inflate_new(&inflater) }
  deinit { nghttp2_hd_inflate_del(inflater) }

  func decode(_ block: [UInt8]) -> [String: String] {
    var fields: [String: String] = [:]
    var rest = block[...]
    while true {
      var field = nghttp2_nv()
      var flags: Int32 = 0
      let used = Array(rest).withUnsafeBufferPointer {
        nghttp2_hd_inflate_hd2(inflater, &field, &flags, $0.baseAddress, $0.count, 1)
      }
      guard used >= 0 else { return [:] }
      rest = rest.dropFirst(used)
      if flags & Int32(NGHTTP2_HD_INFLATE_EMIT.rawValue) != 0 {
        let name = UnsafeBufferPointer(start: field.name, count: field.namelen)
        let value = UnsafeBufferPointer(start: field.value, count: field.valuelen)
        fields[String(decoding: name, as: UTF8.self)] = String(decoding: value, as: UTF8.self)
      }
      if flags & Int32(NGHTTP2_HD_INFLATE_FINAL.rawValue) != 0 {
        nghttp2_hd_inflate_end_headers(inflater)
        return fields
      }
    }
  }
}

extension CallMailbox {
  var code: RPCStatus.Code? { end?.status.code }
}
