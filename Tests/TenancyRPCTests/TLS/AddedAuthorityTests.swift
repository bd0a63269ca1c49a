import CTenancyOpenSSL
import Foundation
import Synchronization
import Testing

@testable import TenancyCrypto

/// CAs that listeners trust besides those in files.
@Suite("CAs besides those in files")
struct AddedAuthorityTests {
  private let pki: TestPKI
  private let added: TestPKI.Issued
  private static let domain = "example.org"

  init() throws {
    pki = try TestPKI()
    added = try TestPKI.issue(.authority("added"), by: nil)
    try pki.writeAuthorities([added], "added.pem")
  }

  private func authority(
    _ name: String = "added.pem", domain: String = domain
  ) throws -> AddedAuthority {
    AddedAuthority(
      domain: domain, certificate: try String(contentsOfFile: pki.path(name), encoding: .utf8))
  }

  private func context(
    _ all: [AddedAuthority], _ change: (inout TLSContext.Configuration) -> Void = { _ in }
  ) throws -> TLSContext {
    var configuration = try pki.save(pki.issue(.server), "server")
    configuration.addedAuthorities = { all }
    change(&configuration)
    return try TLSContext(.server, configuration)
  }

  private func refusal(_ issued: TestPKI.Issued, by server: TLSContext) -> String? {
    let untrusted = OPENSSL_sk_new_null()
    defer { OPENSSL_sk_free(untrusted) }
    for one in issued.intermediates {
      OPENSSL_sk_push(untrusted, UnsafeRawPointer(one.certificate))
    }
    switch server.snapshot.trust.judge(leaf: issued.certificate, untrusted: untrusted) {
    case .success: return nil
    case .failure(let refusal): return refusal.reason
    }
  }

  private func client(
    _ issuer: TestPKI.Issued?, _ id: String = "spiffe://example.org/a"
  ) throws -> TestPKI.Issued { try pki.issue(.client(id), by: issuer) }

  @Test func oneVouchesForItsTrustDomainAlone() throws {
    let server = try context([authority()])
    #expect(refusal(try client(added), by: server) == nil)
    #expect(refusal(try client(nil), by: server) == nil)
    #expect(refusal(try client(added, "spiffe://other.example/a"), by: server) != nil)
    #expect(refusal(try client(added, "https://example.org/a"), by: server) != nil)
    #expect(refusal(try client(added), by: try context([])) != nil)
    let stranger = try TestPKI.issue(.authority("stranger"), by: nil)
    #expect(refusal(try client(stranger), by: server) != nil)
  }

  @Test func ofTrustDomainsItMustBeOne() throws {
    let domains: (inout TLSContext.Configuration) -> Void = { [pki] in
      $0.trust = .domains([TrustBundle(domain: Self.domain, authorities: pki.path("ca.pem"))])
    }
    let server = try context([authority(), authority(domain: "other.example")], domains)
    #expect(refusal(try client(added), by: server) == nil)
    let foreign = refusal(try client(added, "spiffe://other.example/a"), by: server)
    #expect(foreign?.contains("foreign trust domain") == true)
  }

  /// It is trusted itself: what else is under its root is not.
  @Test func oneNeedBeNoRoot() throws {
    let root = try TestPKI.issue(.authority("company"), by: nil)
    let issuing = try pki.issue(.authority("issuing"), by: root)
    let sibling = try pki.issue(.authority("sibling"), by: root)
    try pki.writeAuthorities([issuing, root], "issuing.pem")
    let server = try context([authority("issuing.pem")])
    #expect(refusal(try client(issuing), by: server) == nil)
    #expect(refusal(try client(sibling), by: server) != nil)
    #expect(refusal(try client(root), by: server) != nil)
  }

