import TenancyRPC
import Testing

@testable import TenancyWire

@Suite struct MethodSpecTests {
  @Test func requirementsComeFromTheProtos() {
    let create = V1.TenantManager.createTenant
    #expect(create.path == "/tenancy.v1.TenantManager/CreateTenant")
    #expect(
      create.requirement == Requirement(permission: "tenancy.tenants:create", scope: .platform))
    #expect(create.tenantField == nil)
    #expect(V1.Identity.whoAmI.requirement == Requirement(permission: "", scope: .ownSelf))
    #expect(V1.TenantManager.updateTenant.requirement.tenantField == "tenant.name")
  }

  @Test func everyMethodIsListedOnce() {
    #expect(V1.methods.count == 122)
    #expect(Set(V1.methods.map(\.path)).count == V1.methods.count)
    for method in V1.methods where [.platform, .tenant].contains(method.requirement.scope) {
      #expect(method.requirement.permission.hasPrefix("tenancy."))
    }
  }

  @Test func absentMessagesNameNoTenant() throws {
    let arena = Arena()
    let field = try #require(V1.TenantManager.updateTenant.tenantField)
    let request = V1.UpdateTenantRequest().write(into: arena)
    #expect(field(request).len == 0)
  }
}
