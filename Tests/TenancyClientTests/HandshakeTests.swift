import Tenancy
import TenancyClient
import TenancyCrypto
import TenancyRPC
import TenancyWire
import Testing

@Suite("Certificates that don't fit", .timeLimit(.minutes(1)))
struct HandshakeTests {
  /// A client's certificate that the server refuses, and the word in the log that says why.
  struct Refused: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var profile = CertificateProfile.operatorProfile
    var authority = "ca"
    var isExpired = false
    let why: String
  }

  static let refused = [
    Refused(testDescription: "of an unknown CA", authority: "impostor", why: "issuer"),
    Refused(
      testDescription: "of a foreign trust domain", authority: "neighbour",
      why: "foreign trust domain neighbour.example"),
    Refused(testDescription: "expired", isExpired: true, why: "expired"),
    Refused(testDescription: "a server's", profile: .localServer, why: "purpose"),
  ]

  @Test(arguments: refused)
  func serverRefuses(_ given: Refused) async throws {
    try await withLiveServer { server in
      let files = try server.certificates.issue(
        given.profile, by: given.authority, expired: given.isExpired)
      let status = try await refusal {
        try await server.over(files) { try await $0.identity.whoAmI(V1.WhoAmIRequest()) }
      }
      #expect(status.code == .unavailable)
      #expect(status.message.contains("refused our certificate"), "\(status)")
      // The reason is in the log and nowhere else.
      #expect(!status.message.contains(Certificates.neighbourDomain))
      #expect(status.details.isEmpty)
      let reason = try #require(await server.events.nextRefusal())
      #expect(reason.contains(given.why), "\(reason)")
    }
  }

  @Test func anExpiryIsNoticedOnOpenConnections() async throws {
    try await withLiveServer { server in
      try await server.asOperator(over: .mutualTLS) { client in
        _ = try await client.identity.whoAmI(V1.WhoAmIRequest())
        server.clock.advance(by: Days(Int64(CertificateAuthority.defaultLeafDays) + 1))
        let status = try await refusal {
          try await client.identity.whoAmI(V1.WhoAmIRequest())
        }
        #expect(status.code == .unauthenticated)
        #expect(status.errorInfo?.reason == "IDENTITY_EXPIRED")
      }
    }
  }

  @Test func theFingerprintIsThatOfTheCertificate() async throws {
    try await withLiveServer { server in
      let files = try server.certificates.issue(.platform(role: "viewer"))
      try await server.over(files) { client in
        let me = try await client.identity.whoAmI(V1.WhoAmIRequest())
        #expect(me.certificateFingerprint == (try server.certificates.fingerprint(files)))
        #expect(me.platformRoles == ["viewer"])
        let status = try await refusal { try await client.create("acme") }
        #expect(status.errorInfo?.metadata == ["permission": "tenancy.tenants:create"])
      }
    }
  }

  @Test func aClientWithoutACertificate() async throws {
    try await withLiveServer { server in
      var configuration = TLSContext.Configuration(
        try server.certificates.issue(.operatorProfile))
      configuration.certificateChain = nil
      configuration.privateKey = nil
      let channel = RPCChannel(server.target(), tls: try TLSContext(.client, configuration))
      let status = try await refusal {
        try await Stubs.run(channel) { try await $0.identity.whoAmI(V1.WhoAmIRequest()) }
      }
      #expect(status.code == .unavailable)
      #expect(status.message.contains("wants a certificate, and got none"), "\(status)")
    }
  }

  @Test func clientRefusesAServerOfAnotherName() async throws {
    try await withLiveServer { server in
      let files = try server.certificates.issue(.operatorProfile)
      let status = try await refusal {
        try await server.over(files, serverName: "tenantd.elsewhere.example") {
          try await $0.identity.whoAmI(V1.WhoAmIRequest())
        }
      }
      #expect(status.code == .unavailable)
      #expect(status.message.contains("it is not for the name"), "\(status)")
      let me = try await server.over(files, serverName: "localhost") {
        try await $0.identity.whoAmI(V1.WhoAmIRequest())
      }
      #expect(me.subject == "spiffe://example.org/platform/admin")
    }
  }

  @Test func clientRefusesAServerOfAnotherAuthority() async throws {
    try await withLiveServer { server in
      let files = try server.certificates.issue(.operatorProfile, trusting: "impostor.pem")
      let status = try await refusal {
        try await server.over(files) { try await $0.identity.whoAmI(V1.WhoAmIRequest()) }
      }
      #expect(status.code == .unavailable)
      #expect(status.message.contains("certificate is refused"), "\(status)")
    }
  }

  /// The public client, as the README shows it.
  @Test func theWholeClientConnects() async throws {
    try await withLiveServer { server in
      let tls = try TLSContext(.client, server.certificates.issue(.operatorProfile))
      let client = TenancyClient(server.target(), tls: tls)
      let me = try await client.identity.whoAmI(V1.WhoAmIRequest())
      #expect(me.source == .certificate)
      await client.close()
      let status = try await refusal { try await client.identity.whoAmI(V1.WhoAmIRequest()) }
      #expect(status.code == .unavailable)
    }
  }
}
