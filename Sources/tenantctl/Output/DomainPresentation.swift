import TenancyWire

extension V1.TenantDomain: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Name", name)
    fields.add("State", state.text)
    fields.add("Claimed", claimTime?.text ?? "")
    fields.add("Expires", expireTime?.text ?? "")
    fields.add("Verified", verifyTime?.text ?? "")
    fields.add("Method", method.text)
    guard let challenge else { return fields.lines() }
    return fields.lines() + [""] + challenge.lines()
  }
}

extension V1.DomainChallenge {
  /// What is to be set, to be copied.
  fileprivate func lines() -> [String] {
    var lines: [String] = []
    if !txtName.isEmpty {
      lines += [
        "Set this record, and verify with --method dns:",
        "  \(Printable.text(txtName)). TXT \"\(Printable.text(txtValue))\"",
      ]
    }
    return lines + [
      "\(lines.isEmpty ? "S" : "Or s")erve this document, and verify with --method http:",
      "  \(Printable.text(httpUrl))", "  with the content \(Printable.text(httpContent))",
    ]
  }
}

extension V1.TenantDomainState {
  fileprivate var text: String {
    switch self {
    case .pending: "pending"
    case .verified: "verified"
    default: "\(rawValue)"
    }
  }
}

extension V1.DomainProofMethod {
  fileprivate var text: String {
    switch self {
    case .unspecified: ""
    case .dns: "dns"
    case .http: "http"
    default: "\(rawValue)"
    }
  }
}

extension V1.ListTenantDomainsResponse: Presentable {
  func lines() -> [String] {
    var table = Table("DOMAIN", "STATE", "METHOD", "VERIFIED", "EXPIRES")
    for domain in domains {
      table.add(
        domain.domain, domain.state.text, domain.method.text, domain.verifyTime?.text ?? "",
        domain.expireTime?.text ?? "")
    }
    return table.lines() + Paging.note(nextPageToken)
  }
}
