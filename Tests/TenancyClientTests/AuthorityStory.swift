import TenancyClient
import TenancyRPC
import TenancyWire
import Testing

/// The life of certificate authorities: made, read, activated one after the other, and gone.
enum AuthorityStory {
  static func run(_ client: Stubs) async throws {
    let authorities = client.authorities
    func prepare(external: Bool = false) async throws -> V1.CertificateAuthority {
      try await authorities.prepareCertificateAuthority(
        V1.PrepareCertificateAuthorityRequest(trustDomain: "example.test", external: external))
    }
    func activate(_ name: String) async throws -> V1.CertificateAuthority {
      try await authorities.activateCertificateAuthority(
        V1.ActivateCertificateAuthorityRequest(name: name, force: true))
    }
    let first = try await prepare()
    #expect(first.state == .prepared && first.trustDomain == "example.test")
    #expect(first.propagation?.seconds == 3_600 && first.prepareTime != nil)
    let early = try await refusal {
      try await authorities.activateCertificateAuthority(
        V1.ActivateCertificateAuthorityRequest(name: first.name))
    }
    #expect(early.code == .failedPrecondition)
    let active = try await activate(first.name)
    #expect(active.state == .active)
    #expect(
      try await authorities.getCertificateAuthority(
        V1.GetCertificateAuthorityRequest(name: first.name)) == active)

    let asked = try await prepare(external: true)
    #expect(asked.state == .awaitingCertificate && !asked.certificateRequest.isEmpty)
    // That of another key.
    let wrong = try await refusal {
      try await authorities.importCertificateAuthority(
        V1.ImportCertificateAuthorityRequest(
          name: asked.name, certificateChain: active.certificateChain))
    }
    #expect(wrong.code == .invalidArgument)

    try await keysOfTokens(authorities)
    let second = try await activate(try await prepare().name)
    let list = try await authorities.listCertificateAuthorities(
      V1.ListCertificateAuthoritiesRequest()
    ).authorities
    #expect(list.map(\.name) == [first.name, asked.name, second.name])
    #expect(list.map(\.state) == [.retiring, .awaitingCertificate, .active])
    let left = try await authorities.retireCertificateAuthority(
      V1.RetireCertificateAuthorityRequest(name: first.name))
    #expect(left.authority == list.first)
    let gone = try await authorities.retireCertificateAuthority(
      V1.RetireCertificateAuthorityRequest(name: first.name, force: true))
    #expect(gone.authority == nil)
    let none = try await refusal {
      try await authorities.getCertificateAuthority(
        V1.GetCertificateAuthorityRequest(name: first.name))
    }
    #expect(none.code == .notFound)
  }

  private static func keysOfTokens(_ authorities: CertificateAuthoritiesClient) async throws {
    let key = try await authorities.prepareCertificateAuthority(
      V1.PrepareCertificateAuthorityRequest(trustDomain: "example.test", kind: .jwt))
    #expect(key.state == .prepared && key.kind == .jwt && key.certificateChain.isEmpty)
    #expect(key.publicKey.hasPrefix("{") && key.expireTime == nil)
    let active = try await authorities.activateCertificateAuthority(
      V1.ActivateCertificateAuthorityRequest(name: key.name, force: true))
    #expect(active.state == .active)
    for request in [
      V1.PrepareCertificateAuthorityRequest(
        trustDomain: "example.test", commonName: "x", kind: .jwt),
      V1.PrepareCertificateAuthorityRequest(
        trustDomain: "example.test", external: true, kind: .jwt),
      V1.PrepareCertificateAuthorityRequest(
        trustDomain: "example.test", lifetime: GoogleProtobuf.Duration(seconds: 3_600), kind: .jwt),
      V1.PrepareCertificateAuthorityRequest(
        trustDomain: "example.test", kind: V1.CertificateAuthority.Kind(rawValue: 7)),
    ] {
      let refused = try await refusal {
        try await authorities.prepareCertificateAuthority(request)
      }
      #expect(refused.code == .invalidArgument)
    }
    let gone = try await authorities.retireCertificateAuthority(
      V1.RetireCertificateAuthorityRequest(name: key.name, force: true))
    #expect(gone.authority == nil)
  }
}
