import CTenancyOpenSSL
import NIOCore
import Testing

@testable import TenancyCrypto

@Suite("Negotiating TLS")
struct NegotiationTests {
  private let pki: TestPKI
  private let serverFiles: TLSContext.Configuration
  private let clientFiles: TLSContext.Configuration

  init() throws {
    pki = try TestPKI()
    serverFiles = try pki.save(pki.issue(.server), "server")
    clientFiles = try pki.save(pki.issue(.client()), "client")
  }

  private func server(
    _ change: (inout TLSContext.Configuration) -> Void = { _ in }
  ) throws -> TLSContext {
    var configuration = serverFiles
    change(&configuration)
    return try TLSContext(.server, configuration)
  }

  // MARK: ALPN

  @Test(arguments: [[], ["http/1.1"], ["h2c", "h", "h22"]], [TLS1_2_VERSION, TLS1_3_VERSION])
  func withoutAProtocolTheClientIsToldWhy(_ offer: [String], _ version: Int32) throws {
    let client = try RawTLSClient(
      server(), clientFiles, .init(alpn: offer, maximumVersion: version))
    #expect(client.alert == TLS1_AD_NO_APPLICATION_PROTOCOL)
    #expect(throws: TLSError.self) { try client.serverSession }
  }

  @Test func theServerPrefers() throws {
    let server = try server { $0.applicationProtocols = [.http2, .ttrpc] }
    for (offer, chosen) in [
      (["ttrpc", "h2"], ApplicationProtocol.http2), (["http/1.1", "ttrpc"], .ttrpc),
    ] {
      let client = try RawTLSClient(server, clientFiles, .init(alpn: offer))
      #expect(try client.serverSession.applicationProtocol == chosen)
    }
    let strict = try self.server { $0.applicationProtocols = [.http2] }
    let client = try RawTLSClient(strict, clientFiles, .init(alpn: ["ttrpc"]))
    #expect(client.alert == TLS1_AD_NO_APPLICATION_PROTOCOL)
  }

  @Test func ourClientOffersWhatItIsTold() throws {
    let server = try server { $0.applicationProtocols = [.http2, .ttrpc] }
    var files = clientFiles
    files.applicationProtocols = [.ttrpc]
    let pair = try EnginePair(server, TLSContext(.client, files))
    #expect(try pair.serverSession.applicationProtocol == .ttrpc)
    #expect(try pair.clientResult?.get().applicationProtocol == .ttrpc)
  }

  @Test func aProtocolNeedNotBeRequired() throws {
    let lax = try server { $0.requiresApplicationProtocol = false }
    let client = try RawTLSClient(lax, clientFiles, .init(alpn: []))
    #expect(try client.serverSession.applicationProtocol == nil)
    let unknown = try RawTLSClient(lax, clientFiles, .init(alpn: ["http/1.1"]))
    #expect(unknown.alert == TLS1_AD_NO_APPLICATION_PROTOCOL)
  }

  @Test func aServerMayNegotiateNothing() throws {
    let server = try server {
      $0.applicationProtocols = []
      $0.requiresApplicationProtocol = false
    }
    for offer in [[], ["http/1.1"], ["h2", "http/1.1"]] {
      let client = try RawTLSClient(server, clientFiles, .init(alpn: offer))
      #expect(try client.serverSession.applicationProtocol == nil)
    }
  }

  // MARK: Versions

  @Test(arguments: [TLS1_VERSION, TLS1_1_VERSION])
  func oldVersionsAreRefusedAsSuch(_ version: Int32) throws {
    for alpn in [["h2"], []] {
      let client = try RawTLSClient(
        server(), clientFiles,
        .init(alpn: alpn, maximumVersion: version, minimumVersion: version))
      // A client at OpenSSL's security level 0 may still be unable to speak them.
      #expect(client.alert == SSL_AD_PROTOCOL_VERSION || client.isDone == false)
      #expect(throws: TLSError.self) { try client.serverSession }
    }
  }

