internal import CTenancyOpenSSL

/// A `TLSContext` as loaded at one time. Owns the `SSL_CTX`, the CAs and CRLs, and what depends on them:
/// verified chains and sessions to resume.
final class TLSSnapshot: @unchecked Sendable {  // An SSL_CTX is thread-safe once configured.
  /// 112 bits: no SHA-1 signatures, no short keys (of RSA: see `CertificateReader.hasWeakKey`). The default
  /// depends on how OpenSSL was built.
  static let securityLevel: Int32 = 2

  let pointer: OpaquePointer
  /// Newer ones have greater numbers.
  let generation: UInt64
  let configuration: TLSContext.Configuration
  let files: TLSFiles
  let trust: PeerTrust
  let sessions: SessionCache
  private let side: TLSContext.Side

  init(
    _ side: TLSContext.Side, _ configuration: TLSContext.Configuration, _ files: TLSFiles,
    generation: UInt64
  ) throws(TLSError) {
    ERR_clear_error()
    self.generation = generation
    self.side = side
    self.configuration = configuration
    self.files = files
    trust = try PeerTrust(
      configuration, files.stores, peers: side == .server ? .client : .server)
    sessions = SessionCache(configuration)
    let method = side == .server ? TLS_server_method() : TLS_client_method()
    guard let context = SSL_CTX_new_ex(LeanLibrary.context, nil, method) else {
      throw .drainingQueue("cannot make a TLS context")
    }
    pointer = context
    try restrictProtocol()
    try loadIdentity()
    try authenticatePeers()
    try negotiateProtocols()
    keepSessions()
  }

  deinit { SSL_CTX_free(pointer) }

  /// Connections keep the snapshot that they were made with, but not what a newer one has as well.
  func retire() {
    sessions.retire()
    trust.retire()
  }

