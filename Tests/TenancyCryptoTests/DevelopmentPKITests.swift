import Foundation
import TenancyTestSupport
import Testing

@testable import TenancyCrypto

@Suite struct DevelopmentPKITests {
  let scratch: TemporaryDirectory
  let directory: String

  init() throws {
    scratch = try TemporaryDirectory()
    directory = "\(scratch.path)/a/b"
  }

  private func ensure(_ tenants: [String] = ["acme"]) throws -> DevelopmentPKI.Paths {
    try DevelopmentPKI.ensure(directory: directory, trustDomain: "example.test", tenants: tenants)
  }

  /// All files and what they hold.
  private func snapshot() throws -> [String: String] {
    let names = try FileManager.default.contentsOfDirectory(atPath: directory)
    return try Dictionary(
      uniqueKeysWithValues: names.map { ($0, try scratch.content("\(directory)/\($0)")) })
  }

  @Test func makesAllThatIsMissing() throws {
    let paths = try ensure(["acme", "globex"])
    #expect(
      Set(try snapshot().keys) == [
        "ca.pem", "ca.key", "server.pem", "server.key", "operator.pem", "operator.key",
        "acme.dev.pem", "acme.dev.key", "globex.dev.pem", "globex.dev.key",
      ])
    #expect(paths.issued.count == 5)
    #expect(try OpenSSL.verifies(paths.server, by: paths.authority, purpose: "sslserver"))
    #expect(try OpenSSL.verifies(paths.platformOperator, by: paths.authority, purpose: "sslclient"))
    let acme = try #require(paths.tenants["acme"])
    #expect(try OpenSSL.verifies(acme, by: paths.authority, purpose: "sslclient"))
    #expect(
      try OpenSSL.extensions(paths.server).contains(
        "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, URI:"))
    for files in [paths.authority, paths.server, paths.platformOperator, acme] {
      #expect(try scratch.mode(files.privateKey) == 0o600)
    }
    #expect(try scratch.mode(directory) == 0o700)
  }

  @Test func isIdempotent() throws {
    _ = try ensure()
    let before = try snapshot()
    let again = try ensure()
    #expect(try snapshot() == before)
    #expect(again.issued.isEmpty)
  }

  @Test func addsTenantsLater() throws {
    _ = try ensure()
    let before = try snapshot()
    let paths = try ensure(["acme", "globex"])
    #expect(paths.issued == ["\(directory)/globex.dev.pem"])
    #expect(try snapshot().filter { !$0.key.hasPrefix("globex") } == before)
  }

  @Test(arguments: [(6, true), (7, true), (8, false)])
  func reissuesWhatEndsSoon(days: Int, isReissued: Bool) throws {
    let paths = try ensure()
    let authority = try CertificateAuthority.load(paths.authority)
    try authority.issue(.platform(role: "admin"), days: days).save(
      paths.platformOperator, replacing: true)
    let issued = try ensure().issued
    #expect(issued == (isReissued ? [paths.platformOperator.certificate] : []))
  }

  @Test func reissuesWhatIsBroken() throws {
    let paths = try ensure()
    let authority = try CertificateAuthority.load(paths.authority)
    // A key that does not fit, other names, no certificate at all.
    try authority.issue(.platform(role: "admin")).privateKeyPEM.write(
      toFile: paths.server.privateKey, atomically: true, encoding: .utf8)
    try authority.issue(.platform(role: "viewer")).save(paths.platformOperator, replacing: true)
    let acme = try #require(paths.tenants["acme"])
    try "garbage".write(toFile: acme.certificate, atomically: true, encoding: .utf8)
    #expect(try ensure().issued.count == 3)
    #expect(try ensure().issued.isEmpty)
  }

  @Test func reissuesWhatAnotherAuthoritySigned() throws {
    let paths = try ensure()
    let other = try CertificateAuthority.create(
      commonName: "Tenancy development CA", trustDomain: "example.test")
    try other.issue(.platform(role: "admin")).save(paths.platformOperator, replacing: true)
    #expect(try ensure().issued == [paths.platformOperator.certificate])
  }

  @Test func replacesAnExpiredAuthority() throws {
    let paths = try ensure()
    // The same certificate, but it ended yesterday.
    let old = scratch.files("old").certificate
    try FileManager.default.moveItem(atPath: paths.authority.certificate, toPath: old)
    let made = try OpenSSL.run(
      "x509", "-in", old, "-signkey", paths.authority.privateKey, "-days", "-1", "-out",
      paths.authority.certificate)
    try #require(made.status == 0, "\(made.output)")
    let expired = try CertificateAuthority.load(paths.authority)
    #expect { try expired.issue(.platform(role: "admin")) } throws: {
      ($0 as? PKIError)?.code == .authority
    }
    let issued = try ensure().issued
    #expect(issued.count == 4)
    #expect(try OpenSSL.verifies(paths.server, by: paths.authority, purpose: "sslserver"))
  }

  @Test func keepsAnAuthorityThatItCannotUse() throws {
    let paths = try ensure()
    let before = try snapshot()
    #expect { try DevelopmentPKI.ensure(directory: directory, trustDomain: "other.test") } throws: {
      ($0 as? PKIError)?.code == .authority
    }
    #expect(try snapshot() == before)
    try FileManager.default.removeItem(atPath: paths.authority.privateKey)
    #expect { try ensure() } throws: { ($0 as? PKIError)?.code == .authority }
    #expect(try scratch.content(paths.authority.certificate) == before["ca.pem"])
  }
}
