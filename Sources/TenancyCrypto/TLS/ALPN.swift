internal import CTenancyOpenSSL

/// Application-layer protocol negotiation (RFC 7301).
enum ALPN {
  /// As it is on the wire.
  static func encode(_ protocols: [ApplicationProtocol]) -> [UInt8] {
    protocols.flatMap { [UInt8($0.rawValue.utf8.count)] + Array($0.rawValue.utf8) }
  }

  /// Takes the first of ours that the client offers, or ends the handshake with
  /// no_application_protocol.
  static let select: SSL_CTX_alpn_select_cb_func = { ssl, out, outLength, offered, length, _ in
    guard let out, let outLength, let offered, let engine = TLSEngine.of(ssl) else {
      return SSL_TLSEXT_ERR_ALERT_FATAL
    }
    let wanted = engine.snapshot.configuration.protocols(.server)
    // Whoever speaks only what needs no negotiation takes no part in it.
    if wanted.isEmpty { return SSL_TLSEXT_ERR_NOACK }
    let names = Self.names(UnsafeBufferPointer(start: offered, count: Int(length)))
    for wanted in wanted {
      guard let name = names.first(where: { $0.elementsEqual(wanted.rawValue.utf8) }) else {
        continue
      }
      // The name stays where it is, in the client's offer.
      out.pointee = name.baseAddress
      outLength.pointee = UInt8(name.count)
      return SSL_TLSEXT_ERR_OK
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL
  }

  /// `select` is not asked when the client offers nothing at all. Versions that are too old are left for
  /// OpenSSL to refuse.
  static let require: SSL_client_hello_cb_fn = { ssl, alert, _ in
    guard let engine = TLSEngine.of(ssl),
      engine.snapshot.configuration.requiresApplicationProtocol,
      has(ssl, TLSEXT_TYPE_supported_versions)
        || SSL_client_hello_get0_legacy_version(ssl) >= UInt32(TLS1_2_VERSION),
      !has(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation)
    else { return SSL_CLIENT_HELLO_SUCCESS }
    engine.refuse("no application protocol was offered")
    alert?.pointee = Int32(TLS1_AD_NO_APPLICATION_PROTOCOL)
    return SSL_CLIENT_HELLO_ERROR
  }

  private static func has(_ ssl: OpaquePointer?, _ type: Int32) -> Bool {
    SSL_client_hello_get0_ext(ssl, UInt32(type), nil, nil) == 1
  }

  private static func names(
    _ offered: UnsafeBufferPointer<UInt8>
  ) -> [UnsafeBufferPointer<UInt8>] {
    var names: [UnsafeBufferPointer<UInt8>] = []
    var at = 0
    while at < offered.count {
      let end = at + 1 + Int(offered[at])
      guard end <= offered.count else { break }
      names.append(UnsafeBufferPointer(rebasing: offered[at + 1..<end]))
      at = end
    }
    return names
  }
}
