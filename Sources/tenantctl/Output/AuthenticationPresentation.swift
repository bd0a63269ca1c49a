import TenancyWire

extension V1.AuthenticationSettings: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Own tokens", Self.word(!disableOwnTokens))
    fields.add("Life of these", maximumLife.map { "\($0.seconds) s" } ?? "as the server has it")
    fields.add("External issuers", Self.word(!disableExternalIssuers))
    fields.add("Platform issuers", Self.word(!disablePlatformIssuers))
    fields.add("Binding", requireBinding ? "required of all tokens" : "as the server has it")
    fields.add("Etag", etag)
    return fields.lines() + issuers.flatMap { [""] + $0.lines }
  }

  private static func word(_ isOn: Bool) -> String { isOn ? "accepted" : "refused" }
}

extension V1.ExternalIssuer {
  fileprivate var lines: [String] {
    var fields = Fields()
    fields.add("Issuer", disabled ? "\(id) (disabled)" : id)
    fields.add("URI", issuer)
    fields.add("Algorithms", algorithms.joined(separator: " "))
    fields.add("Types", acceptJwtType ? "at+jwt JWT" : "at+jwt")
    fields.add("Audiences", each: audiences.isEmpty ? ["the tenant's own"] : audiences)
    fields.add("Subjects", "\(subjectPrefix){\(subjectClaim)}")
    fields.add("Required", each: requiredClaims.map { "\($0.name) = \($0.value)" })
    fields.add("Permissions", permissionsClaim.isEmpty ? "" : "by {\(permissionsClaim)}")
    fields.add("Life", maximumLife.map { "at most \($0.seconds) s" } ?? "")
    fields.add("Binding", requireBinding ? "required" : "")
    fields.add("Keys", jwksUri.isEmpty ? jsonWebKeySet : "from \(jwksUri)")
    fields.add("Pins", each: keyPins)
    return fields.lines()
  }
}
