import Foundation
import TenancyTestSupport
import Testing

@testable import TenancyCrypto

/// CRLs of the built-in CA, judged by the `openssl` command.
struct RevocationListTests {
  private let scratch: TemporaryDirectory
  private let authority: CertificateAuthority
  private let list: String

  init() throws {
    scratch = try TemporaryDirectory()
    let files = scratch.files("ca")
    authority = try CertificateAuthority.create(commonName: "Test CA", trustDomain: "example.test")
    try authority.save(files)
    list = scratch.file("ca.crl")
  }

  private func issue(_ name: String, by other: CertificateAuthority? = nil) throws -> String {
    let files = scratch.files(name)
    try (other ?? authority).issue(.workload(tenant: "acme", workload: name)).save(files)
    return files.certificate
  }

  private func text(_ more: String...) throws -> String {
    try OpenSSL.run(arguments: ["crl", "-in", list, "-noout"] + more).output
  }

  private func accepts(_ certificate: String) throws -> Bool {
    let ca = scratch.files("ca").certificate
    let verified = try OpenSSL.run(
      arguments: [
        "verify", "-x509_strict", "-crl_check", "-CRLfile", list, "-CAfile", ca, certificate,
      ])
    let own = try CertificateReports.refusal(
      ofChain: String(contentsOfFile: certificate, encoding: .utf8), authorities: ca,
      revocations: [list])
    #expect((verified.status == 0) == (own == nil), "\(verified.output) \(own ?? "")")
    return verified.status == 0
  }

  private func code(_ body: () throws -> Void) -> PKIError.Code? {
    do {
      try body()
      return nil
    } catch {
      return (error as? PKIError)?.code
    }
  }

  @Test func whatIsRevokedStaysRevoked() throws {
    let (one, two, three) = (try issue("one"), try issue("two"), try issue("three"))
    #expect(try authority.renewRevocations(at: list, revoking: []).count == 0)
    #expect(try accepts(one) && accepts(two))
    #expect(try authority.renewRevocations(at: list, revoking: [one]).count == 1)
    #expect(try !accepts(one) && accepts(two))
    let made = try authority.renewRevocations(at: list, revoking: [two, one, two], days: 1)
    #expect(made.count == 2)
    #expect(try !accepts(one) && !accepts(two) && accepts(three))
    #expect(abs(made.nextUpdate - Clock.now() - 86_400) < 60)
    #expect(try text("-crlnumber").contains("0x03"))
    #expect(try text("-issuer").contains("Test CA"))
    #expect(try text("-text").contains("X509v3 Authority Key Identifier"))
  }

  @Test func certificatesOfOthersAreNotRevoked() throws {
    let other = try CertificateAuthority.create(
      commonName: "Test CA", trustDomain: "example.test")
    let foreign = try issue("foreign", by: other)
    for file in [foreign, scratch.files("ca").certificate] {
      #expect(
        code { _ = try authority.renewRevocations(at: list, revoking: [file]) } == .authority)
    }
    let missing = scratch.file("missing.pem")
    #expect(code { _ = try authority.renewRevocations(at: list, revoking: [missing]) } == .file)
    #expect(!FileManager.default.fileExists(atPath: list))
  }

  /// Where the one before can't be used, all that it revokes would be good again.
  @Test func oneThatIsNotTheCAsIsNotReplaced() throws {
    let other = try CertificateAuthority.create(commonName: "Test CA", trustDomain: "example.test")
    _ = try other.renewRevocations(at: list, revoking: [])
    let foreign = try String(contentsOfFile: list, encoding: .utf8)
    #expect(code { _ = try authority.renewRevocations(at: list, revoking: []) } == .authority)
    #expect(try String(contentsOfFile: list, encoding: .utf8) == foreign)
    for text in ["", "x", foreign.replacing("A", with: "B")] {
      try text.write(toFile: list, atomically: true, encoding: .utf8)
      #expect(code { _ = try authority.renewRevocations(at: list, revoking: []) } != nil)
      #expect(try String(contentsOfFile: list, encoding: .utf8) == text)
    }
  }

  @Test(arguments: [0, 367, -1])
  func itLastsSoLongAndNoLonger(_ days: Int) {
    #expect(
      code { _ = try authority.renewRevocations(at: list, revoking: [], days: days) }
        == .invalidLifetime)
  }
}
