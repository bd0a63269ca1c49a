import CTenancyOpenSSL
import NIOCore

@testable import TenancyCrypto

/// A TLS client by OpenSSL alone, with settings that ours does not have, against a `TLSEngine`.
final class RawTLSClient {
  struct Options {
    var alpn: [String] = ["h2"]
    var maximumVersion = TLS1_3_VERSION
    var minimumVersion = TLS1_2_VERSION
    var hasCertificate = true
  }

  /// A session to be resumed.
  final class Ticket {
    let pointer: OpaquePointer
    fileprivate init(_ pointer: OpaquePointer) { self.pointer = pointer }
    deinit { SSL_SESSION_free(pointer) }
  }

  let server: TLSEngine
  let ssl: OpaquePointer
  private let context: OpaquePointer
  private let incoming: OpaquePointer
  private let outgoing: OpaquePointer
  /// What the server sent, one for each ticket.
  private(set) var tickets: [Ticket] = []
  private(set) var serverResult: Result<TLSEngine.Session, TLSError>?
  /// The number of the alert that ended the handshake.
  private(set) var alert: Int32?
  private(set) var isDone = false

  init(
    _ server: TLSContext, _ files: TLSContext.Configuration, _ options: Options = Options(),
    resuming ticket: Ticket? = nil
  ) throws {
    self.server = try TLSEngine(server)
    guard let context = SSL_CTX_new(TLS_client_method()) else { throw TestPKI.Failure() }
    self.context = context
    SSL_CTX_set_security_level(context, 0)
    SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(options.minimumVersion), nil)
    SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(options.maximumVersion), nil)
    if options.hasCertificate {
      SSL_CTX_use_certificate_chain_file(context, files.certificateChain)
      SSL_CTX_use_PrivateKey_file(context, files.privateKey, SSL_FILETYPE_PEM)
    }
    // OpenSSL's own cache spoils its sessions when it is freed.
    let mode = SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL
    SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, Int(mode), nil)
    let offer = options.alpn.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
    if !offer.isEmpty { SSL_CTX_set_alpn_protos(context, offer, UInt32(offer.count)) }
    guard let ssl = SSL_new(context), let incoming = BIO_new(BIO_s_mem()),
      let outgoing = BIO_new(BIO_s_mem())
    else { throw TestPKI.Failure() }
    self.ssl = ssl
    self.incoming = incoming
    self.outgoing = outgoing
    SSL_set_bio(ssl, incoming, outgoing)
    SSL_set_connect_state(ssl)
    if let ticket {
      // A copy: OpenSSL's client uses each only once.
      let copy = SSL_SESSION_dup(ticket.pointer)
      SSL_set_session(ssl, copy)
      SSL_SESSION_free(copy)
    }
    SSL_CTX_sess_set_new_cb(context) { ssl, session in
      guard let session, let data = SSL_get_ex_data(ssl, 0) else { return 0 }
      Unmanaged<RawTLSClient>.fromOpaque(data).takeUnretainedValue().tickets.append(Ticket(session))
      return 1
    }
    SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
    for _ in 0..<10 { step() }
  }

  deinit {
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
    SSL_free(ssl)
    SSL_CTX_free(context)
  }

  var wasResumed: Bool { SSL_session_reused(ssl) == 1 }

  var serverSession: TLSEngine.Session {
    get throws {
      guard let serverResult else { throw TLSError("the handshake is not over") }
      return try serverResult.get()
    }
  }

  /// Sends `bytes`, or nothing, and whatever is pending.
  func send(_ bytes: [UInt8] = []) {
    if !bytes.isEmpty { SSL_write(ssl, bytes, Int32(bytes.count)) }
    toServer()
  }

  /// What the server makes of what it was sent.
  func serverRead() throws -> [UInt8] {
    var buffer = ByteBuffer()
    _ = try server.read(into: &buffer)
    return Array(buffer.readableBytesView)
  }

  private func step() {
    ERR_clear_error()
    if !isDone, alert == nil {
      isDone = SSL_do_handshake(ssl) == 1
      readAlert()
    } else if alert == nil {
      var byte: UInt8 = 0
      // Takes the tickets, or the alert of a server that refuses a TLS 1.3 client.
      SSL_read(ssl, &byte, 1)
      readAlert()
    }
    toServer()
    guard serverResult == nil else { return toClient() }
    do throws(TLSError) {
      if case .done(let session) = try server.handshake() { serverResult = .success(session) }
    } catch {
      serverResult = .failure(error)
    }
    toClient()
  }

  private func readAlert() {
    let reason = Int32(truncatingIfNeeded: ERR_peek_error()) & ERR_REASON_MASK
    if reason > SSL_AD_REASON_OFFSET, reason < SSL_AD_REASON_OFFSET + 256 {
      alert = reason - SSL_AD_REASON_OFFSET
    }
    ERR_clear_error()
  }

  private func toServer() {
    var bytes = [UInt8](repeating: 0, count: 1 << 17)
    while true {
      let count = BIO_read(outgoing, &bytes, Int32(bytes.count))
      guard count > 0 else { return }
      server.receive(ByteBuffer(bytes: bytes.prefix(Int(count))))
    }
  }

  private func toClient() {
    guard let output = server.takeOutput() else { return }
    let bytes = Array(output.readableBytesView)
    BIO_write(incoming, bytes, Int32(bytes.count))
  }
}