  @Test func strongAlgorithmsOnly() throws {
    let server = try server()
    let names = try #require(SSL_CTX_get_ciphers(server.snapshot.pointer))
    let suites = (0..<OPENSSL_sk_num(names)).compactMap { index in
      OPENSSL_sk_value(names, index).map {
        String(cString: SSL_CIPHER_get_name(OpaquePointer($0)))
      }
    }
    #expect(suites.count == 9)
    #expect(suites.first == "TLS_AES_128_GCM_SHA256")
    #expect(suites.allSatisfy { $0.contains("GCM") || $0.contains("CHACHA20") })
    #expect(suites.allSatisfy { $0.hasPrefix("ECDHE-") || $0.hasPrefix("TLS_") })
    // What the certificate request offers, by its hash functions.
    let client = try RawTLSClient(server, clientFiles)
    let count = SSL_get_sigalgs(client.ssl, 0, nil, nil, nil, nil, nil)
    #expect(count > 0)
    for index in 0..<count {
      var hash: Int32 = 0
      SSL_get_sigalgs(client.ssl, index, nil, &hash, nil, nil, nil)
      #expect([NID_sha256, NID_sha384, NID_sha512, NID_undef].contains(hash))
    }
  }

  // MARK: Client authentication

  @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
  func clientCertificates(_ version: Int32) throws {
    for mode in TLSContext.ClientAuthentication.allCases {
      let server = try server { $0.clientAuthentication = mode }
      let bare = try RawTLSClient(
        server, clientFiles, .init(maximumVersion: version, hasCertificate: false))
      if mode == .required {
        #expect(throws: TLSError.self) { try bare.serverSession }
        #expect(
          bare.alert == SSL_AD_HANDSHAKE_FAILURE || bare.alert == TLS13_AD_CERTIFICATE_REQUIRED)
      } else {
        let session = try bare.serverSession
        #expect(session.peer == nil)
      }
      let known = try RawTLSClient(server, clientFiles, .init(maximumVersion: version))
      let names = try known.serverSession.peer?.certificate.uriNames
      #expect(names == (mode == .none ? nil : ["spiffe://example.org/a"]))
      // A certificate that is presented must be good.
      let stranger = try pki.save(
        pki.issue(.client(), by: TestPKI.issue(.authority("other"), by: nil)), "stranger")
      let refused = try RawTLSClient(server, stranger, .init(maximumVersion: version))
      #expect((refused.alert == SSL_AD_UNKNOWN_CA) == (mode != .none))
    }
  }

  // MARK: After the handshake

  @Test func keyUpdatesAreBounded() throws {
    let server = try server {
      $0.limits.maximumKeyUpdateBurst = 8
      $0.limits.keyUpdatesPerMebibyte = 2
    }
    let client = try RawTLSClient(server, clientFiles)
    func update(_ count: Int) {
      for _ in 0..<count {
        SSL_key_update(client.ssl, SSL_KEY_UPDATE_NOT_REQUESTED)
        client.send([1])
      }
    }
    update(8)
    #expect(try client.serverRead() == Array(repeating: 1, count: 8))
    let mebibyte = [UInt8](repeating: 2, count: 1 << 20)
    client.send(mebibyte)
    #expect(try client.serverRead() == mebibyte)
    update(2)
    #expect(try client.serverRead() == [1, 1])
    update(1)
    #expect(throws: TLSError.self) { try client.serverRead() }
  }

  @Test func keyUpdatesAreAnsweredAtOnce() throws {
    let client = try RawTLSClient(server(), clientFiles)
    #expect(!client.server.hasOutput)
    SSL_key_update(client.ssl, SSL_KEY_UPDATE_NOT_REQUESTED)
    client.send([1])
    #expect(try client.serverRead() == [1])
    #expect(!client.server.hasOutput)
    for _ in 0..<2 {
      SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED)
      client.send([2])
    }
    #expect(try client.serverRead() == [2, 2])
    // A record with one KeyUpdate: header, message, content type and tag (RFC 8446 §5.2).
    #expect(client.server.takeOutput()?.readableBytes == 5 + 5 + 1 + 16)
  }

  @Test func closeNotifyComesBehindWhatWasSent() throws {
    let client = try RawTLSClient(server(), clientFiles)
    client.send([1, 2, 3])
    SSL_shutdown(client.ssl)
    client.send()
    var buffer = ByteBuffer()
    guard case .closed = try client.server.read(into: &buffer) else {
      Issue.record("not closed")
      return
    }
    #expect(Array(buffer.readableBytesView) == [1, 2, 3])
    // The other direction is still open.
    let answer: [UInt8] = [4, 5]
    let written = Result { try answer.withUnsafeBytes { try client.server.write($0) } }
    #expect(throws: Never.self) { try written.get() }
    #expect(client.server.hasOutput)
  }
}
