import TenancyTestSupport
import Testing

@testable import Tenancy
@testable import TenancyServer

struct TenantFilterTests {
  @Test(arguments: [
    ("(-5 OR -6)", [-5]), ("(NOT -5)", [5, 7]), ("(5 OR -5)", [-5, 5]), ("(-(5 OR -5))", [7]),
    ("(NOT (-5 OR 7))", [5]), ("(-x)", [-5, 5, 7]), ("-5", [-5]),
  ])
  func aMinusBelongsToItsNumber(_ values: String, _ numbers: [Double]) throws {
    let filter = try TenantFilter(parsing: "custom_settings.n = \(values)")
    var budget = WorkBudget()
    let found = [-5.0, 5, 7].filter { number in
      var tenant = Sample.tenant(1, "acme")
      tenant.configuration.customSettings = ["n": .number(number)]
      return filter.matches(tenant, &budget)
    }
    #expect(found == numbers)
  }

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
    ("slug = acme OR slug = beta", "acme beta"), ("NOT slug = acme", "acme-eu beta and"),
    ("-slug = acme", "acme-eu beta and"), ("(slug = acme)", "acme"), ("slug = 'acme'", "acme"),
    ("slug = acme slug = beta", ""), ("slug > acme", "acme-eu beta and"), ("slug >= b", "beta"),
    ("slug <= acme", "acme"), ("slug < acme", ""), ("slug = (acme OR beta)", "acme beta"),
    ("slug = (NOT acme)", "acme-eu beta and"), ("slug = (-acme)", "acme-eu beta and"),
    // OR binds tighter than AND, and so than what stands side by side.
    ("state = ACTIVE AND slug = acme OR slug = beta", "acme"),
    ("slug = beta OR slug = acme AND state = ACTIVE", "acme"),
    ("state = ACTIVE slug = acme OR slug = beta", "acme"),
    ("(state = ACTIVE AND slug = and) OR slug = beta", "beta and"),
    ("NOT state = ACTIVE OR slug = and", "acme-eu beta and"),
    ("NOT (state = ACTIVE OR slug = beta)", "acme-eu"), ("-(slug=\"a*\")(state!=ACTIVE)", "beta"),
    ("slug = \"acme\\*\"", ""), ("slug = \"a\\cme\"", nil),
    ("plan = \"\"", "acme acme-eu beta and"),
    ("create_time > \"1970-01-01T00:00:00Z\"", "acme acme-eu beta and"),
    ("create_time = \"2027-01-15T09:00:00+01:00\"", "acme acme-eu beta and"),
    ("create_time < \"2027-01-15T08:00:00.000000001Z\"", "acme acme-eu beta and"),
    ("create_time < \"2027-01-15T08:00:00Z\"", ""), ("labels:a", ""), ("labels.a != x", ""),
    ("NOT labels.a = x", "acme acme-eu beta and"),
  ])
  func joins(_ filter: String, _ slugs: String?) throws {
    guard let slugs else { return refuses(filter) }
    try selects(filter, slugs)
  }

  @Test(arguments: [
    "slug", "slug =", "= acme", "slug acme", "slug = =", "slug == acme", "slug ! acme",
    "slug = acme AND", "AND slug = acme", "slug = acme and slug = beta", "slug : acme",
    "slug = \"acme", "slug = acme*", "slug = *", "SLUG = acme", "id = 1", "slug.x = acme",
    "password = x", "configuration.database = x", "state = active", "state = TENANT_STATE_",
    "state = TENANT_STATE_TENANT_STATE_ACTIVE", "state = UNSPECIFIED", "state = \"ACTIVE*\"",
    "state = \"\"", "state < ACTIVE", "isolation_model = ACTIVE", "slug\n= acme", "slug = acme;",
    "slug = ä", "slug = acme -- ", "slug = \"a\"\u{301}", "\0", "()", "(slug = acme",
    "slug = acme)",
    "slug != (a OR b)", "slug = ()", "slug = (a OR)", "slug = (slug = a)", "NOT",
    "NOT NOT slug = a",
    "- slug = a", "slug = AND", "slug = a OR OR slug = b", "slug < \"a*\"", "labels = x",
    "labels. = x", "labels.=x", "labels:\"a*\"", "feature_flags.x = 1", "feature_flags.x < true",
    "custom_settings.x < true", "create_time = 2026-01-31T09:30:00Z", "create_time = \"2026\"",
    "create_time = \"2026-02-29T00:00:00Z\"", "create_time = \"2026-01-01T24:00:00Z\"",
    "create_time = \"2026-01-01T00:00:60Z\"", "create_time = \"1969-12-31T23:59:59Z\"",
    "create_time = \"1970-01-01T00:00:00+00:01\"", "create_time = \"2026-01-01T00:00:00\"",
    "create_time = \"2026-01-01T00:00:00.Z\"", "create_time : \"2026-01-01T00:00:00Z\"",
    "create_time = \"2026-01-01T00:00:00.0000000001Z\"", "update_time = \"*\"",
  ])
  func refuses(_ filter: String) {
    let error = thrown { () throws(TenancyError) in try TenantFilter(parsing: filter) }
    #expect(error?.category == .invalidArgument && error?.reason == .invalidFilter)
    #expect(error?.violations.first?.field == "filter")
  }

  @Test(arguments: [
    ("slug", 5), ("slug = acme AND", 16), ("slug = acme AND x = 1", 17), ("slug = acme ;", 13),
    ("(slug = acme", 1), ("slug = acme)", 12), ("slug = \"a", 8), ("slug = \"a\\b\"", 10),
    ("state = X", 9), ("slug ? x", 6), ("labels.a = ", 12),
  ])
  func anErrorSaysWhere(_ filter: String, _ position: Int) {
    let error = thrown { () throws(TenancyError) in try TenantFilter(parsing: filter) }
    #expect(error?.metadata["position"] == String(position))
    #expect(error?.message.hasSuffix(", at \(position)") == true)
  }

  @Test func comparisonsAndParenthesesHaveLimits() throws {
    let most = FilterParser.maximumTests
    for (count, isGood) in [(most, true), (most + 1, false)] {
      let filter = Array(repeating: "slug=a", count: count).joined(separator: " ")
      let error = thrown { () throws(TenancyError) in try TenantFilter(parsing: filter) }
      #expect((error == nil) == isGood)
    }
    let deepest = FilterParser.maximumDepth
    for (depth, isGood) in [(deepest, true), (deepest + 1, false), (900, false)] {
      for negation in ["", "-"] {
        let filter =
          String(repeating: negation + "(", count: depth) + "slug=a"
          + String(repeating: ")", count: depth)
        let error = thrown { () throws(TenancyError) in try TenantFilter(parsing: filter) }
        #expect((error == nil) == isGood)
      }
    }
    // What is behind one another is not within each other.
    _ = try TenantFilter(parsing: String(repeating: "(slug=a)", count: 90))
  }

  @Test func aFilterHasALimit() {
    let start = "slug = \""
    let room = FilterParser.maximumLength - start.utf8.count - 1
    for (extra, isGood) in [(0, true), (1, false)] {
      let filter = start + String(repeating: "a", count: room + extra) + "\""
      let error = thrown { () throws(TenancyError) in try TenantFilter(parsing: filter) }
      #expect((error == nil) == isGood)
    }
  }
}
