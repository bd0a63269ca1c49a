import TenancyTestSupport
import Testing

@testable import Tenancy
@testable import TenancyServer

struct TenantNamesTests {
  private static let acme = Sample.tenant(1, "acme")
  private static let beta = Sample.tenant(2, "beta")
  /// A slug that reads like the collection.
  private static let tenants = Sample.tenant(3, "tenants")

  private static var state: ControlState {
    var state = ControlState()
    state.apply([acme, beta, tenants].map(Change.putTenant), revision: 1)
    return state
  }

  private static func find(
    _ name: String, _ form: TenantNames.Form = .tenant
  ) throws(TenancyError) -> TenantID {
    try name.withBytes { bytes throws(TenancyError) in
      try TenantNames.find(bytes.bytes, form, field: "parent", state, at: Sample.moment).tenant.id
    }
  }

  private static func requireAcme(
    _ name: String, _ form: TenantNames.Form = .tenant
  ) -> TenancyError? {
    guard let home = state.find("acme") else { preconditionFailure("no home") }
    return thrown { () throws(TenancyError) in
      try name.withBytes { bytes throws(TenancyError) in
        try TenantNames.require(bytes.bytes, form, field: "parent", toBe: home, at: Sample.moment)
      }
    }
  }

  private static let id = acme.id.description

  @Test(arguments: ["acme", "tenants/acme", id, "tenants/\(id)"])
  func namesOfOneTenant(_ name: String) throws {
    #expect(try Self.find(name) == Self.acme.id)
    #expect(Self.requireAcme(name) == nil)
  }

  @Test(arguments: ["tenants/acme/", "tenants/acme/roles/x", "tenants/\(id)/assignments/1"])
  func namesOfWhatIsInATenantAreNotItsName(_ name: String) throws {
    #expect(try Self.find(name, .child) == Self.acme.id)
    #expect(Self.requireAcme(name, .child) == nil)
    #expect(thrown { () throws(TenancyError) in try Self.find(name) }?.reason == .invalidField)
    #expect(Self.requireAcme(name)?.reason == .invalidField)
  }

  @Test func theCollectionIsAPrefixOnlyWithItsSlash() throws {
    #expect(try Self.find("tenants") == Self.tenants.id)
    #expect(try Self.find("tenants/tenants") == Self.tenants.id)
    #expect(try Self.find("tenants/beta") == Self.beta.id)
  }

  @Test(arguments: [
    "beta", "tenants/beta", "nobody", "tenants/nobody", "tenants",
    Sample.id(2).description, Sample.id(9).description,
  ])
  func othersAnswerAlike(_ name: String) {
    let error = Self.requireAcme(name)
    #expect(error?.reason == .tenantMismatch)
    #expect(error?.message == TenancyError.tenantMismatch.message)
  }

  @Test(arguments: [
    "nobody", "tenants/nobody", Sample.id(9).description, "0190b0c0-1234-4abc-9def-0123456789ab",
  ])
  func unknownNamesAreNotFound(_ name: String) {
    #expect(thrown { () throws(TenancyError) in try Self.find(name) }?.reason == .tenantNotFound)
  }

  @Test(arguments: [
    "", "/", "tenants/", "tenants//acme", "acme/roles/x", "/acme", "/tenants/acme", "ACME",
    "tenants/ACME",
    "tenants/acme ", "tenants/acme\0", "tenants/a.b", "tenants/../acme", "tenants/äcme",
    "0190B0C0-1234-7ABC-9DEF-0123456789AB", "{\(id)}", "tenants\\acme",
    String(repeating: "a", count: 64), String(repeating: "a", count: 100_000),
  ])
  func malformedNames(_ name: String) {
    for error in [
      thrown { () throws(TenancyError) in try Self.find(name) }, Self.requireAcme(name),
    ] {
      #expect(error?.category == .invalidArgument)
      #expect(error?.violations.first?.field == "parent")
    }
  }

  /// Of a name of megabytes no more is read than tells that it is no tenant's.
  @Test func longNamesAreNotReadToTheirEnd() throws {
    let long = "tenants/" + String(repeating: "a", count: 4 << 20) + "/roles/x"
    try long.withBytes { bytes throws(TenancyError) in
      let read = TenantNames.bareName(bytes.bytes, .child).byteCount
      #expect(read == TenantNames.maximumLength + 1)
    }
    for form in [TenantNames.Form.tenant, .child] {
      #expect(Self.requireAcme(long, form)?.reason == .invalidField)
      let error = thrown { () throws(TenancyError) in try Self.find(long, form) }
      #expect(error?.reason == .invalidField)
    }
    let longest = String(repeating: "a", count: TenantNames.maximumLength)
    #expect(Self.requireAcme(longest)?.reason == .tenantMismatch)
    #expect(Self.requireAcme(longest + "a")?.reason == .invalidField)
  }
}