  private func restrictProtocol() throws(TLSError) {
    SSL_CTX_ctrl(pointer, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
    SSL_CTX_set_security_level(pointer, Self.securityLevel)
    // With NO_TICKET, TLS 1.3 tickets are names of sessions that we keep.
    let options =
      TENANCY_SSL_OP_NO_COMPRESSION | TENANCY_SSL_OP_NO_RENEGOTIATION | TENANCY_SSL_OP_NO_TICKET
      | TENANCY_SSL_OP_CIPHER_SERVER_PREFERENCE
    SSL_CTX_set_options(pointer, options)
    let suites =
      "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
      + "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
      + "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    // AES-128 first, as for 1.2: it is fast, and its SHA-256 has instructions of its own.
    let newerSuites =
      "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
    guard SSL_CTX_set_cipher_list(pointer, suites) == 1,
      SSL_CTX_set_ciphersuites(pointer, newerSuites) == 1,
      restrict(SSL_CTRL_SET_GROUPS_LIST, "X25519:P-256:P-384"),
      // No SHA-1 and no SHA-224, of ours and of clients.
      restrict(SSL_CTRL_SET_SIGALGS_LIST, Self.signatures),
      restrict(SSL_CTRL_SET_CLIENT_SIGALGS_LIST, Self.signatures)
    else { throw .drainingQueue("cannot restrict the algorithms") }
    // What is sent is the chain as configured, and not what the peer's CAs would add to it.
    SSL_CTX_ctrl(pointer, SSL_CTRL_MODE, Int(SSL_MODE_NO_AUTO_CHAIN), nil)
  }

  private static let signatures: StaticString = """
    ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:\
    rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:\
    rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512
    """

  /// Sets a list of names. SSL_CTX_ctrl wants them mutable, but does not change them.
  private func restrict(_ setting: Int32, _ names: StaticString) -> Bool {
    SSL_CTX_ctrl(pointer, setting, 0, UnsafeMutableRawPointer(mutating: names.utf8Start)) == 1
  }

  private func loadIdentity() throws(TLSError) {
    guard let own = files.chain.first, let key = files.key else { return }
    let path = configuration.certificateChain ?? ""
    let keyPath = configuration.privateKey ?? ""
    guard SSL_CTX_use_certificate(pointer, own.pointer) == 1 else {
      throw .drainingQueue("cannot use the certificate \(path)", code: .configuration)
    }
    for intermediate in files.chain.dropFirst() {
      // Takes over a reference.
      X509_up_ref(intermediate.pointer)
      guard
        SSL_CTX_ctrl(pointer, SSL_CTRL_CHAIN_CERT, 0, UnsafeMutableRawPointer(intermediate.pointer))
          == 1
      else {
        X509_free(intermediate.pointer)
        throw .drainingQueue("cannot use the certificate \(path)", code: .configuration)
      }
    }
    guard SSL_CTX_use_PrivateKey(pointer, key) == 1, SSL_CTX_check_private_key(pointer) == 1 else {
      throw .drainingQueue("cannot use the private key \(keyPath)", code: .configuration)
    }
  }

  private func authenticatePeers() throws(TLSError) {
    let mode =
      switch (side, configuration.clientAuthentication) {
      case (.client, _): SSL_VERIFY_PEER
      case (.server, .required): SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
      case (.server, .optional): SSL_VERIFY_PEER
      case (.server, .none): SSL_VERIFY_NONE
      }
    SSL_CTX_set_verify(pointer, mode, nil)
    SSL_CTX_set_cert_verify_callback(pointer, { store, _ in TLSEngine.verify(store) }, nil)
    guard side == .server, mode != SSL_VERIFY_NONE else { return }
    // Tells clients which CAs are acceptable.
    for authority in trust.authorities {
      guard SSL_CTX_add_client_CA(pointer, authority.pointer) == 1 else {
        throw .drainingQueue("cannot name the CAs", code: .configuration)
      }
    }
  }

  private func negotiateProtocols() throws(TLSError) {
    switch side {
    case .server:
      SSL_CTX_set_alpn_select_cb(pointer, ALPN.select, nil)
      SSL_CTX_set_client_hello_cb(pointer, ALPN.require, nil)
    case .client:
      let offer = ALPN.encode(configuration.protocols(.client))
      let failed = offer.withUnsafeBufferPointer {
        SSL_CTX_set_alpn_protos(pointer, $0.baseAddress, UInt32($0.count))
      }
      guard failed == 0 else { throw .drainingQueue("cannot offer protocols") }
    }
  }

  private func keepSessions() {
    let isKept = configuration.limits.sessionLifetime >= .seconds(1)
    // One ticket: each costs, and a client needs one.
    SSL_CTX_set_num_tickets(pointer, isKept && side == .server ? 1 : 0)
    guard isKept else {
      SSL_CTX_ctrl(pointer, SSL_CTRL_SET_SESS_CACHE_MODE, Int(SSL_SESS_CACHE_OFF), nil)
      return
    }
    // Found in this snapshot's cache only.
    let mode = side == .server ? SSL_SESS_CACHE_SERVER : SSL_SESS_CACHE_CLIENT
    SSL_CTX_ctrl(
      pointer, SSL_CTRL_SET_SESS_CACHE_MODE, Int(mode | SSL_SESS_CACHE_NO_INTERNAL), nil)
    SSL_CTX_sess_set_new_cb(pointer) { ssl, session in TLSEngine.keep(session, of: ssl) }
    guard side == .server else { return }
    // Sessions with verified clients need one.
    let name = Array("tenancy".utf8)
    SSL_CTX_set_session_id_context(pointer, name, UInt32(name.count))
    SSL_CTX_set_timeout(pointer, Int(clamping: sessions.lifetime(with: nil)))
    SSL_CTX_sess_set_get_cb(pointer) { ssl, name, count, isShared in
      isShared?.pointee = 0  // `find` has made a reference for OpenSSL.
      return TLSEngine.session(UnsafeBufferPointer(start: name, count: Int(count)), for: ssl)
    }
  }
}
