import CTenancyOpenSSL
import Foundation
import Synchronization

@testable import TenancyCrypto
@testable import TenancyRPCClient
@testable import TenancyRPCServer

/// A blocking TLS client over TCP.
final class TLSSocket {
  private let context: OpaquePointer
  private let ssl: OpaquePointer

  init(
    _ target: RPCChannel.Target, _ files: TLSContext.Configuration,
    offering protocols: [ApplicationProtocol] = [.http2]
  ) throws {
    guard case .tcp(let host, let port, _) = target,
      let context = SSL_CTX_new(TLS_client_method()),
      let ssl = SSL_new(context), let connection = BIO_new_connect("\(host):\(port)")
    else { throw TestPKI.Failure() }
    self.context = context
    self.ssl = ssl
    SSL_use_certificate_chain_file(ssl, files.certificateChain)
    SSL_use_PrivateKey_file(ssl, files.privateKey, SSL_FILETYPE_PEM)
    let offer = ALPN.encode(protocols)
    SSL_set_alpn_protos(ssl, offer, UInt32(offer.count))
    SSL_set_bio(ssl, connection, connection)
    guard SSL_connect(ssl) == 1 else { throw TestPKI.Failure() }
  }

  deinit {
    SSL_free(ssl)
    SSL_CTX_free(context)
  }

  func send(_ bytes: [UInt8]) { SSL_write(ssl, bytes, Int32(bytes.count)) }

  func sendCloseNotify() { SSL_shutdown(ssl) }

  /// Waits for `count` bytes.
  func receive(exactly count: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      var rest = [UInt8](repeating: 0, count: count - bytes.count)
      let got = SSL_read(ssl, &rest, Int32(rest.count))
      guard got > 0 else { throw TestPKI.Failure() }
      bytes += rest.prefix(Int(got))
    }
    return bytes
  }

  /// Until the peer closes.
  func readAll() -> [UInt8] {
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = SSL_read(ssl, &buffer, Int32(buffer.count))
      guard count > 0 else { return all }
      all += buffer.prefix(Int(count))
    }
  }
}

/// A delegate that keeps what happens.
final class EventLog: Sendable {
  let delegate: PlainDelegate
  private let stream: AsyncStream<ServerEvent>

  init() {
    let (stream, continuation) = AsyncStream<ServerEvent>.makeStream()
    self.stream = stream
    delegate = PlainDelegate { continuation.yield($0) }
  }

  /// Connections accepted so far.
  var opened: Int { delegate.opened }

  /// The next event of that kind.
  func next(_ kind: ServerEvent.Kind) async -> ServerEvent? {
    for await event in stream where event.kind == kind { return event }
    return nil
  }
}
