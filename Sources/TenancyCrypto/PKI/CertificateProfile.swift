/// What a certificate is for; decides its names and its extended key usage.
package struct CertificateProfile: Sendable, Hashable {
  let commonName: String
  let purpose: Purpose
  /// Behind the trust domain in the SPIFFE ID.
  let path: [String]
  let dnsNames: [String]
  let addresses: [String]

  enum Purpose: String {
    case server = "serverAuth"
    case client = "clientAuth"
  }

  /// A server, known by host names, addresses and `spiffe://{domain}/platform/tenantd`.
  package static func server(dnsNames: [String], addresses: [String] = []) -> CertificateProfile {
    CertificateProfile(
      commonName: dnsNames.first ?? addresses.first ?? "tenantd", purpose: .server,
      path: ["platform", "tenantd"], dnsNames: dnsNames, addresses: addresses)
  }

  /// A tenant's workload: `spiffe://{domain}/tenant/{slug or id}/{workload}`.
  package static func workload(tenant: String, workload: String) -> CertificateProfile {
    CertificateProfile(
      commonName: "\(tenant)/\(workload)", purpose: .client, path: ["tenant", tenant, workload],
      dnsNames: [], addresses: [])
  }

  /// An operator or a part of the platform: `spiffe://{domain}/platform/{role}`.
  package static func platform(role: String) -> CertificateProfile {
    CertificateProfile(
      commonName: role, purpose: .client, path: ["platform", role], dnsNames: [], addresses: [])
  }

  /// The subjectAltName's entries: exactly one URI, which is the identity.
  func names(trustDomain: String) throws(PKIError) -> [AlternativeName] {
    if path.first == "tenant", path.count > 1 { _ = try NameRules.tenant(path[1]) }
    var names: [AlternativeName] = []
    for name in dnsNames { names.append(try AlternativeName(dns: name)) }
    for address in addresses { names.append(try AlternativeName(address: address)) }
    if purpose == .server, names.isEmpty {
      throw PKIError(.invalidName, "a server needs a DNS name or an address")
    }
    return names + [.uri(try NameRules.spiffeID(trustDomain, path))]
  }
}
