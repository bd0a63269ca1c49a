import TenancyTestSupport
import Testing

@testable import Tenancy
@testable import TenancyServer

struct TenantFilterTests {
  private static let tenants = [
    Sample.tenant(1, "acme"), Sample.tenant(2, "acme-eu", state: .suspended),
    Sample.tenant(3, "beta", state: .provisionFailed), Sample.tenant(4, "and"),
  ]

  @Test(arguments: [
    ("", "acme acme-eu beta and"), ("   ", "acme acme-eu beta and"),
    ("slug = acme", "acme"), ("slug=acme", "acme"), ("slug = \"acme\"", "acme"),
    ("slug = \"acme*\"", "acme acme-eu"), ("slug != \"acme*\"", "beta and"),
    ("slug!=acme", "acme-eu beta and"), ("slug = \"*\"", "acme acme-eu beta and"),
    ("slug = \"\"", ""), ("slug = ACME", ""), ("slug = \"a*e\"", ""), ("slug = and", "and"),
    ("state = ACTIVE", "acme and"), ("state = TENANT_STATE_ACTIVE", "acme and"),
    ("state = \"ACTIVE\"", "acme and"), ("state != ACTIVE", "acme-eu beta"),
    ("state = PROVISION_FAILED", "beta"), ("state = DELETED", ""),
    ("isolation_model = SCHEMA", "acme acme-eu beta and"),
    ("isolation_model = ISOLATION_MODEL_SHARED", ""),
    ("display_name = \"Display acme\"", "acme"),
    ("display_name = \"Display a*\"", "acme acme-eu and"),
    ("state = ACTIVE AND slug = \"acme-*\"", ""),
    ("state = SUSPENDED AND slug = \"acme-*\"", "acme-eu"),
    ("slug=\"a*\"AND slug!=acme AND slug!=and", "acme-eu"),
    ("slug = \"acme\" AND slug = \"beta\"", ""), ("display_name = \" AND slug = acme\"", ""),
  ])
  func selects(_ filter: String, _ slugs: String) throws {
    let parsed = try TenantFilter(parsing: filter)
    var budget = WorkBudget()
    let found = Self.tenants.filter { parsed.matches($0, &budget) }.map(\.slug.text)
    #expect(found.joined(separator: " ") == slugs)
  }

  @Test(arguments: [
    "slug", "slug =", "= acme", "slug acme", "slug = =", "slug == acme", "slug ! acme",
    "slug = acme AND", "AND slug = acme", "slug = acme slug = beta", "slug = acme OR slug = beta",
    "slug = acme and slug = beta", "NOT slug = acme", "(slug = acme)", "slug : acme",
    "slug > acme", "slug = \"acme", "slug = acme*", "slug = 'acme'", "SLUG = acme", "id = 1",
    "password = x", "configuration.database = x", "state = active", "state = TENANT_STATE_",
    "state = TENANT_STATE_TENANT_STATE_ACTIVE", "state = UNSPECIFIED", "state = \"ACTIVE*\"",
    "state = \"\"", "isolation_model = ACTIVE", "slug\n= acme", "slug = acme;", "slug = ä",
    "slug = acme -- ", "slug = \"a\"\u{301}", "\0",
  ])
  func refuses(_ filter: String) {
    let error = thrown { () throws(TenancyError) in try TenantFilter(parsing: filter) }
    #expect(error?.category == .invalidArgument)
    #expect(error?.violations.first?.field == "filter")
  }

  @Test func aFilterHasALimit() {
    let start = "slug = \""
    let room = TenantFilter.maximumLength - start.utf8.count - 1
    for (extra, isGood) in [(0, true), (1, false)] {
      let filter = start + String(repeating: "a", count: room + extra) + "\""
      let error = thrown { () throws(TenancyError) in try TenantFilter(parsing: filter) }
      #expect((error == nil) == isGood)
    }
  }
}
