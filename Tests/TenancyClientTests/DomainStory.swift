import Tenancy
import TenancyClient
import TenancyRPC
import TenancyWire
import Testing

/// Finds the challenges of some domains, and says of others that they are not there.
struct WrittenDomains: DomainChecker {
  let proven: String

  func look(_ check: DomainCheck) async -> DomainFinding {
    check.name.text == proven ? .proven : .notProven(seen: "nothing")
  }
}

/// The life of a domain: claimed, not proven, proven, a tenant's, another tenant's, and nobody's.
enum DomainStory {
  static let proven = "shop.acme-wares.com"

  static func run(_ client: Stubs) async throws {
    let acme = try await client.createActive("acme")
    let globex = try await client.createActive("globex")
    let domains = client.domains
    func claim(_ domain: String, _ tenant: V1.Tenant) async throws -> V1.TenantDomain {
      try await domains.claimTenantDomain(
        V1.ClaimTenantDomainRequest(parent: tenant.name, domain: domain))
    }
    func verify(_ name: String) async throws -> V1.TenantDomain {
      try await domains.verifyTenantDomain(
        V1.VerifyTenantDomainRequest(name: name, method: .dns))
    }
    func list(_ tenant: V1.Tenant) async throws -> [V1.TenantDomain] {
      try await domains.listTenantDomains(V1.ListTenantDomainsRequest(parent: tenant.name)).domains
    }
    func resolve() async throws -> V1.ResolveTenantResponse {
      try await client.resolver.resolveFromSubdomain(
        V1.ResolveFromSubdomainRequest(host: "Shop.ACME-wares.com.:8443"))
    }

    let other = try await claim("other.acme-wares.com", acme)
    #expect(other.state == .pending && other.expireTime != nil && other.verifyTime == nil)
    let refused = try await refusal { try await verify(other.name) }
    #expect(refused.code == .failedPrecondition)
    let pending = try await claim("Shop.Acme-Wares.com", acme)
    #expect(pending.name == "\(acme.name)/domains/\(proven)" && pending.domain == proven)
    #expect(pending.challenge?.txtName == "_tenancy-challenge.\(proven)")
    #expect(pending.challenge?.txtValue == pending.challenge?.httpContent)
    #expect(try await claim(proven, acme) == pending)
    #expect(try await refusal { try await resolve() }.code == .notFound)

    let verified = try await verify(pending.name)
    #expect(verified.state == .verified && verified.method == .dns && verified.challenge == nil)
    #expect(try await verify(pending.name) == verified)
    #expect(try await claim(proven, acme) == verified)
    #expect(try await list(acme) == [other, verified])
    let resolved = try await resolve()
    #expect(resolved.tenant?.name == acme.name && resolved.strategy == .subdomain)

    let taken = try await verify(try await claim(proven, globex).name)
    #expect(try await resolve().tenant?.name == globex.name)
    #expect(try await list(acme) == [other])
    #expect(try await list(globex) == [taken])
    let gone = try await refusal {
      try await domains.getTenantDomain(V1.GetTenantDomainRequest(name: verified.name))
    }
    #expect(gone.code == .notFound)
    _ = try await domains.releaseTenantDomain(V1.ReleaseTenantDomainRequest(name: taken.name))
    #expect(try await refusal { try await resolve() }.code == .notFound)
  }
}
