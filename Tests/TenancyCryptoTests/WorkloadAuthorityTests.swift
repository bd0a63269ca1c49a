import Foundation
import TenancyTestSupport
import Testing

@testable import TenancyCrypto

/// Certificates of workloads, judged by the `openssl` command.
struct WorkloadAuthorityTests {
  private let scratch: TemporaryDirectory
  private let ca: CredentialFiles

  init() throws {
    scratch = try TemporaryDirectory()
    ca = scratch.files("ca")
    try CertificateAuthority.create(commonName: "Test CA", trustDomain: "example.test").save(ca)
  }

  private func load(
    certificates: String? = nil, key: String? = nil, domain: String = "example.test"
  ) throws -> WorkloadAuthority {
    try WorkloadAuthority(
      certificates: certificates ?? ca.certificate, key: key ?? ca.privateKey, trustDomain: domain)
  }

  private func write(_ bytes: [UInt8], _ name: String) throws -> String {
    try Data(bytes).write(to: URL(filePath: scratch.file(name)))
    return scratch.file(name)
  }

  /// What `openssl x509` says of the first certificate.
  private func text(_ credential: WorkloadCredential, _ more: String...) throws -> String {
    let file = try write(credential.chain, "leaf.der")
    return try OpenSSL.run(
      arguments: ["x509", "-inform", "DER", "-in", file, "-noout"] + more
    ).output
  }

  private func code(_ body: () throws -> Void) -> PKIError.Code? {
    do {
      try body()
      return nil
    } catch {
      return (error as? PKIError)?.code
    }
  }

