import Foundation
import TenancyTestSupport
import Testing

@testable import TenancyCrypto

@Suite struct IssuingTests {
  let scratch: TemporaryDirectory
  let authority: CertificateAuthority
  let ca: CredentialFiles

  init() throws {
    scratch = try TemporaryDirectory()
    authority = try CertificateAuthority.create(commonName: "Test CA", trustDomain: "example.test")
    ca = scratch.files("ca")
    try authority.save(ca)
  }

  private func issue(_ profile: CertificateProfile, days: Int = 30) throws -> CredentialFiles {
    let files = scratch.files("leaf")
    try authority.issue(profile, days: days).save(files)
    return files
  }

  @Test func authorityCertificate() throws {
    let text = try OpenSSL.extensions(ca)
    #expect(text.contains("Basic Constraints: critical\n    CA:TRUE, pathlen:0"))
    #expect(text.contains("Key Usage: critical\n    Certificate Sign, CRL Sign"))
    #expect(text.contains("Subject Key Identifier"))
    #expect(text.contains("URI:spiffe://example.test\n"))
    let all = try OpenSSL.run("x509", "-in", ca.certificate, "-noout", "-text").output
    #expect(all.contains("ASN1 OID: prime256v1"))
    #expect(all.contains("Signature Algorithm: ecdsa-with-SHA256"))
    #expect(try OpenSSL.run("verify", "-CAfile", ca.certificate, ca.certificate).status == 0)
  }

