internal import COpenSSL

/// Certificates, keys and rules for TLS connections: TLS 1.2 with ECDHE and AEAD, or 1.3; both sides
/// present a certificate; ALPN `h2`. Owns the `SSL_CTX`.
///
/// Sessions are not resumed: a resumed session would keep an identity past a change of the CA bundle.
public final class TLSContext: @unchecked Sendable {  // An SSL_CTX is thread-safe once configured.
  public struct Files: Sendable, Hashable {
    /// PEM: the certificate, then intermediates.
    public var certificateChain: String
    /// PEM.
    public var privateKey: String
    /// PEM: the CAs that may vouch for the other side.
    public var peerAuthorities: String

    public init(certificateChain: String, privateKey: String, peerAuthorities: String) {
      self.certificateChain = certificateChain
      self.privateKey = privateKey
      self.peerAuthorities = peerAuthorities
    }
  }

  public enum Side: Sendable { case server, client }

  /// Judges a peer whose chain was verified. Returns why it is refused, or nil.
  public typealias PeerRule = @Sendable (PeerCertificate) -> String?

  let pointer: OpaquePointer
  let peerRule: PeerRule
  let side: Side

  /// - Throws: `TLSError` when a file can't be read, or the key does not fit the certificate.
  public init(_ side: Side, _ files: Files, peerRule: @escaping PeerRule = { _ in nil }) throws {
    ERR_clear_error()
    guard let context = SSL_CTX_new(side == .server ? TLS_server_method() : TLS_client_method())
    else { throw TLSError.drainingQueue("cannot make a TLS context") }
    pointer = context
    self.peerRule = peerRule
    self.side = side
    try restrictProtocol()
    try load(files)
    installCallbacks()
  }

  deinit { SSL_CTX_free(pointer) }

  private func restrictProtocol() throws {
    SSL_CTX_ctrl(pointer, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
    // 112 bits: no RSA below 2048, no SHA-1 signatures. The default depends on how OpenSSL was built.
    SSL_CTX_set_security_level(pointer, 2)
    let options =
      TENANCY_SSL_OP_NO_COMPRESSION | TENANCY_SSL_OP_NO_RENEGOTIATION | TENANCY_SSL_OP_NO_TICKET
      | TENANCY_SSL_OP_CIPHER_SERVER_PREFERENCE
    SSL_CTX_set_options(pointer, options)
    let suites =
      "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
      + "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
      + "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    guard SSL_CTX_set_cipher_list(pointer, suites) == 1,
      SSL_CTX_ctrl(pointer, SSL_CTRL_SET_GROUPS_LIST, 0, Self.groups()) == 1
    else { throw TLSError.drainingQueue("cannot restrict the cipher suites") }
    SSL_CTX_ctrl(pointer, SSL_CTRL_SET_SESS_CACHE_MODE, Int(SSL_SESS_CACHE_OFF), nil)
    SSL_CTX_set_num_tickets(pointer, 0)
    // Idle connections give their 32 KiB of record buffers back; what is sent is the chain as
    // configured, and not what the peer's CAs would add to it.
    SSL_CTX_ctrl(
      pointer, SSL_CTRL_MODE, Int(SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN), nil)
  }

  /// Key-exchange groups, as the mutable C string that SSL_CTX_ctrl wants but does not change.
  private static func groups() -> UnsafeMutableRawPointer {
    let literal: StaticString = "X25519:P-256:P-384"
    return UnsafeMutableRawPointer(mutating: literal.utf8Start)
  }

  private func load(_ files: Files) throws {
    guard SSL_CTX_use_certificate_chain_file(pointer, files.certificateChain) == 1 else {
      throw TLSError.drainingQueue("cannot use the certificate \(files.certificateChain)")
    }
    guard SSL_CTX_use_PrivateKey_file(pointer, files.privateKey, SSL_FILETYPE_PEM) == 1,
      SSL_CTX_check_private_key(pointer) == 1
    else { throw TLSError.drainingQueue("cannot use the private key \(files.privateKey)") }
    guard SSL_CTX_load_verify_locations(pointer, files.peerAuthorities, nil) == 1 else {
      throw TLSError.drainingQueue("cannot use the CA bundle \(files.peerAuthorities)")
    }
    if side == .server {
      // Tells clients which CAs are acceptable.
      SSL_CTX_set_client_CA_list(pointer, SSL_load_client_CA_file(files.peerAuthorities))
    }
  }

  private func installCallbacks() {
    SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
    SSL_CTX_set_cert_verify_callback(pointer, { store, _ in TLSEngine.verify(store) }, nil)
    if side == .server {
      SSL_CTX_set_alpn_select_cb(pointer, ALPN.select, nil)
    } else {
      _ = ALPN.http2.withUnsafeBufferPointer {
        SSL_CTX_set_alpn_protos(pointer, $0.baseAddress, UInt32($0.count))
      }
    }
  }
}

/// Application-layer protocol negotiation (RFC 7301).
enum ALPN {
  /// `h2` with its length, as it is on the wire.
  static let http2: [UInt8] = [2] + Array("h2".utf8)

  /// Takes `h2` or ends the handshake with no_application_protocol.
  static let select: SSL_CTX_alpn_select_cb_func = { _, out, outLength, offered, length, _ in
    guard let out, let outLength, let offered else { return SSL_TLSEXT_ERR_ALERT_FATAL }
    var at = 0
    while at < Int(length) {
      let count = Int(offered[at])
      guard at + 1 + count <= Int(length) else { break }
      if count == 2, offered[at + 1] == UInt8(ascii: "h"), offered[at + 2] == UInt8(ascii: "2") {
        out.pointee = offered + at + 1
        outLength.pointee = 2
        return SSL_TLSEXT_ERR_OK
      }
      at += 1 + count
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL
  }
}
