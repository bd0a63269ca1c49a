internal import Tenancy

/// A tenant's domain as the log has it: {claimTime, method?, name, proof, tenant, token, verifyTime?}.
struct TenantDomainDocument: Codable {
  private let tenant, name, token, proof: String
  private let claimTime: Int64
  private let verifyTime: Int64?
  private let method: String?

  init(_ domain: TenantDomain) {
    tenant = domain.tenantText
    name = domain.name.text
    token = domain.challenge.token
    proof = domain.challenge.proof
    claimTime = domain.claimTime.nanoseconds
    verifyTime = domain.verification?.time.nanoseconds
    method = domain.verification?.method.rawValue
  }

  /// - Returns: nil for what this program does not write.
  func domain() -> TenantDomain? {
    guard let owner = TenantID(parsing: tenant), let name = DomainName(parsing: name) else {
      return nil
    }
    let proven = method.flatMap(DomainProofMethod.init(rawValue:))
    guard (verifyTime == nil) == (method == nil), (proven == nil) == (method == nil) else {
      return nil
    }
    let verification = verifyTime.flatMap { time in
      proven.map {
        TenantDomain.Verification(time: Timestamp(nanoseconds: time), method: $0)
      }
    }
    return TenantDomain(
      tenant: owner, name: name, challenge: TenantDomain.Challenge(token: token, proof: proof),
      claimTime: Timestamp(nanoseconds: claimTime), verification: verification)
  }

  /// What the encoder makes of the document.
  static func write(_ domain: TenantDomain, to json: inout JSONText) throws(StoreError) {
    try json.object { json throws(StoreError) in
      json.pair("claimTime", domain.claimTime)
      if let verification = domain.verification {
        json.pair("method", verification.method.rawValue)
      }
      json.pairs(
        ("name", domain.name.text), ("proof", domain.challenge.proof),
        ("tenant", domain.tenantText), ("token", domain.challenge.token))
      json.pair("verifyTime", domain.verification?.time)
    }
  }
}
