import Tenancy
import TenancyRPC

/// The registration entry that a workload's certificate was issued by. The certificate is good for as long as it is
/// there.
struct Registration: Sendable {
  /// Its id.
  private let entry: String
  /// The certificate's trust domain, where it is not the server's own: whether entries of that one are here is for the
  /// store to say. Others', such as a partner's that runs this server as well, are not.
  private let foreignDomain: String?

  /// For people.
  static let reason = "the registration entry that it was issued by is gone"

  /// - Returns: nil for a certificate that names none, as those made by hand.
  init?(of certificate: PeerCertificate, by rules: IdentityRules) {
    guard let entry = certificate.registration else { return nil }
    self.entry = entry
    // Where there is no telling whose it is, it is taken for one of the server's own.
    let domain = certificate.uriNames.first.flatMap { SPIFFEID(parsing: $0) }?.trustDomain
    foreignDomain = domain.flatMap { rules.registeredDomains.contains($0) ? nil : $0 }
  }

  /// Whether it is gone.
  func hasLapsed(in state: borrowing ControlState) -> Bool {
    if let foreignDomain, !state.authorities.know(domain: foreignDomain) { return false }
    return state.workloads.find(entry) == nil
  }
}