  @Test func serverCertificate() throws {
    let leaf = try issue(
      .server(dnsNames: ["localhost", "*.example.test"], addresses: ["127.0.0.1", "::1"]))
    #expect(try OpenSSL.verifies(leaf, by: ca, purpose: "sslserver"))
    #expect(try !OpenSSL.verifies(leaf, by: ca, purpose: "sslclient"))
    let text = try OpenSSL.extensions(leaf)
    #expect(
      text.contains(
        "DNS:localhost, DNS:*.example.test, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, "
          + "URI:spiffe://example.test/platform/tenantd\n"))
    #expect(text.contains("TLS Web Server Authentication\n"))
    #expect(text.contains("Basic Constraints: critical\n    CA:FALSE"))
    #expect(text.contains("Key Usage: critical\n    Digital Signature\n"))
    #expect(text.contains("Subject Key Identifier"))
    #expect(text.contains("Authority Key Identifier"))
  }

  @Test func workloadCertificate() throws {
    let leaf = try issue(.workload(tenant: "acme", workload: "api"))
    #expect(try OpenSSL.verifies(leaf, by: ca, purpose: "sslclient"))
    #expect(try !OpenSSL.verifies(leaf, by: ca, purpose: "sslserver"))
    let text = try OpenSSL.extensions(leaf)
    #expect(text.contains("    URI:spiffe://example.test/tenant/acme/api\n"))
    #expect(text.contains("TLS Web Client Authentication\n"))
    #expect(text.contains("CA:FALSE"))
  }

  @Test func platformCertificate() throws {
    let leaf = try issue(.platform(role: "admin"))
    #expect(try OpenSSL.verifies(leaf, by: ca, purpose: "sslclient"))
    #expect(try OpenSSL.extensions(leaf).contains("    URI:spiffe://example.test/platform/admin\n"))
  }

  @Test func serialNumbersAreLongAndDiffer() throws {
    var seen: Set<String> = []
    for index in 0..<4 {
      let files = scratch.files("leaf\(index)")
      try authority.issue(.platform(role: "admin")).save(files)
      let serial = try OpenSSL.run("x509", "-in", files.certificate, "-noout", "-serial").output
      // `serial=`, 20 bytes in hex, a newline.
      #expect(serial.utf8.count == 7 + 40 + 1)
      seen.insert(serial)
    }
    #expect(seen.count == 4)
  }

  @Test func lifetime() throws {
    let leaf = try Certificate(file: try issue(.platform(role: "admin"), days: 30).certificate)
    let now = Clock.now()
    #expect(try (now - 330...now - 270).contains(leaf.notBefore()))
    #expect(try abs(leaf.notAfter() - now - 30 * 86_400) < 60)
  }

  @Test func leafEndsWithItsAuthority() throws {
    let shortLived = try CertificateAuthority.create(
      commonName: "Short", trustDomain: "example.test", days: 2)
    let leaf = try Certificate(pem: try shortLived.issue(.platform(role: "a")).certificatePEM)
    #expect(try leaf.notAfter() == shortLived.certificate.notAfter())
  }

  @Test(arguments: [0, -1, 36_501]) func lifetimeOutOfRange(days: Int) {
    #expect { try authority.issue(.platform(role: "admin"), days: days) } throws: {
      ($0 as? PKIError)?.code == .invalidLifetime
    }
  }

  @Test func longestLifetime() throws {
    _ = try CertificateAuthority.create(
      commonName: "Long", trustDomain: "example.test", days: 36_500)
  }

  static let badProfiles: [CertificateProfile] = [
    .workload(tenant: "acme,URI:spiffe://evil", workload: "api"),
    .workload(tenant: "acme/../other", workload: "api"),
    .workload(tenant: "Acme", workload: "api"),
    .workload(tenant: "acme\0", workload: "api"),
    .workload(tenant: "-acme", workload: "api"),
    .workload(tenant: "", workload: "api"),
    .workload(tenant: String(repeating: "a", count: 64), workload: "api"),
    .workload(tenant: "acme", workload: ".."),
    .workload(tenant: "acme", workload: "a/b"),
    .workload(tenant: "acme", workload: ""),
    .workload(tenant: "acme", workload: String(repeating: "a", count: 2_048)),
    .platform(role: "ad min"),
    .platform(role: "ädmin"),
    .server(dnsNames: []),
    .server(dnsNames: ["a,DNS:b"]),
    .server(dnsNames: ["a..b"]),
    .server(dnsNames: ["a.*.b"]),
    .server(dnsNames: [], addresses: ["1.2.3"]),
  ]

  @Test(arguments: badProfiles) func badNamesAreRefused(profile: CertificateProfile) {
    #expect { try authority.issue(profile) } throws: {
      ($0 as? PKIError)?.code == .invalidName
    }
  }

  @Test func longNamesAreCutInTheSubjectOnly() throws {
    let tenant = String(repeating: "a", count: 63)
    let leaf = try issue(.workload(tenant: tenant, workload: "worker"))
    #expect(try OpenSSL.extensions(leaf).contains("/tenant/\(tenant)/worker\n"))
  }

  @Test(arguments: ["", "Example.test", "a/b", "a b", String(repeating: "a", count: 256)])
  func badTrustDomains(domain: String) {
    #expect { try CertificateAuthority.create(commonName: "CA", trustDomain: domain) } throws: {
      ($0 as? PKIError)?.code == .invalidName
    }
  }

  @Test func filesAndModes() throws {
    #expect(try scratch.mode(ca.privateKey) == 0o600)
    #expect(try scratch.mode(ca.certificate) & 0o600 == 0o600)
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).count == 2)
    let before = try scratch.content(ca.privateKey)
    #expect { try authority.save(ca) } throws: { ($0 as? PKIError)?.code == .exists }
    #expect(throws: PKIError.self) {
      try PEMFile.write("x", to: ca.privateKey, mode: 0o600, replacing: false)
    }
    #expect(try scratch.content(ca.privateKey) == before)
    let leaf = try issue(.platform(role: "admin"))
    let old = try scratch.content(leaf.privateKey)
    try authority.issue(.platform(role: "admin")).save(leaf, replacing: true)
    #expect(try scratch.content(leaf.privateKey) != old)
    #expect(try scratch.mode(leaf.privateKey) == 0o600)
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).count == 4)
  }

  @Test func loading() throws {
    let loaded = try CertificateAuthority.load(ca)
    #expect(loaded.trustDomain == "example.test")
    let files = scratch.files("leaf")
    try loaded.issue(.platform(role: "admin")).save(files)
    #expect(try OpenSSL.verifies(files, by: ca, purpose: "sslclient"))
    #expect { try CertificateAuthority.load(ca, trustDomain: "other.test") } throws: {
      ($0 as? PKIError)?.code == .authority
    }
    // A leaf is no authority, even with its own key.
    #expect { try CertificateAuthority.load(files, trustDomain: "example.test") } throws: {
      ($0 as? PKIError)?.code == .authority
    }
    // Another's key.
    let mixed = CredentialFiles(certificate: ca.certificate, privateKey: files.privateKey)
    #expect { try CertificateAuthority.load(mixed) } throws: {
      ($0 as? PKIError)?.code == .authority
    }
    #expect { try CertificateAuthority.load(scratch.files("none")) } throws: {
      ($0 as? PKIError)?.code == .file
    }
  }
}
