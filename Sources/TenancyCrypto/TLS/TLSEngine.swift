internal import CTenancyOpenSSL
internal import NIOCore

/// One TLS connection, without I/O: bytes in, bytes out. Owns the `SSL`. Confined to one
/// event loop; every call leaves OpenSSL's error queue empty.
package final class TLSEngine {
  /// What a finished handshake says of the other side.
  package struct Session {
    /// Nil: it presented no certificate.
    package let peer: PeerCredential?
    /// Nil only where none is required.
    package let applicationProtocol: ApplicationProtocol?
    /// Whether the peer was verified when the session was made, and not now.
    let isResumed: Bool
  }

  enum Progress {
    case needsMore
    case done(Session)
  }

  enum ReadResult {
    case data
    /// The peer has said that it sends no more (close_notify); it may still read.
    case closed
  }

  /// Plain text of one record (RFC 8446 §5.1).
  private static let maximumRecord = 16 * 1024
  /// What a record adds to it: header, type, tag; in TLS 1.2 a nonce.
  private static let recordOverhead = 32
  /// Room that is made for plain text, at least.
  private static let minimumRead = 512

  private let context: TLSContext
  let snapshot: TLSSnapshot
  let side: TLSContext.Side
  private let ssl: OpaquePointer
  /// Ciphertext from the peer and for it.
  private let wire = TLSWire()
  /// What the server's certificate must be for.
  private let serverName: String?
  /// SHA-256 of keys of which one has to be in the server's chain; empty: any may be there.
  private let pins: [[UInt8]]
  /// Why a callback refused the peer.
  private var refusal: String?
  private var verified: VerifiedPeer?
  /// The peer of the session that was found for resumption.
  private var resumable: VerifiedPeer?
  private var isEstablished = false
  private var keyUpdates: KeyUpdateBudget
  private var smallRecords: SmallRecordBudget

  /// - Parameters:
  ///   - serverName: a DNS name or an address; for a client.
  ///   - pins: SHA-256 of keys (SubjectPublicKeyInfo) of which one has to be in the peer's verified chain; empty: any may
  ///     be there. The context has `pinsKeys`, or such a peer is refused.
  package init(
    _ context: TLSContext, serverName: String? = nil, pins: [[UInt8]] = []
  ) throws(TLSError) {
    ERR_clear_error()
    let snapshot = context.snapshot
    guard let ssl = SSL_new(snapshot.pointer) else {
      throw .drainingQueue("cannot make a TLS connection")
    }
    guard let bio = wire.makeBIO() else {
      SSL_free(ssl)
      throw .drainingQueue("cannot make a TLS connection's wire")
    }
    self.context = context
    self.snapshot = snapshot
    side = context.side
    self.ssl = ssl
    self.serverName = serverName
    self.pins = pins
    keyUpdates = KeyUpdateBudget(snapshot.configuration.limits)
    smallRecords = SmallRecordBudget(snapshot.configuration.limits)
    SSL_set_bio(ssl, bio, bio)  // Takes over our reference.
    SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
    switch side {
    case .server: SSL_set_accept_state(ssl)
    case .client:
      SSL_set_connect_state(ssl)
      if let serverName {
        try announce(serverName)
        resume(serverName)
      }
    }
  }

  deinit {
    // A connection that ends without close_notify must not spoil its session for others.
    if isEstablished { SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN) }
    SSL_free(ssl)
    ERR_clear_error()
  }

  /// Offers the server the last session with it. One that it does not know leads to a full handshake.
  private func resume(_ serverName: String) {
    guard let found = snapshot.sessions.take(server: serverName, by: snapshot.trust) else { return }
    defer { SSL_SESSION_free(found.session) }  // SSL_set_session makes a reference of its own.
    if SSL_set_session(ssl, found.session) == 1 { resumable = found.peer }
    ERR_clear_error()
  }

  /// Server name indication (RFC 6066 §3), which is for names only.
  private func announce(_ name: String) throws(TLSError) {
    if let address = a2i_IPADDRESS(name) {
      ASN1_OCTET_STRING_free(address)
      return
    }
    ERR_clear_error()
    // SSL_ctrl copies the name.
    let named = name.withCString {
      SSL_ctrl(
        ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name),
        UnsafeMutableRawPointer(mutating: $0))
    }
    guard named == 1 else { throw .drainingQueue("cannot expect the server name \(name)") }
  }

  // MARK: Bytes

  /// Takes ciphertext, for the next `handshake` or `read`.
  func receive(_ bytes: ByteBuffer) { wire.receive(bytes) }

  /// Pending ciphertext; nil: there is none.
  func takeOutput() -> ByteBuffer? { wire.takeOutput() }

  var hasOutput: Bool { wire.hasOutput }

  func handshake() throws(TLSError) -> Progress {
    ERR_clear_error()  // SSL_get_error looks at the thread's queue.
    let result = SSL_do_handshake(ssl)
    if result == 1 { return .done(try finish()) }
    switch SSL_get_error(ssl, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE:
      return .needsMore
    default:
      let error = TLSError.drainingQueue("TLS handshake failed")
      throw refusal.map { TLSError("\(refused): \($0)", code: .peerRefused) } ?? error
    }
  }

  private var refused: String {
    side == .client ? "the server's certificate is refused" : "peer refused"
  }

  private func finish() throws(TLSError) -> Session {
    defer { ERR_clear_error() }
    let negotiated = selectedProtocol()
    guard negotiated != nil || !snapshot.configuration.requiresApplicationProtocol else {
      throw TLSError("no application protocol was negotiated")
    }
    let isResumed = SSL_session_reused(ssl) == 1
    let peer = isResumed ? resumable : verified
    try check(peer)
    // OpenSSL has refused such a client already; to be anonymous must never be the way in.
    if side == .server, snapshot.configuration.clientAuthentication == .required, peer == nil {
      throw TLSError("a client without a certificate", code: .peerRefused)
    }
    isEstablished = true
    SSL_set_msg_callback(ssl, Self.countMessage)
    let credential = peer.map {
      PeerCredential($0, context: context, judgedBy: snapshot)
    }
    return Session(
      peer: credential, applicationProtocol: negotiated, isResumed: isResumed)
  }

  /// Whoever we take the peer for is the one whose certificate OpenSSL has.
  private func check(_ peer: VerifiedPeer?) throws(TLSError) {
    var digest = [UInt8](repeating: 0, count: 32)
    guard let certificate = SSL_get0_peer_certificate(ssl) else {
      guard peer == nil else { throw TLSError("a peer without its certificate") }
      return
    }
    guard let peer, X509_digest(certificate, EVP_sha256(), &digest, nil) == 1,
      peer.certificate.fingerprint == digest
    else { throw TLSError("the certificate is not the one that was verified") }
  }

  private func selectedProtocol() -> ApplicationProtocol? {
    var name: UnsafePointer<UInt8>?
    var length: UInt32 = 0
    SSL_get0_alpn_selected(ssl, &name, &length)
    let bytes = UnsafeBufferPointer(start: name, count: Int(length))
    return ApplicationProtocol(rawValue: String(decoding: bytes, as: UTF8.self))
  }

  /// Decrypts what has come in, to the end of `buffer`.
  func read(into buffer: inout ByteBuffer) throws(TLSError) -> ReadResult {
    let result = try decrypt(into: &buffer)
    // One answer to however many KeyUpdates ask for one (RFC 8446 §4.6.3), and now: OpenSSL would wait
    // until we have something to send.
    if SSL_get_key_update_type(ssl) != SSL_KEY_UPDATE_NONE {
      SSL_do_handshake(ssl)
      ERR_clear_error()
    }
    return result
  }

  private func decrypt(into buffer: inout ByteBuffer) throws(TLSError) -> ReadResult {
    while true {
      var failure: Int32 = 0
      // Plain text is shorter than the records that it comes in.
      let size = max(
        Self.minimumRead, min(wire.pendingInput, Self.maximumRecord), Int(SSL_pending(ssl)))
      let count = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { space in
        // To clear it takes a fifth of a small record, and it is empty most often.
        if ERR_peek_error() != 0 { ERR_clear_error() }
        let read = SSL_read(ssl, space.baseAddress, Int32(clamping: space.count))
        if read <= 0 { failure = SSL_get_error(ssl, read) }
        return max(0, Int(read))
      }
      guard !keyUpdates.isExceeded else { throw TLSError("too many KeyUpdates") }
      if count > 0 {
        keyUpdates.received(count)
        let isWhole = SSL_pending(ssl) == 0
        smallRecords.received(count, isWhole: isWhole)
        guard !smallRecords.isExceeded else {
          throw TLSError("too many records that hold next to nothing")
        }
        if isWhole, wire.pendingInput == 0 { return .data }
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
    ERR_clear_error()
    let records = bytes.count / Self.maximumRecord + 1
    wire.reserveOutput(bytes.count + records * Self.recordOverhead)
    let written = SSL_write(ssl, bytes.baseAddress, Int32(clamping: bytes.count))
    guard written == bytes.count else { throw TLSError.drainingQueue("TLS write failed") }
  }

  /// Gives OpenSSL's record buffers back, 33 KiB, unless something waits in them: for between two reads.
  /// OpenSSL's own mode for that gets and frees them again for each record. Returns whether nothing waits:
  /// after a read, what waits is the beginning of a record.
  @discardableResult
  func releaseBuffers() -> Bool {
    SSL_has_pending(ssl) == 0 && SSL_free_buffers(ssl) == 1
  }

  /// Records of application data read so far.
  var recordsRead: UInt64 { smallRecords.records }

  /// Queues close_notify.
  func close() {
    SSL_shutdown(ssl)
    ERR_clear_error()
  }

  // MARK: Callbacks

  /// The engine that owns the SSL whose callback is being called.
  static func of(_ ssl: OpaquePointer?) -> TLSEngine? {
    guard let ssl, let data = SSL_get_ex_data(ssl, 0) else { return nil }
    return Unmanaged<TLSEngine>.fromOpaque(data).takeUnretainedValue()
  }

  /// Records why the handshake fails.
  func refuse(_ reason: String) { refusal = reason }

  /// Judges the peer's certificates, in place of OpenSSL's own verification.
  static func verify(_ store: OpaquePointer?) -> Int32 {
    guard let store,
      let ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
      let engine = of(OpaquePointer(ssl)), let leaf = X509_STORE_CTX_get0_cert(store)
    else { return 0 }
    let outcome = engine.snapshot.trust.judge(
      leaf: leaf, untrusted: X509_STORE_CTX_get0_untrusted(store)
    ).flatMap { peer in
      (engine.nameRefusal(leaf) ?? engine.pinRefusal(peer)).map { .failure($0) } ?? .success(peer)
    }
    switch outcome {
    case .success(let peer):
      engine.verified = peer
      // What the ticket says; the cache has its own end.
      let lifetime = engine.snapshot.sessions.lifetime(with: peer)
      SSL_SESSION_set_timeout(SSL_get_session(engine.ssl), Int(clamping: lifetime))
      X509_STORE_CTX_set_error(store, X509_V_OK)
      return 1
    case .failure(let refusal):
      engine.refuse(refusal.reason)
      X509_STORE_CTX_set_error(store, refusal.code)
      return 0
    }
  }

  private func pinRefusal(_ peer: VerifiedPeer) -> PeerRefusal? {
    guard !pins.isEmpty, !peer.keyDigests.contains(where: { pins.contains($0) }) else { return nil }
    return PeerRefusal("no certificate of its chain has a pinned key")
  }

  private func nameRefusal(_ leaf: OpaquePointer) -> PeerRefusal? {
    guard let serverName else { return nil }
    if let address = a2i_IPADDRESS(serverName) {
      ASN1_OCTET_STRING_free(address)
      let matches = X509_check_ip_asc(leaf, serverName, 0) == 1
      return matches ? nil : .name(serverName, code: X509_V_ERR_IP_ADDRESS_MISMATCH)
    }
    ERR_clear_error()
    // The subject's common name is no host name (RFC 9525 §6.3): only DNS names of the SAN count.
    let flags = UInt32(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)
    let matches = X509_check_host(leaf, serverName, serverName.utf8.count, flags, nil) == 1
    return matches ? nil : .name(serverName, code: X509_V_ERR_HOSTNAME_MISMATCH)
  }

  /// Offers a new session for resumption. Returns 1 if it is kept, with the caller's reference to it.
  static func keep(_ session: OpaquePointer?, of ssl: OpaquePointer?) -> Int32 {
    // Sessions of TLS 1.2 are not resumed: their keys would be.
    guard let session, let engine = of(ssl), SSL_version(ssl) == TLS1_3_VERSION else { return 0 }
    let peer = SSL_session_reused(ssl) == 1 ? engine.resumable : engine.verified
    guard engine.snapshot.sessions.lifetime(with: peer) > 0 else { return 0 }
    switch engine.side {
    case .server: engine.snapshot.sessions.add(session, with: peer)
    case .client:
      // Whose name nobody has looked at is not known again.
      guard let server = engine.serverName, SSL_SESSION_is_resumable(session) == 1 else { return 0 }
      engine.snapshot.sessions.add(session, with: peer, server: server)
    }
    return 1
  }

  /// The session that a client wants to resume; nil leads to a full handshake.
  static func session(
    _ name: UnsafeBufferPointer<UInt8>, for ssl: OpaquePointer?
  ) -> OpaquePointer? {
    guard let engine = of(ssl), SSL_version(ssl) == TLS1_3_VERSION,
      let found = engine.snapshot.sessions.find(name, by: engine.snapshot.trust)
    else { return nil }
    engine.resumable = found.peer
    return found.session
  }

  private static let countMessage:
    @convention(c) (
      Int32, Int32, Int32, UnsafeRawPointer?, Int, OpaquePointer?, UnsafeMutableRawPointer?
    ) -> Void = { isWritten, _, type, _, _, ssl, _ in
      guard isWritten == 0, type == SSL3_RT_HANDSHAKE else { return }
      of(ssl)?.keyUpdates.receivedMessage()
    }
}
