import NIOCore

@testable import RPC

extension HTTP2ClientSession {
  /// All bytes that the session has to send.
  func output() -> [UInt8] {
    var buffer = ByteBuffer()
    while true {
      let before = buffer.readableBytes
      var part = ByteBuffer()
      guard case .proceed = produce(into: &part) else { return [] }
      buffer.writeBuffer(&part)
      if buffer.readableBytes == before { return Array(buffer.readableBytesView) }
    }
  }

  @discardableResult
  func feed(_ bytes: [UInt8]) -> Bool {
    let outcome = bytes.withUnsafeBytes { receive($0) }
    for stream in takeEnded() { stream.complete() }
    if case .proceed = outcome { return true }
    return false
  }
}

extension HTTP2ServerSession {
  func output() -> [UInt8] {
    var buffer = ByteBuffer()
    while true {
      let before = buffer.readableBytes
      var part = ByteBuffer()
      guard case .proceed = produce(into: &part) else { return [] }
      buffer.writeBuffer(&part)
      if buffer.readableBytes == before { return Array(buffer.readableBytesView) }
    }
  }

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

/// One call of a client session, and what came of it.
final class SessionCall {
  private(set) var results: [Result<[UInt8], RPCStatus>] = []
  private(set) var stream: HTTP2ClientStream?

  init(_ client: HTTP2ClientSession, _ message: [UInt8] = [1, 2, 3]) throws {
    let request = try ClientRequest(
      path: "/test.Echo/Inline", message: message, metadata: ["x-a": "b"], limits: client.limits)
    stream = client.submit(request, timeout: 5_000_000_000) { [weak self] in
      self?.results.append($0)
    }
  }

  var code: RPCStatus.Code? {
    guard case .failure(let status) = results.first else { return nil }
    return status.code
  }
}

/// Frames as a server might write them, well-formed or not.
enum Frame {
  static let settings = raw(type: 4, stream: 0, [])

  static func raw(type: UInt8, flags: UInt8 = 0, stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
    bigEndian(UInt32(payload.count)).dropFirst() + [type, flags] + bigEndian(stream) + payload
  }

  /// Field values of up to 126 bytes, without compression.
  static func headers(_ fields: [(String, String)], end: Bool = false) -> [UInt8] {
    var block: [UInt8] = []
    for (name, value) in fields {
      block += [0, UInt8(name.utf8.count)] + name.utf8 + [UInt8(value.utf8.count)] + value.utf8
    }
    return raw(type: 1, flags: end ? 5 : 4, stream: 1, block)
  }

  static func data(_ bytes: [UInt8], end: Bool = false) -> [UInt8] {
    raw(type: 0, flags: end ? 1 : 0, stream: 1, bytes)
  }

  static func reset(_ code: UInt32) -> [UInt8] { raw(type: 3, stream: 1, bigEndian(code)) }

  static func goAway(last: UInt32) -> [UInt8] {
    raw(type: 7, stream: 0, bigEndian(last) + bigEndian(0))
  }

  static func bigEndian(_ number: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
  }
}
