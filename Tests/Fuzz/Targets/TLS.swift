import CTenancyOpenSSL
import Foundation
import NIOCore
import Synchronization
import TenancyCrypto

@testable import TenancyCrypto

/// Certificates and TLS records.
let tlsTargets: [FuzzTarget] = [
  FuzzTarget("certificate") {
    try FuzzTLS.certificates()
  } run: { input in
    let parsed = input.withUnsafeBufferPointer { buffer in
      var at = buffer.baseAddress
      return d2i_X509(nil, &at, buffer.count)
    }
    defer { ERR_clear_error() }
    guard let parsed else { return }
    defer { X509_free(parsed) }
    guard case .success(let certificate) = CertificateReader.read(parsed) else { return }
    try checkEqual(certificate.fingerprint.count, 32, "fingerprint")
    for name in certificate.uriNames {
      try check(name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "the name \(name)")
    }
    // No name is left in OpenSSL's error queue, for the next connection to find.
    try checkEqual(ERR_peek_error(), 0, "errors left")
  },

  FuzzTarget("tls-server") {
    try FuzzTLS.helloSeeds()
  } run: { input in
    let engine = try TLSEngine(try FuzzTLS.server())
    for piece in input.pieces() {
      engine.receive(ByteBuffer(bytes: piece))
      do throws(TLSError) {
        _ = try engine.handshake()
      } catch {
        break
      }
      _ = engine.takeOutput()
      engine.releaseBuffers()
    }
    _ = engine.takeOutput()
    try checkEqual(ERR_peek_error(), 0, "errors left")
  },
]

/// Certificates of our own making.
enum FuzzTLS {
  private static let directory = Mutex<String?>(nil)
  private static let context = Mutex<TLSContext?>(nil)

  /// A directory with a development PKI, made once.
  private static func pki() throws -> String {
    try directory.withLock { made in
      if let made { return made }
      let path = NSTemporaryDirectory() + "fuzz-pki-\(UInt32.random(in: 0...UInt32.max))"
      _ = try DevelopmentPKI.ensure(directory: path, trustDomain: "fuzz.test")
      made = path
      atexit {
        // Nothing is left behind; what can't be removed is of no use to anybody.
        if let path = FuzzTLS.directory.withLock({ $0 }) {
          try? FileManager.default.removeItem(atPath: path)
        }
      }
      return path
    }
  }

  static func server() throws -> TLSContext {
    try context.withLock { made in
      if let made { return made }
      let path = try pki()
      let fresh = try TLSContext(
        .server,
        TLSContext.Files(
          certificateChain: "\(path)/server.pem", privateKey: "\(path)/server.key",
          peerAuthorities: "\(path)/ca.pem"))
      made = fresh
      return fresh
    }
  }

  /// The first flight of a client.
  static func helloSeeds() throws -> [[UInt8]] {
    let path = try pki()
    let client = try TLSEngine(
      try TLSContext(
        .client,
        TLSContext.Files(
          certificateChain: "\(path)/operator.pem", privateKey: "\(path)/operator.key",
          peerAuthorities: "\(path)/ca.pem")),
      serverName: "localhost")
    _ = try client.handshake()
    let hello = client.takeOutput().map { Array($0.readableBytesView) } ?? []
    return [
      hello, hello + [0x14, 3, 3, 0, 1, 1], Array(hello.prefix(50)), [0x15, 3, 3, 0, 2, 2, 0],
    ]
  }

  /// In DER.
  static func certificates() throws -> [[UInt8]] {
    let path = try pki()
    return try ["ca", "server", "operator"].map { name in
      let text = try String(contentsOfFile: "\(path)/\(name).pem", encoding: .utf8)
      let body = text.split(separator: "\n").filter { !$0.hasPrefix("-----") }.joined()
      return [UInt8](Data(base64Encoded: body) ?? Data())
    }
  }
}
