import Foundation
import TenancyTestSupport
import Testing

@testable import TenancyCrypto

/// Keys of authorities that are made here, judged by the `openssl` command.
struct NewAuthorityKeyTests {
  private let scratch: TemporaryDirectory

  init() throws { scratch = try TemporaryDirectory() }

  private func write(_ text: String, _ name: String) throws -> String {
    try text.write(toFile: scratch.file(name), atomically: true, encoding: .utf8)
    return scratch.file(name)
  }

  private func root(seconds: Int64 = 3_600) throws -> NewAuthorityKey {
    try NewAuthorityKey.root(
      commonName: "A root", trustDomain: "example.test", seconds: seconds)
  }

  @Test func aRootIsForItsTrustDomainAndSignsLeavesOnly() throws {
    let made = try root()
    let file = try write(made.document, "root.pem")
    let text = try OpenSSL.run(
      arguments: [
        "x509", "-in", file, "-noout", "-subject", "-issuer", "-ext",
        "subjectAltName,basicConstraints,keyUsage,subjectKeyIdentifier",
      ]
    ).output
    for part in [
      "subject=CN = A root", "issuer=CN = A root", "URI:spiffe://example.test\n",
      "Basic Constraints: critical\n    CA:TRUE, pathlen:0",
      "Key Usage: critical\n    Certificate Sign, CRL Sign", "Subject Key Identifier",
    ] {
      #expect(text.contains(part), "\(text)")
    }
    #expect((3_590...3_610).contains(made.notAfter - Clock.now()))
    let authority = try WorkloadAuthority(
      chain: made.document, key: made.privateKey, trustDomain: "example.test")
    try authority.prove()
    #expect(try authority.pem() == made.document)
    #expect(try authority.notAfter() == made.notAfter)
    #expect(try WorkloadAuthority.bundle(ofChain: made.document) == authority.bundle)
    let leaf = try authority.issue(path: ["platform", "x"], seconds: 60)
    try Data(leaf.chain).write(to: URL(filePath: scratch.file("leaf.der")))
    let pem = scratch.file("leaf.pem")
    _ = try OpenSSL.run("x509", "-inform", "DER", "-in", scratch.file("leaf.der"), "-out", pem)
    let verified = try OpenSSL.run("verify", "-x509_strict", "-CAfile", file, pem)
    #expect(verified.status == 0, "\(verified.output)")
  }

  @Test func aRequestSaysWhatIsAskedFor() throws {
    let made = try NewAuthorityKey.request(commonName: "Issuing", trustDomain: "example.test")
    let file = try write(made.document, "request.pem")
    let text = try OpenSSL.run("req", "-in", file, "-noout", "-text", "-verify").output
    for part in [
      "Subject: CN = Issuing", "CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign",
      "URI:spiffe://example.test", "Signature Algorithm: ecdsa-with-SHA256",
    ] {
      #expect(text.contains(part), "\(text)")
    }
    // And its key is that of the answer.
    let other = try root()
    #expect(throws: PKIError.self) {
      try WorkloadAuthority(
        chain: other.document, key: made.privateKey, trustDomain: "example.test")
    }
  }

  @Test(arguments: ["Bad", "", "a/b", "a b", String(repeating: "a", count: 256)])
  func whatIsNoTrustDomainIsRefused(_ domain: String) {
    #expect(throws: PKIError.self) {
      try NewAuthorityKey.root(commonName: "x", trustDomain: domain, seconds: 60)
    }
    #expect(throws: PKIError.self) {
      try NewAuthorityKey.request(commonName: "x", trustDomain: domain)
    }
  }

  @Test(arguments: [Int64.min, 0, -1, 36_500 * 86_400 + 1, .max])
  func livesHaveBounds(_ seconds: Int64) {
    let error = #expect(throws: PKIError.self) { try root(seconds: seconds) }
    #expect(error?.code == .invalidLifetime)
  }

  @Test(arguments: [
    [], [0x30], [0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF], [UInt8](repeating: 7, count: 99),
  ])
  func whatIsNoKeyIsRefused(_ bytes: [UInt8]) throws {
    let made = try root()
    #expect(throws: PKIError.self) {
      try WorkloadAuthority(chain: made.document, key: bytes, trustDomain: "example.test")
    }
  }

  /// A root that is over, or not yet begun, is not proven.
  @Test func whatVerifiersWouldRefuseIsNotProven() throws {
    let ca = scratch.files("long")
    try CertificateAuthority.create(commonName: "Plain", trustDomain: "example.test").save(ca)
    try WorkloadAuthority(
      certificates: ca.certificate, key: ca.privateKey, trustDomain: "example.test"
    ).prove()
    let weak = scratch.file("weak.pem")
    let key = scratch.file("weak.key")
    _ = try OpenSSL.run(
      "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", key, "-out", weak, "-subj",
      "/CN=w",
      "-days", "1", "-addext", "keyUsage=critical,keyCertSign")
    let authority = try WorkloadAuthority(
      certificates: weak, key: key, trustDomain: "example.test")
    let error = #expect(throws: PKIError.self) { try authority.prove() }
    #expect(error?.description.contains("would not be accepted") == true)
  }

  /// Two of one name are told apart by it.
  @Test func oneThatDoesNotNameItsKeyIsNotProven() throws {
    let (file, key) = (scratch.file("unnamed.pem"), scratch.file("unnamed.key"))
    _ = try OpenSSL.run(
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
      key, "-out", file, "-subj", "/CN=u", "-days", "1", "-addext",
      "keyUsage=critical,keyCertSign", "-addext", "subjectKeyIdentifier=none")
    let authority = try WorkloadAuthority(
      certificates: file, key: key, trustDomain: "example.test")
    let error = #expect(throws: PKIError.self) { try authority.prove() }
    #expect(error?.description.contains("subjectKeyIdentifier") == true)
  }

  @Test(arguments: [
    "pkcs11:", "pkcs11:token=a;object=b", "pkcs11:id=%01?module-name=x",
  ])
  func aTokenIsNamedByItsURI(_ text: String) { #expect(HardwareKey.isURI(text)) }

  @Test(arguments: [
    "", "/etc/ca.key", "PKCS11:token=a", "pkcs11:a b", "pkcs11:token=a?pin-value=1",
    "pkcs11:token=a?PIN-Value=1", "pkcs11:token=a?pin-source=file:/x", "pkcs11:\n",
    "pkcs11:" + String(repeating: "a", count: 1024),
  ])
  func andByNothingElse(_ text: String) { #expect(!HardwareKey.isURI(text)) }
}