  /// One takes the place of another of the same name: they are told apart by their keys, which certificates name.
  @Test func twoOfOneNameAreToldApart() throws {
    let named = { (recipe: inout TestPKI.Recipe) in
      recipe.extensions.append((NID_subject_key_identifier, "hash"))
    }
    let both = try (0..<2).map { _ in
      try TestPKI.issue(.authority("same").with(named), by: nil)
    }
    for (one, name) in zip(both, ["one.pem", "other.pem"]) { try pki.writeAuthorities([one], name) }
    let clients = try both.map { issuer in
      try pki.issue(
        .client("spiffe://example.org/a").with {
          $0.extensions.append((NID_authority_key_identifier, "keyid:always"))
        }, by: issuer)
    }
    let server = try context([authority("one.pem"), authority("other.pem")])
    for client in clients { #expect(refusal(client, by: server) == nil) }
    let alone = try context([authority("one.pem")])
    #expect(refusal(clients[0], by: alone) == nil && refusal(clients[1], by: alone) != nil)
  }

  /// What files refuse for another reason than that they do not know its issuer stays refused.
  @Test func revokedStaysRevoked() throws {
    let issuing = try pki.issue(.authority("issuing"))
    let (good, bad) = (try client(issuing), try client(issuing))
    try pki.writeRevocations([], "root.crl")
    try pki.writeRevocations([bad], by: issuing, "issuing.crl")
    try pki.writeAuthorities([issuing], "issuing.pem")
    let server = try context([authority("issuing.pem")]) { [pki] in
      $0.trust = .authorities(
        pki.path("ca.pem"), revocations: ["root.crl", "issuing.crl"].map(pki.path))
    }
    #expect(refusal(good, by: server) == nil)
    #expect(refusal(bad, by: server)?.contains("revoked") == true)
  }

  /// Whoever else vouches for it, and though what it has signed was let in before.
  @Test func whatALostOneHasSignedIsRefused() throws {
    let lost = try pki.issue(.authority("lost"))
    let other = try pki.issue(.authority("other"))
    try pki.writeAuthorities([lost], "lost.pem")
    let trusted = try authority("lost.pem")
    let refused = Refused()
    // Files vouch for it twice: by its root, and by itself, as a proxy's certificates are judged.
    let root = try String(contentsOfFile: pki.path("ca.pem"), encoding: .utf8)
    try Data((root + trusted.certificate).utf8).write(to: URL(filePath: pki.path("both.pem")))
    let server = try context([trusted]) { [pki] in
      $0.trust = .authorities(pki.path("both.pem"))
      $0.refusedAuthorities = { refused.value }
    }
    let (bad, good) = (try client(lost), try client(other))
    func forwarded() throws -> ForwardedCredential? {
      try pki.writeAuthorities([bad], "bad.pem")
      let pem = try Data(contentsOf: URL(filePath: pki.path("bad.pem")))
      return try? server.judge(forwarded: Array(pem)).get()
    }
    #expect(refusal(bad, by: server) == nil && refusal(good, by: server) == nil)
    let before = try #require(try forwarded())
    #expect(before.refusal() == nil)
    refused.value = [trusted.certificate]
    try server.reloadAddedAuthorities()
    #expect(refusal(bad, by: server)?.contains("retired by force") == true)
    #expect(refusal(good, by: server) == nil)
    #expect(before.refusal()?.contains("retired by force") == true)
    #expect(try forwarded() == nil)
    // What can't be read is not passed over.
    refused.value = ["nothing"]
    #expect(throws: TLSError.self) { try server.reloadAddedAuthorities() }
    #expect(refusal(bad, by: server) != nil)
  }

  private final class Refused: Sendable {
    private let all = Mutex<[String]>([])

    var value: [String] {
      get { all.withLock { $0 } }
      set { all.withLock { $0 = newValue } }
    }
  }

  @Test func whatIsWrongWithItsCertificatesIsTold() throws {
    let server = try context([authority()])
    let old = try pki.issue(.client("spiffe://example.org/a").with { $0.notAfter = -1 }, by: added)
    #expect(refusal(old, by: server)?.contains("expired") == true)
    #expect(refusal(try pki.issue(.server, by: added), by: server) != nil)
  }

  @Test func whatIsNoCertificateIsPassedOver() throws {
    let broken = AddedAuthority(domain: Self.domain, certificate: "nothing")
    let server = try context([broken, authority()])
    #expect(refusal(try client(added), by: server) == nil)
  }

  /// Who was let in by it goes when it is gone.
  @Test func theyAreAskedForAtEachReload() throws {
    let (trusted, holder) = (try authority(), Holder())
    let server = try context([]) { $0.addedAuthorities = { holder.value } }
    #expect(refusal(try client(added), by: server) != nil)
    holder.value = [trusted]
    #expect(refusal(try client(added), by: server) != nil)
    try server.reload()
    #expect(refusal(try client(added), by: server) == nil)
    holder.value = []
    try server.reload()
    #expect(refusal(try client(added), by: server) != nil)
  }

  /// Whom it let in goes when it is gone, also while files can't be read; they are taken up when they can.
  @Test func filesThatCanNotBeReadKeepNobodyIn() throws {
    let (trusted, holder) = (try authority(), Holder())
    holder.value = [trusted]
    let server = try context([]) { $0.addedAuthorities = { holder.value } }
    let (in1, in2) = (try client(added), try client(nil))
    #expect(refusal(in1, by: server) == nil && refusal(in2, by: server) == nil)
    let bundle = try Data(contentsOf: URL(filePath: pki.path("ca.pem")))
    try Data("nothing".utf8).write(to: URL(filePath: pki.path("ca.pem")))
    holder.value = []
    #expect(throws: TLSError.self) { try server.reload() }
    #expect(refusal(in1, by: server) == nil)
    let generation = server.generation
    try server.reloadAddedAuthorities()
    #expect(refusal(in1, by: server) != nil && refusal(in2, by: server) == nil)
    #expect(server.generation > generation)
    try bundle.write(to: URL(filePath: pki.path("ca.pem")))
    #expect(try server.reloadIfChanged())
    #expect(refusal(in2, by: server) == nil)
  }

  private final class Holder: Sendable {
    private let all = Mutex<[AddedAuthority]>([])

    var value: [AddedAuthority] {
      get { all.withLock { $0 } }
      set { all.withLock { $0 = newValue } }
    }
  }
}
