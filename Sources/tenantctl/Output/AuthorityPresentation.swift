import TenancyWire

extension V1.CertificateAuthority: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Name", name)
    fields.add("Kind", kind.shortName)
    fields.add("State", state.shortName)
    fields.add("Trust domain", trustDomain)
    fields.add("Propagation", propagation.map { "\($0.seconds) s" } ?? "")
    fields.add("Created", createTime?.text ?? "")
    fields.add("Prepared", prepareTime?.text ?? "")
    fields.add("Activated", activateTime?.text ?? "")
    fields.add("Retired", retireTime?.text ?? "")
    fields.add("Trusted until", trustUntil?.text ?? "")
    fields.add("Expires", expireTime?.text ?? "")
    fields.add("Public key", publicKey)
    fields.add("Etag", etag)
    // Of PEM the line breaks count.
    let pem = certificateChain.isEmpty ? certificateRequest : certificateChain
    return fields.lines() + pem.split(separator: "\n").map { Printable.text(String($0)) }
  }
}

extension V1.ListCertificateAuthoritiesResponse: Presentable {
  func lines() -> [String] {
    var table = Table("AUTHORITY", "KIND", "STATE", "TRUST DOMAIN", "EXPIRES", "TRUSTED UNTIL")
    for authority in authorities {
      table.add(
        ResourceName.last(authority.name), authority.kind.shortName, authority.state.shortName,
        authority.trustDomain, authority.expireTime?.text ?? "", authority.trustUntil?.text ?? "")
    }
    return table.lines()
  }
}
