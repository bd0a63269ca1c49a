import NIOCore

@testable import TenancyRPCFraming
@testable import TenancyRPCClient
@testable import TenancyRPCCore
@testable import TenancyRPCServer

extension ConnectionMemory {
  /// For an engine that is alone.
  convenience init(_ limits: ServerLimits) {
    self.init(ServerMemory(limits), peer: .user(1), limits: limits) { _, _ in }
  }
}

/// All bytes that an engine has to send.
private func everything(_ produce: (inout ByteBuffer) -> EngineOutcome) -> [UInt8] {
  var buffer = ByteBuffer()
  while true {
    let before = buffer.readableBytes
    var part = ByteBuffer()
    guard case .proceed = produce(&part) else { return [] }
    buffer.writeBuffer(&part)
    if buffer.readableBytes == before { return Array(buffer.readableBytesView) }
  }
}

extension ClientEngine {
  func output() -> [UInt8] { everything { produce(into: &$0) } }

  @discardableResult
  func feed(_ bytes: [UInt8]) -> Bool {
    let outcome = bytes.withUnsafeBytes { receive($0) }
    tellObservers()
    if case .proceed = outcome { return true }
    return false
  }

  func tellObservers() {
    for stream in settle() { stream.observer?.streamChanged(stream) }
  }
}

extension HTTP2ServerSession {
  func output() -> [UInt8] { everything { produce(into: &$0) } }

  /// Answers what is ready as an echo would. Returns how many calls there were.
  func serveEcho(_ visit: (HTTP2Stream) -> Void = { _ in }) -> Int {
    var served = 0
    while let stream = nextReady() {
      guard stream.awaitsResponse else { continue }
      served += 1
      visit(stream)
      switch stream.refusal {
      case .status(let status): fail(stream, status)
      case .http(let status): fail(stream, http: status)
      case nil:
        do throws(RPCStatus) {
          try unpack(stream)
          let message = try stream.message()
          let target = stream.beginReply(count: message.count)
          if let base = message.baseAddress {
            target.copyMemory(from: base, byteCount: message.count)
          }
          succeed(stream)
        } catch {
          fail(stream, error)
        }
      }
    }
    return served
  }
}

/// One call of a client engine, and what came of it.
final class SessionCall: ClientStreamObserver {
  private(set) var headers: [RPCMetadata] = []
  private(set) var messages: [[UInt8]] = []
  private(set) var ends: [StreamEnd] = []
  private(set) var stream: ClientStream?

  /// - Parameter message: nil leaves the request open, without any message.
  init(
    _ client: some ClientEngine, _ message: [UInt8]? = [1, 2, 3], kind: CallKind = .unary,
    path: String = "/test.Echo/Inline", previousAttempts: Int = 0
  ) throws {
    var head = try RequestHead(
      path: path, kind: kind, metadata: ["x-a": "b"], limits: ClientLimits())
    head.previousAttempts = previousAttempts
    let stream = client.open(head, timeout: 5_000_000_000)
    stream.observer = self
    self.stream = stream
    guard let message else { return }
    client.send(OutboundMessage(bytes: message), on: stream)
    client.finishRequests(of: stream)
  }

  func streamChanged(_ stream: ClientStream) {
    for event in stream.takeEvents() {
      switch event {
      case .headers(let metadata): headers.append(metadata)
      case .message(let message): messages.append(message.bytes)
      case .ended(let end): ends.append(end)
      }
    }
  }

  /// What a caller of a unary call would get.
  var results: [Result<[UInt8], RPCStatus>] {
    ends.map { end in
      guard end.status.code == .ok, let message = messages.first else {
        return .failure(end.status)
      }
      return .success(message)
    }
  }

  var code: RPCStatus.Code? { ends.first?.status.code }

  var isSent: Bool? { (stream as? HTTP2ClientStream)?.isSent }
}

/// Frames as a server might write them, well-formed or not.
enum Frame {
  static let settings = raw(type: 4, stream: 0, [])

  static func raw(type: UInt8, flags: UInt8 = 0, stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
    bigEndian(UInt32(payload.count)).dropFirst() + [type, flags] + bigEndian(stream) + payload
  }

  struct Parsed {
    let type: UInt8
    let flags: UInt8
    let stream: UInt32
    let payload: [UInt8]
  }

  /// The frames in what one side wrote; the client's preface is skipped.
  static func parse(_ bytes: [UInt8]) -> [Parsed] {
    var rest = bytes[...]
    if rest.starts(with: Array("PRI * HTTP/2.0".utf8)) { rest = rest.dropFirst(24) }
    var frames: [Parsed] = []
    while rest.count >= 9 {
      let head = Array(rest.prefix(9))
      let length = head[0..<3].reduce(0) { $0 << 8 | Int($1) }
      frames.append(
        Parsed(
          type: head[3], flags: head[4],
          stream: head[5..<9].reduce(0) { $0 << 8 | UInt32($1) },
          payload: Array(rest.dropFirst(9).prefix(length))))
      rest = rest.dropFirst(9 + length)
    }
    return frames
  }

  static func window(stream: UInt32, _ bytes: UInt32) -> [UInt8] {
    raw(type: 8, stream: stream, bigEndian(bytes))
  }

  /// Field values of up to 126 bytes, without compression.
  static func headers(
    _ fields: [(String, String)], end: Bool = false, stream: UInt32 = 1
  ) -> [UInt8] {
    var block: [UInt8] = []
    for (name, value) in fields {
      block += [0, UInt8(name.utf8.count)] + name.utf8 + [UInt8(value.utf8.count)] + value.utf8
    }
    return raw(type: 1, flags: end ? 5 : 4, stream: stream, block)
  }

  static func data(_ bytes: [UInt8], end: Bool = false, stream: UInt32 = 1) -> [UInt8] {
    raw(type: 0, flags: end ? 1 : 0, stream: stream, bytes)
  }

  static func reset(_ code: UInt32, stream: UInt32 = 1) -> [UInt8] {
    raw(type: 3, stream: stream, bigEndian(code))
  }

  static func goAway(last: UInt32) -> [UInt8] {
    raw(type: 7, stream: 0, bigEndian(last) + bigEndian(0))
  }

  static func bigEndian(_ number: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
  }
}
