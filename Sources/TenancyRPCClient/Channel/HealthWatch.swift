internal import NIOCore
internal import TenancyRPCCore
internal import TenancyRPCFraming

/// Follows `grpc.health.v1.Health/Watch` on a subchannel's connection (the gRPC document "GRPC Health
/// Checking Protocol" and gRFC A17). Confined to the channel's event loop.
final class HealthWatch: ClientStreamObserver {
  enum Verdict: Equatable {
    /// The server has not said yet.
    case unknown
    case healthy
    case unhealthy(RPCStatus)
  }

  static let path: StaticString = "/grpc.health.v1.Health/Watch"
  private static let serving: UInt64 = 1

  private let request: [UInt8]
  private let service: String
  private let head = RequestHead(path: path, kind: .serverStreaming)
  private let loop: any EventLoop
  private let random: () -> Double
  private(set) var verdict = Verdict.unknown
  var onChange: (() -> Void)?
  private var carrier: (connection: ClientConnection, stream: ClientStream)?
  private var backoff = Backoff()
  private var timer: Scheduled<Void>?

  /// - Parameter service: the name to ask for; empty: the server as a whole.
  init(service: String, loop: any EventLoop, random: @escaping () -> Double) {
    self.service = service
    self.loop = loop
    self.random = random
    // HealthCheckRequest: field 1, a string.
    request = service.isEmpty ? [] : [0x0A] + Self.varint(service.utf8.count) + service.utf8
  }

  private static func varint(_ number: Int) -> [UInt8] {
    var rest = number
    var bytes: [UInt8] = []
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest & 0x7F) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(truncatingIfNeeded: rest)]
  }

  func start(on connection: ClientConnection) {
    stop()
    backoff.reset()
    watch(connection)
  }

  func stop() {
    timer?.cancel()
    timer = nil
    verdict = .unknown
    guard let carrier else { return }
    self.carrier = nil
    carrier.connection.cancel(carrier.stream, ClientCall.cancelled)
  }

  private func watch(_ connection: ClientConnection) {
    guard connection.acceptsCalls else { return }
    let stream = connection.open(head, timeout: nil, observer: self)
    carrier = (connection, stream)
    connection.send(OutboundMessage(bytes: request), on: stream)
    connection.finishRequests(of: stream)
    connection.settleSoon()
  }

  func streamChanged(_ stream: ClientStream) {
    guard let carrier, carrier.stream === stream else { return }
    for event in stream.takeEvents() {
      switch event {
      case .headers: break
      case .message(let message):
        carrier.connection.consumed(message.wireBytes, of: stream)
        backoff.reset()
        judge(message)
      case .ended(let end): ended(end.status, on: carrier.connection)
      }
    }
  }

  private func judge(_ message: InboundMessage) {
    guard !message.isCompressed, Self.status(message.bytes) == Self.serving else {
      let name = service.isEmpty ? "the server" : service
      return change(.unhealthy(RPCStatus(.unavailable, "\(name) says that it is not serving")))
    }
    change(.healthy)
  }

  /// HealthCheckResponse: field 1, an enum; nil if it can't be read.
  private static func status(_ bytes: [UInt8]) -> UInt64? {
    bytes.withUnsafeBytes { bytes in
      var reader = ProtobufReader(bytes)
      var found: UInt64 = 0
      do throws(ProtobufReader.Malformed) {
        while let field = try reader.next() {
          if field.number == 1, case .varint(let value) = field.value { found = value }
        }
        return found
      } catch {
        return nil
      }
    }
  }

  private func ended(_ status: RPCStatus, on connection: ClientConnection) {
    carrier = nil
    // A server without the service is taken for healthy, for as long as the connection lasts.
    if status.code == .unimplemented { return change(.healthy) }
    change(.unhealthy(RPCStatus(.unavailable, "the server's health is not known: \(status)")))
    timer = loop.assumeIsolated().scheduleTask(in: .bounded(backoff.next(random()))) {
      [self] in
      timer = nil
      watch(connection)
    }
  }

  private func change(_ new: Verdict) {
    guard verdict != new else { return }
    verdict = new
    onChange?()
  }
}
