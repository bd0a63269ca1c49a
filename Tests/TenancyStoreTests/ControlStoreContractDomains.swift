import Tenancy
import TenancyTestSupport
import Testing

/// What the checks of domains are made of.
enum ContractDomains {
  static func domain(
    _ name: String, of tenant: TenantID, by method: DomainProofMethod? = nil,
    _ digit: Character = "a"
  ) -> TenantDomain {
    guard let name = DomainName(parsing: name) else { preconditionFailure("no domain: \(name)") }
    let text = String(repeating: digit, count: 32)
    return TenantDomain(
      tenant: tenant, name: name, challenge: TenantDomain.Challenge(token: text, proof: text),
      claimTime: Timestamp(nanoseconds: 1),
      verification: method.map { .init(time: Timestamp(nanoseconds: 2), method: $0) })
  }
}

/// The checks of tenants' domains.
extension ControlStoreContract {
  static let domains = [
    ControlStoreContract("domains come back, move, and go") { open in
      let (one, other) = (Sample.tenant(1), Sample.tenant(2))
      let first = ContractDomains.domain("a.net", of: one.id, by: .http)
      let tenants: [Change] = [.putTenant(one), .putTenant(other)]
      let put = [
        first, ContractDomains.domain("b.net", of: one.id, by: .dns, "b"),
        ContractDomains.domain("c.net", of: one.id),
        ContractDomains.domain("a.net", of: other.id, "d"),
      ].map { Change.putDomain($0) }
      try withStore(open) { (store) throws in
        try store.append([Sample.entry(1, tenants + put.reversed())])
      }
      let moved = ContractDomains.domain("a.net", of: other.id, by: .dns, "d")
      let move: [Change] = [.deleteDomain(one.id, name: "a.net"), .putDomain(moved)]
      try withStore(open) { (store) throws in
        #expect(try store.load().changes == tenants + put)
        #expect(try ControlState(store.load()).domains.holder(of: first.name) == first)
        try store.append([Sample.entry(2, move)])
      }
      try withStore(open) { (store) throws in
        let domains = ControlState(try store.load()).domains
        #expect(domains.holder(of: first.name) == moved)
        #expect(domains.find(first.name, of: one.id) == nil && domains.count(of: one.id) == 2)
        let gone: [Change] = [
          .deleteDomain(other.id, name: "a.net"), .deleteDomain(one.id, name: "none.net"),
        ]
        try store.append([Sample.entry(3, gone)])
        #expect(try ControlState(store.load()).domains.holder(of: first.name) == nil)
        #expect(try store.entries(after: 1, limit: 2).map(\.changes) == [move, gone])
      }
    },
    ControlStoreContract("a domain is one tenant's, and of one that there is") { open in
      try withStore(open) { (store) throws in
        let (one, other) = (Sample.tenant(1), Sample.tenant(2))
        let mine = ContractDomains.domain("a.net", of: one.id, by: .dns)
        try store.append([
          Sample.entry(1, [.putTenant(one), .putTenant(other), .putDomain(mine)])
        ])
        for domain in [
          ContractDomains.domain("a.net", of: other.id, by: .dns),
          ContractDomains.domain("b.net", of: Sample.id(3)),
        ] {
          expectError(.conflict) { try store.append([Sample.entry(2, [.putDomain(domain)])]) }
        }
        #expect(try ControlState(store.load()).domains.holder(of: mine.name) == mine)
      }
    },
  ]
}
