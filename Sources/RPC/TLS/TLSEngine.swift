internal import COpenSSL
internal import NIOCore

/// One TLS connection over memory BIOs: bytes in, bytes out, no I/O. Owns the `SSL`. Confined to one
/// event loop; every call leaves OpenSSL's error queue empty.
final class TLSEngine {
  /// What a finished handshake says of the other side.
  struct Session {
    let peer: PeerCertificate?
  }

  enum Progress {
    case needsMore
    case done(Session)
  }

  enum ReadResult {
    case data
    case closed
  }

  private let context: TLSContext
  private let ssl: OpaquePointer
  /// Ciphertext from the peer; owned by `ssl`.
  private let incoming: OpaquePointer
  /// Ciphertext for the peer; owned by `ssl`.
  private let outgoing: OpaquePointer
  /// Why the verification callback refused the peer.
  private var refusal: String?

  init(_ context: TLSContext, side: TLSContext.Side, serverName: String? = nil) throws {
    ERR_clear_error()
    guard let ssl = SSL_new(context.pointer) else {
      throw TLSError.drainingQueue("cannot make a TLS connection")
    }
    guard let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem()) else {
      SSL_free(ssl)
      throw TLSError.drainingQueue("cannot make memory buffers")
    }
    self.context = context
    self.ssl = ssl
    self.incoming = incoming
    self.outgoing = outgoing
    SSL_set_bio(ssl, incoming, outgoing)
    SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
    switch side {
    case .server: SSL_set_accept_state(ssl)
    case .client:
      SSL_set_connect_state(ssl)
      if let serverName { try expect(serverName) }
    }
  }

  deinit { SSL_free(ssl) }

  /// The client checks that the server's certificate is for this DNS name or address.
  private func expect(_ name: String) throws {
    let parameters = SSL_get0_param(ssl)
    if X509_VERIFY_PARAM_set1_ip_asc(parameters, name) == 1 { return }
    ERR_clear_error()
    // SSL_ctrl copies the name.
    let named = name.withCString {
      SSL_ctrl(
        ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name),
        UnsafeMutableRawPointer(mutating: $0))
    }
    guard named == 1, SSL_set1_host(ssl, name) == 1 else {
      throw TLSError.drainingQueue("cannot expect the server name \(name)")
    }
  }

  // MARK: Bytes

  func receive(_ bytes: UnsafeRawBufferPointer) {
    BIO_write(incoming, bytes.baseAddress, Int32(bytes.count))
  }

  /// Moves pending ciphertext to `buffer`.
  func takeOutput(into buffer: inout ByteBuffer) {
    let pending = BIO_ctrl_pending(outgoing)
    guard pending > 0 else { return }
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: pending) { space in
      max(0, Int(BIO_read(outgoing, space.baseAddress, Int32(pending))))
    }
  }

  var hasOutput: Bool { BIO_ctrl_pending(outgoing) > 0 }

  func handshake() throws(TLSError) -> Progress {
    ERR_clear_error()  // SSL_get_error looks at the thread's queue.
    let result = SSL_do_handshake(ssl)
    if result == 1 {
      // The callback that selects a protocol is not asked when the client offers none at all.
      guard negotiatedHTTP2 else {
        throw TLSError("no application protocol: h2 was not negotiated")
      }
      return .done(Session(peer: peerCertificate()))
    }
    switch SSL_get_error(ssl, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE:
      return .needsMore
    default:
      let error = TLSError.drainingQueue("TLS handshake failed")
      throw refusal.map { TLSError("peer refused: \($0)") } ?? error
    }
  }

  private var negotiatedHTTP2: Bool {
    var name: UnsafePointer<UInt8>?
    var length: UInt32 = 0
    SSL_get0_alpn_selected(ssl, &name, &length)
    return UnsafeBufferPointer(start: name, count: Int(length)).elementsEqual(
      ALPN.http2.dropFirst())
  }

  /// Decrypts what has come in, to the end of `buffer`.
  func read(into buffer: inout ByteBuffer) throws(TLSError) -> ReadResult {
    while true {
      var failure: Int32 = 0
      let count = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 16 * 1024) { space in
        ERR_clear_error()
        let read = SSL_read(ssl, space.baseAddress, Int32(clamping: space.count))
        if read <= 0 { failure = SSL_get_error(ssl, read) }
        return max(0, Int(read))
      }
      if count > 0 {
        if SSL_pending(ssl) == 0, BIO_ctrl_pending(incoming) == 0 { return .data }
        continue
      }
      switch failure {
      case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .data
      case SSL_ERROR_ZERO_RETURN: return .closed
      default: throw TLSError.drainingQueue("TLS read failed")
      }
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(TLSError) {
    guard bytes.count > 0 else { return }
    let written = SSL_write(ssl, bytes.baseAddress, Int32(clamping: bytes.count))
    guard written == bytes.count else { throw TLSError.drainingQueue("TLS write failed") }
  }

  /// Queues close_notify.
  func close() {
    SSL_shutdown(ssl)
    ERR_clear_error()
  }

  // MARK: Verification

  /// OpenSSL's chain verification, then the context's own rule. Called within the handshake.
  static func verify(_ store: OpaquePointer?) -> Int32 {
    guard let store,
      let ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
      let data = SSL_get_ex_data(OpaquePointer(ssl), 0)
    else { return 0 }
    // The engine owns the SSL whose handshake is under way.
    let engine = Unmanaged<TLSEngine>.fromOpaque(data).takeUnretainedValue()
    guard X509_verify_cert(store) == 1 else {
      let code = X509_STORE_CTX_get_error(store)
      engine.refusal = String(cString: X509_verify_cert_error_string(Int(code)))
      return 0
    }
    guard let leaf = X509_STORE_CTX_get0_cert(store) else { return 0 }
    switch CertificateReader.read(leaf) {
    case .failure(let error):
      engine.refusal = error.description
    case .success(let certificate):
      engine.refusal = engine.context.peerRule(certificate)
    }
    if engine.refusal == nil { return 1 }
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED)
    return 0
  }

  private func peerCertificate() -> PeerCertificate? {
    guard let leaf = SSL_get1_peer_certificate(ssl) else { return nil }
    defer { X509_free(leaf) }
    guard case .success(let certificate) = CertificateReader.read(leaf) else { return nil }
    return certificate
  }
}
