import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.Identity`.
struct IdentityService: Sendable {
  func methods(_ gate: Gate) -> [TenancyMethod] {
    [gate.inline(V1.Identity.whoAmI, whoAmI)]
  }

  private func whoAmI(
    _ access: Access, _: V1.WhoAmIRequest
  ) throws(TenancyError) -> V1.WhoAmIResponse {
    let caller = access.caller
    var response = V1.WhoAmIResponse(subject: caller.subject, source: caller.source)
    if let home = access.home {
      response.tenant = TenantNames.collection + home.idText
      response.tenantSlug = home.tenant.slug.text
    }
    if case .platform(let roles) = caller.kind { response.platformRoles = roles }
    if let certificate = caller.certificate {
      response.certificateFingerprint = certificate.fingerprintText
      response.certificateExpireTime = GoogleProtobuf.Timestamp(seconds: certificate.notAfter)
    }
    if let token = caller.token {
      response.tokenId = token.tokenID
      response.tokenExpireTime = GoogleProtobuf.Timestamp(token.expireTime)
      // Who brings its tenant's own token is known by its certificate.
      if let presenter = caller.presenter, presenter.isPlatform, !presenter.isBearer {
        response.presentedBy = presenter.subject
      }
    }
    return response
  }
}