  /// The `openssl` command verifies it as any other, by the strict rules as well.
  @Test func oneNamesTheEntryThatItIsIssuedBy() throws {
    let entry = "01997f0e-0000-7000-8000-000000000001"
    let made = try load().issue(path: ["platform", "x"], seconds: 60, registration: entry)
    #expect(try text(made, "-text").contains("2.25.142301311194918015955599287742072137667"))
    let leaf = scratch.file("named.pem")
    _ = try OpenSSL.run(
      arguments: [
        "x509", "-inform", "DER", "-in", try write(made.chain, "named.der"), "-out", leaf,
      ])
    for purpose in ["sslserver", "sslclient"] {
      let verified = try OpenSSL.run(
        arguments: [
          "verify", "-x509_strict", "-purpose", purpose, "-CAfile", ca.certificate, leaf,
        ])
      #expect(verified.output.contains("OK"))
    }
    #expect(try text(made, "-text").contains(entry))
    let none = try load().issue(path: ["platform", "x"], seconds: 60)
    #expect(!(try text(none, "-text").contains("2.25.")))
    #expect(
      code { _ = try load().issue(path: ["x"], seconds: 60, registration: "x") } == .invalidName)
  }

  @Test func oneIsForServersAndClientsAndNothingElse() throws {
    let made = try load().issue(path: ["tenant", "acme", "web"], seconds: 90)
    let found = try text(
      made, "-ext", "subjectAltName,extendedKeyUsage,basicConstraints,keyUsage")
    #expect(found.contains("    URI:spiffe://example.test/tenant/acme/web\n"))
    #expect(
      found.contains("TLS Web Server Authentication, TLS Web Client Authentication\n"))
    #expect(found.contains("Basic Constraints: critical\n    CA:FALSE"))
    #expect(found.contains("Key Usage: critical\n    Digital Signature\n"))
    #expect(made.notAfter - made.notBefore == 90 + Int64(CertificateBuilder.workloadBackdating))
    let serial = try text(made, "-serial").split(separator: "=").last
    #expect(serial?.trimmingCharacters(in: .newlines).count == 32)
    let pem = scratch.file("leaf.pem")
    _ = try OpenSSL.run(
      "x509", "-inform", "DER", "-in", try write(made.chain, "l.der"), "-out", pem)
    for purpose in ["sslclient", "sslserver"] {
      let verified = try OpenSSL.run(
        "verify", "-x509_strict", "-CAfile", ca.certificate, "-purpose", purpose, pem)
      #expect(verified.status == 0, "\(verified.output)")
    }
  }

  @Test func eachHasAKeyOfItsOwnInPKCS8() throws {
    let authority = try load()
    let made = try (0..<2).map { _ in try authority.issue(path: ["platform", "x"], seconds: 60) }
    #expect(made[0].privateKey != made[1].privateKey && made[0].chain != made[1].chain)
    for one in made {
      let file = try write(one.privateKey, "key.der")
      let key = try OpenSSL.run("pkey", "-inform", "DER", "-in", file, "-pubout")
      #expect(key.status == 0)
      #expect(try text(one, "-pubkey").contains(key.output))
    }
  }

  @Test func theRootIsTheBundleAndIsNotSent() throws {
    let authority = try load()
    let bundle = try write(authority.bundle, "bundle.der")
    let pem = try OpenSSL.run("x509", "-inform", "DER", "-in", bundle).output
    #expect(try scratch.content(ca.certificate) == pem)
    let made = try authority.issue(path: ["platform", "x"], seconds: 60)
    // Its length is in its first four bytes: nothing is behind it.
    #expect(made.chain.count == Int(made.chain[2]) << 8 + Int(made.chain[3]) + 4)
  }

  @Test func noneOutlastsItsAuthority() throws {
    let files = scratch.files("short")
    try CertificateAuthority.create(
      commonName: "Short", trustDomain: "example.test", days: 1
    ).save(files)
    let authority = try load(certificates: files.certificate, key: files.privateKey)
    let made = try authority.issue(path: ["platform", "x"], seconds: 200_000)
    #expect(made.notAfter - Clock.now() <= 86_400)
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let other = scratch.files("other")
    try CertificateAuthority.create(commonName: "Other", trustDomain: "example.test").save(other)
    #expect(code { _ = try load(key: other.privateKey) } == .authority)
    #expect(code { _ = try load(domain: "other.test") } == .authority)
    #expect(code { _ = try load(domain: "Bad Domain") } == .invalidName)
    #expect(code { _ = try load(certificates: scratch.file("none")) } == .file)
    let leaf = scratch.files("leaf")
    try CertificateAuthority.load(ca).issue(.platform(role: "x")).save(leaf)
    #expect(
      code { _ = try load(certificates: leaf.certificate, key: leaf.privateKey) } == .authority)
    // Two that have nothing to do with each other, and one whose root is missing.
    let both = scratch.file("both.pem")
    try (scratch.content(ca.certificate) + scratch.content(other.certificate))
      .write(toFile: both, atomically: true, encoding: .utf8)
    #expect(code { _ = try load(certificates: both) } == .authority)
    let many = scratch.file("many.pem")
    try String(repeating: scratch.content(ca.certificate), count: 9)
      .write(toFile: many, atomically: true, encoding: .utf8)
    #expect(code { _ = try load(certificates: many) } == .authority)
  }

  @Test(arguments: [[""], ["a/b"], ["."], ["..", "x"], ["ä"], ["a\u{0}"]])
  func whatIsNoPathIsNotSigned(_ path: [String]) throws {
    let authority = try load()
    #expect(code { _ = try authority.issue(path: path, seconds: 60) } == .invalidName)
  }

  @Test(arguments: [Int64.min, 0, Int64.max])
  func livesHaveBounds(_ seconds: Int64) throws {
    let authority = try load()
    #expect(
      code { _ = try authority.issue(path: ["x"], seconds: seconds) } == .invalidLifetime)
  }

  @Test func oneIsTheSameAsItselfReadAgain() throws {
    let other = scratch.files("other")
    try CertificateAuthority.create(commonName: "Other", trustDomain: "example.test").save(other)
    let authority = try load()
    let again = try load()
    #expect(authority.isSame(as: again))
    let another = try load(certificates: other.certificate, key: other.privateKey)
    #expect(!authority.isSame(as: another))
  }
}
