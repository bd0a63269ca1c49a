import CTenancyOpenSSL
import Testing

@testable import TenancyCrypto

@Suite("Certificates of TLS clients")
struct PeerCertificateTests {
  /// A client's certificate that is refused, and what the log says of it.
  struct Refused: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let why: String
    let issue: @Sendable (TestPKI) throws -> TestPKI.Issued
  }

  static let refused: [Refused] = [
    Refused(testDescription: "two URI names", why: "2 URI names") { pki in
      try pki.issue(
        .client().with { $0.uris.append(Array("spiffe://example.org/b".utf8)) })
    },
    Refused(testDescription: "two URI names, one of them of SPIFFE", why: "2 URI names") { pki in
      try pki.issue(.client().with { $0.uris.insert(Array("https://example.org/".utf8), at: 0) })
    },
    Refused(testDescription: "a NUL in a URI name", why: "forbidden characters") { pki in
      try pki.issue(
        .client().with { $0.uris = [Array("spiffe://example.org/a\0.evil.example".utf8)] })
    },
    Refused(testDescription: "a NUL in a DNS name", why: "forbidden characters") { pki in
      try pki.issue(.client().with { $0.dnsNames = ["a\0b"] })
    },
    Refused(testDescription: "no SPIFFE ID behind spiffe:", why: "not a SPIFFE ID") { pki in
      try pki.issue(.client("spiffe://example.org/a/../b"))
    },
    Refused(testDescription: "spiffe: in upper case", why: "not a SPIFFE ID") { pki in
      try pki.issue(.client("SPIFFE://example.org/a"))
    },
    Refused(testDescription: "a CA as leaf", why: "CA's certificate") { pki in
      try pki.issue(
        .authority("ca").with { $0.uris = [Array("spiffe://example.org/a".utf8)] })
    },
    Refused(testDescription: "a leaf that may sign certificates", why: "CA's certificate") { pki in
      try pki.issue(
        .client().with {
          $0.extensions = [(NID_key_usage, "critical,digitalSignature,keyCertSign")]
        })
    },
    Refused(testDescription: "for servers only", why: "unsuitable certificate purpose") { pki in
      try pki.issue(TestPKI.Recipe.server)
    },
    Refused(testDescription: "of a CA with the same name", why: "signature failure") { pki in
      try pki.issue(.client(), by: TestPKI.issue(.authority("root"), by: nil))
    },
    Refused(testDescription: "of an unknown CA", why: "unable to get local issuer") { pki in
      try pki.issue(.client(), by: TestPKI.issue(.authority("other"), by: nil))
    },
    Refused(testDescription: "beyond a path length", why: "path length") { pki in
      let first = try pki.issue(.authority("first", pathLength: 0))
      return try pki.issue(.client(), by: pki.issue(.authority("second"), by: first))
    },
    Refused(testDescription: "outside of name constraints", why: "permitted subtree") { pki in
      let narrow = try pki.issue(
        .authority("narrow").with {
          $0.extensions.append((NID_name_constraints, "critical,permitted;URI:other.example"))
        })
      return try pki.issue(.client(), by: narrow)
    },
    Refused(testDescription: "with a 1024-bit RSA key", why: "key too weak") { pki in
      try pki.issue(.client().with { $0.key = .rsa(1024) })
    },
    Refused(testDescription: "of a CA with a 1024-bit RSA key", why: "key too weak") { pki in
      let weak = try pki.issue(.authority("weak").with { $0.key = .rsa(1024) })
      return try pki.issue(.client(), by: weak)
    },
    Refused(testDescription: "expired", why: "expired") { pki in
      try pki.issue(.client().with { $0.notAfter = -1 })
    },
    Refused(testDescription: "not valid yet", why: "not yet valid") { pki in
      try pki.issue(.client().with { $0.notBefore = 3600 })
    },
    Refused(testDescription: "of an expired intermediate", why: "expired") { pki in
      let old = try pki.issue(.authority("old").with { $0.notAfter = -1 })
      return try pki.issue(.client(), by: old)
    },
    Refused(testDescription: "an unknown extension twice", why: "there twice") { pki in
      try pki.issue(.client().with { $0.unknownExtensions = 2 })
    },
    Refused(testDescription: "key usage twice", why: "there twice") { pki in
      try pki.issue(
        .client().with { $0.extensions.append((NID_key_usage, "critical,digitalSignature")) })
    },
    Refused(testDescription: "one intermediate too many", why: "chain too long") { pki in
      var issuer = pki.root
      for level in 0...TLSLimits().maximumIntermediates {
        issuer = try pki.issue(.authority("level \(level)"), by: issuer)
      }
      return try pki.issue(.client(), by: issuer)
    },
  ]

  @Test(arguments: refused)
  func isRefused(_ given: Refused) throws {
    let pki = try TestPKI()
    let server = try TLSContext(.server, pki.save(pki.issue(.server), "server"))
    let bad = try given.issue(pki)
    guard case .failure(let refusal) = judge(bad, by: server) else {
      Issue.record("accepted")
      return
    }
    #expect(refusal.reason.contains(given.why), "\(refusal.reason)")
    // The same in a handshake, as far as our own client would use it at all.
    guard let client = try? TLSContext(.client, pki.save(bad, "client")) else { return }  // Weak.
    let pair = try EnginePair(server, client)
    #expect(pair.serverRefusal?.code == .peerRefused)
    #expect(pair.serverRefusal?.description.contains(given.why) == true)
    #expect(pair.server.hasOutput == false)
  }

  /// What is beside the bad ones is good, so each is refused for what it is.
  @Test(arguments: [TestPKI.Recipe.Key.ecdsa, .rsa(2048)])
  func isAccepted(_ key: TestPKI.Recipe.Key) throws {
    let pki = try TestPKI()
    let server = try TLSContext(
      .server, pki.save(pki.issue(.server.with { $0.key = key }), "server"))
    var issuer = pki.root
    for level in 1...TLSLimits().maximumIntermediates {
      issuer = try pki.issue(
        .authority("level \(level)").with {
          $0.extensions.append((NID_name_constraints, "critical,permitted;URI:example.org"))
        }, by: issuer)
    }
    let leaf = try pki.issue(
      .client().with {
        $0.key = key
        $0.unknownExtensions = 1
      }, by: issuer)
    let pair = try EnginePair(
      server, TLSContext(.client, pki.save(leaf, "client")), serverName: "localhost")
    let session = try pair.serverSession
    #expect(session.peer?.certificate.uriNames == ["spiffe://example.org/a"])
    #expect(session.applicationProtocol == .http2)
    #expect(pair.clientRefusal == nil)
  }

  /// The name of a subject is no host name, whatever it says (RFC 9525 §6.3).
  @Test(arguments: [([], false), (["localhost"], true), (["other"], false), (["loc*"], false)])
  func hostNamesAreOfTheSubjectAlternativeName(_ names: [String], isAccepted: Bool) throws {
    let pki = try TestPKI()
    let leaf = try pki.issue(
      .server.with {
        $0.commonName = "localhost"
        $0.dnsNames = names
      })
    let server = try TLSContext(.server, pki.save(leaf, "server"))
    let client = try TLSContext(.client, pki.save(pki.issue(.client()), "client"))
    let pair = try EnginePair(server, client, serverName: "localhost")
    #expect((pair.clientRefusal == nil) == isAccepted)
  }

  // MARK: Revocation

  @Test func revocationsAreLookedAtInTheWholeChain() throws {
    let pki = try TestPKI()
    let intermediate = try pki.issue(.authority("intermediate"))
    let good = try pki.issue(.client(), by: intermediate)
    let bad = try pki.issue(.client(), by: intermediate)
    try pki.save(pki.issue(.server), "server")
    try pki.writeRevocations([], "root.crl")
    try pki.writeRevocations([bad], by: intermediate, "intermediate.crl")

    func refusal(of client: TestPKI.Issued, _ lists: [String]) throws -> String? {
      var configuration = try pki.save(pki.issue(.server), "server")
      configuration.trust = .authorities(pki.path("ca.pem"), revocations: lists.map(pki.path))
      let context = try TLSContext(.server, configuration)
      guard case .failure(let refusal) = judge(client, by: context) else { return nil }
      return refusal.reason
    }
    #expect(try refusal(of: good, ["root.crl", "intermediate.crl"]) == nil)
    #expect(
      try refusal(of: bad, ["root.crl", "intermediate.crl"])?.contains("revoked") == true)
    // A CRL that is missing or old proves nothing.
    #expect(try refusal(of: good, ["root.crl"])?.contains("unable to get certificate CRL") == true)
    try pki.writeRevocations([], by: intermediate, "old.crl", nextUpdate: -1)
    #expect(try refusal(of: good, ["root.crl", "old.crl"])?.contains("CRL has expired") == true)
    try pki.writeRevocations([intermediate], "root.crl")
    #expect(
      try refusal(of: good, ["root.crl", "intermediate.crl"])?.contains("revoked") == true)
    // Of a CA that has the issuer's name only.
    try pki.writeRevocations([], "root.crl")
    let impostor = try TestPKI.issue(.authority("intermediate"), by: nil)
    try pki.writeRevocations([], by: impostor, "foreign.crl")
    #expect(try refusal(of: good, ["root.crl", "foreign.crl"]) != nil)
  }

  // MARK: Trust domains

  @Test func eachTrustDomainHasItsOwnAuthorities() throws {
    let pki = try TestPKI()
    let other = try TestPKI.issue(.authority("other"), by: nil)
    try pki.writeAuthorities([other], "other.pem")
    var configuration = try pki.save(pki.issue(.server), "server")
    configuration.trust = .domains([
      TrustBundle(domain: "example.org", authorities: pki.path("ca.pem")),
      TrustBundle(domain: "other.example", authorities: pki.path("other.pem")),
    ])
    let server = try TLSContext(.server, configuration)
    func isAccepted(_ uri: String, by issuer: TestPKI.Issued) throws -> Bool {
      let client = try pki.save(pki.issue(.client(uri), by: issuer), "client")
      return try EnginePair(server, TLSContext(.client, client)).serverRefusal == nil
    }
    #expect(try isAccepted("spiffe://example.org/a", by: pki.root))
    #expect(try isAccepted("spiffe://other.example/a", by: other))
    #expect(try !isAccepted("spiffe://other.example/a", by: pki.root))
    #expect(try !isAccepted("spiffe://example.org/a", by: other))
    #expect(try !isAccepted("spiffe://third.example/a", by: pki.root))
    #expect(try !isAccepted("https://example.org/a", by: pki.root))
  }

  @Test func anAuthorityVouchesForTheDomainThatItNames() throws {
    let pki = try TestPKI()
    let bound = try TestPKI.issue(
      .authority("bound").with { $0.uris = [Array("spiffe://other.example".utf8)] }, by: nil)
    try pki.writeAuthorities([pki.root, bound], "both.pem")
    var configuration = try pki.save(pki.issue(.server), "server", trusting: "both.pem")
    let server = try TLSContext(.server, configuration)
    let stray = try pki.issue(.client("spiffe://example.org/a"), by: bound)
    guard case .failure(let refusal) = judge(stray, by: server) else {
      Issue.record("accepted")
      return
    }
    #expect(refusal.reason.contains("for spiffe://other.example, not for example.org"))
    guard
      case .success = judge(
        try pki.issue(.client("spiffe://other.example/a"), by: bound), by: server)
    else {
      Issue.record("refused")
      return
    }
    configuration.trust = .domains([
      TrustBundle(domain: "example.org", authorities: pki.path("both.pem"))
    ])
    let error = #expect(throws: TLSError.self) { try TLSContext(.server, configuration) }
    #expect(error?.code == .configuration)
  }

  private func judge(
    _ issued: TestPKI.Issued, by server: TLSContext
  ) -> Result<VerifiedPeer, PeerRefusal> {
    let untrusted = OPENSSL_sk_new_null()
    defer { OPENSSL_sk_free(untrusted) }
    for one in issued.intermediates {
      OPENSSL_sk_push(untrusted, UnsafeRawPointer(one.certificate))
    }
    return server.snapshot.trust.judge(leaf: issued.certificate, untrusted: untrusted)
  }
}
