import CTenancyOpenSSL
import Testing

@testable import TenancyCrypto

/// OpenSSL's security level lets RSA keys of 1,984 bits and more pass for such of 2,048.
@Suite("RSA keys below 2,048 bits")
struct KeyStrengthTests {
  /// Whose key of a chain is RSA.
  enum Place: CaseIterable { case leaf, intermediate, root }

  static let bits: [Int32] = [1984, 2047, 2048]

  /// A chain of three with one key of RSA, and the CA bundle that ends it.
  private static func chain(
    _ leaf: TestPKI.Recipe, _ place: Place, _ bits: Int32, _ pki: TestPKI
  ) throws -> TestPKI.Issued {
    func key(_ here: Place) -> TestPKI.Recipe.Key { here == place ? .rsa(bits) : .ecdsa }
    let root = try TestPKI.issue(
      .authority("root of \(bits)").with { $0.key = key(.root) }, by: nil)
    let intermediate = try pki.issue(
      .authority("intermediate").with { $0.key = key(.intermediate) }, by: root)
    try pki.writeAuthorities([root], "chain-ca.pem")
    return try pki.issue(leaf.with { $0.key = key(.leaf) }, by: intermediate)
  }

  @Test(arguments: Place.allCases, bits)
  func peersOfServers(_ place: Place, _ bits: Int32) throws {
    try judge(.client(), as: .server, own: .server, place, bits)
  }

  @Test(arguments: Place.allCases, bits)
  func peersOfClients(_ place: Place, _ bits: Int32) throws {
    try judge(.server, as: .client, own: .client(), place, bits)
  }

  private func judge(
    _ recipe: TestPKI.Recipe, as side: TLSContext.Side, own: TestPKI.Recipe, _ place: Place,
    _ bits: Int32
  ) throws {
    let pki = try TestPKI()
    let peer = try Self.chain(recipe, place, bits, pki)
    let context = try TLSContext(
      side, pki.save(pki.issue(own), "own", trusting: "chain-ca.pem"))
    let untrusted = OPENSSL_sk_new_null()
    defer { OPENSSL_sk_free(untrusted) }
    for one in peer.intermediates {
      OPENSSL_sk_push(untrusted, UnsafeRawPointer(one.certificate))
    }
    switch context.snapshot.trust.judge(leaf: peer.certificate, untrusted: untrusted) {
    case .success: #expect(bits >= 2048, "accepted")
    case .failure(let refusal):
      #expect(bits < 2048, "\(refusal.reason)")
      let code = place == .leaf ? X509_V_ERR_EE_KEY_TOO_SMALL : X509_V_ERR_CA_KEY_TOO_SMALL
      #expect(refusal.code == code)
    }
  }

  @Test(arguments: [Place.leaf, .intermediate], bits)
  func ourOwn(_ place: Place, _ bits: Int32) throws {
    let pki = try TestPKI()
    let own = try Self.chain(.server, place, bits, pki)
    let files = try pki.save(own, "own", trusting: "ca.pem")
    guard bits < 2048 else {
      _ = try TLSContext(.server, files)
      return
    }
    let error = #expect(throws: TLSError.self) { try TLSContext(.server, files) }
    #expect(error?.code == .configuration)
    #expect(error?.description.contains("less than 2048 bits") == true)
  }
}
