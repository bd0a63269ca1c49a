import TenancyTestSupport
import Testing

@testable import Tenancy
@testable import TenancyRPCServer
@testable import TenancyServer

struct IdentityRulesTests {
  private static let rules: IdentityRules = {
    var rules = IdentityRules(trustDomains: ["example.org", "b.test"])
    rules.unixUsers = [0: ["admin"], 7: []]
    rules.trustDomains["b.test"] = TrustDomainGrant(
      platformRoles: ["viewer"], tenants: ["acme", id])
    return rules
  }()

  private static let id = Sample.id(1).description

  @Test(arguments: [
    "spiffe://example.org/tenant/acme", "spiffe://b.test/tenant/acme/workload/a.B_c-1",
    "spiffe://example.org/tenant/\(id)/x", "spiffe://example.org/platform/admin",
    "spiffe://example.org/platform/nobody-knows/this", "spiffe://b.test/platform/viewer",
    "spiffe://b.test/platform/viewer/dashboard", "spiffe://b.test/tenant/\(id)",
  ])
  func accepts(_ name: String) {
    #expect(Self.rules.refusal(of: Sample.certificate([name])) == nil)
  }

  @Test(arguments: [
    "", "spiffe://", "spiffe://example.org", "spiffe://example.org/", "spiffe:///tenant/acme",
    "spiffe://example.org/tenant", "spiffe://example.org/tenant/", "spiffe://example.org/platform",
    "spiffe://example.org/platform/", "spiffe://example.org/other/acme",
    "spiffe://example.org//tenant/acme", "spiffe://example.org/tenant//acme",
    "spiffe://example.org/tenant/acme/", "spiffe://example.org/./tenant/acme",
    "spiffe://example.org/x/../tenant/acme", "spiffe://example.org/tenant/../platform/admin",
    "spiffe://example.org/Tenant/acme", "spiffe://example.org/tenant/Acme",
    "spiffe://example.org/tenant/a_b", "spiffe://example.org/tenant/a.b",
    "spiffe://example.org/tenant/-acme", "spiffe://example.org/tenant/%61cme",
    "spiffe://example.org/tenant/0190B0C0-1234-7ABC-9DEF-0123456789AB",
    "spiffe://example.org/tenant/00000000-0000-0000-0000-000000000000",
    "spiffe://example.org/tenant/acme?x", "spiffe://example.org/tenant/acme#x",
    "spiffe://example.org/tenant/äcme", "spiffe://example.org/tenant/acme\0",
    "spiffe://Example.org/tenant/acme", "spiffe://example.org:443/tenant/acme",
    "spiffe://user@example.org/tenant/acme", "SPIFFE://example.org/tenant/acme",
    "https://example.org/tenant/acme", "spiffe:/example.org/tenant/acme",
    " spiffe://example.org/tenant/acme", "spiffe://evil.org/tenant/acme",
    "spiffe://example.org.evil.org/tenant/acme", "spiffe://example.orgx/platform/admin",
    "spiffe://x.example.org/platform/admin", "tenant/acme",
    "spiffe://example.org/platform/admin/x/y", "spiffe://b.test/platform/admin",
    "spiffe://b.test/platform/*", "spiffe://b.test/tenant/globex/app",
    "spiffe://example.org/tenant/acme/" + String(repeating: "x", count: 2048),
  ])
  func refuses(_ name: String) {
    #expect(Self.rules.refusal(of: Sample.certificate([name])) != nil)
  }

  @Test func onlyTheFirstTrustDomainNamesWhatItLikes() {
    let rules = IdentityRules(trustDomains: ["own.test", "partner.test"])
    for path in ["platform/admin", "platform/viewer", "tenant/acme/app"] {
      #expect(rules.refusal(of: Sample.certificate(["spiffe://own.test/\(path)"])) == nil)
      #expect(rules.refusal(of: Sample.certificate(["spiffe://partner.test/\(path)"])) != nil)
    }
  }

  @Test func exactlyOneNameOfALeaf() {
    let good = "spiffe://example.org/tenant/acme"
    for names in [
      [], [good, good], [good, "https://example.org"], ["https://example.org", good],
    ] {
      #expect(Self.rules.refusal(of: Sample.certificate(names)) != nil)
    }
    #expect(Self.rules.refusal(of: Sample.certificate([good], isAuthority: true)) != nil)
    #expect(IdentityRules(trustDomains: []).refusal(of: Sample.certificate([good])) != nil)
  }

  private static func kind(_ peer: Peer) -> String? {
    guard case .success(let caller) = rules.caller(peer) else { return nil }
    switch caller.kind {
    case .platform(let roles): return "\(caller.subject) is platform \(roles)"
    case .tenant(let name): return "\(caller.subject) is of \(name)"
    }
  }

  @Test func peersBecomeCallers() {
    let workload = "spiffe://example.org/tenant/acme/w"
    #expect(
      Self.kind(.certificate(Sample.certificate([workload]))) == "\(workload) is of acme")
    let admin = "spiffe://example.org/platform/admin/x"
    #expect(
      Self.kind(.certificate(Sample.certificate([admin]))) == "\(admin) is platform [\"admin\"]")
    #expect(Self.kind(.certificate(Sample.certificate([]))) == nil)
    #expect(Self.kind(.anonymous) == nil)
    let users: [(UInt32, String?)] = [
      (0, "uid:0 is platform [\"admin\"]"), (7, "uid:7 is platform []"), (8, nil),
    ]
    for (user, expected) in users {
      let peer = Peer.unixProcess(UnixCredentials(userID: user, groupID: 0, processID: 1))
      #expect(Self.kind(peer) == expected)
    }
  }

  @Test func aCredentialEndsWithTheSecondOfNotAfter() {
    func end(_ notAfter: Int64) -> Timestamp? {
      let certificate = Sample.certificate([], notAfter: notAfter)
      return Caller(
        .platform(roles: []), subject: "x", source: .certificate, certificate: certificate,
        rules: Self.rules
      )
      .expireTime
    }
    #expect(end(10) == Timestamp(nanoseconds: 10_999_999_999))
    for far in [253_402_300_799, Int64.max] {
      #expect(end(far) == Timestamp(nanoseconds: .max))
    }
  }

  @Test func rolesThatAreNotKnownAllowNothing() {
    let caller = Caller(
      .platform(roles: ["nobody-knows"]), subject: "x", source: .certificate, certificate: nil,
      rules: Self.rules)
    #expect(MethodRule.all.allSatisfy { !caller.permits($0) })
  }
}
