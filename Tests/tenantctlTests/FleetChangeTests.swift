import Tenancy
import TenancyWire
import Testing

@testable import tenantctl

@Suite struct FleetChangeTests {
  private let current = V1.Tenant(
    name: "tenants/1", slug: "acme", displayName: "Acme", isolationModel: .shared,
    configuration: V1.TenantConfiguration(
      shared: V1.SharedConfig(tenantIdentifier: "1"),
      customSettings: ["a": .number(1), "b": .string("x")], featureFlags: ["f": true],
      limits: V1.RequestLimits(
        plan: "gold",
        limits: [V1.RequestLimit(name: "requests", requests: 5, period: .second, burst: 5)]),
      placement: V1.TenantPlacement(region: "eu", cluster: "one")),
    etag: "e7", labels: ["l": "1", "m": "2"])

  private func changes(
    _ tenant: FleetTenant, roles: [V1.Role]? = nil, prunes: Bool = false
  ) -> FleetChanges {
    FleetChanges(
      of: tenant, from: current, TenantAccess(roles: roles), prunes: prunes)
  }

  @Test func whatIsNotSaidStays() {
    #expect(changes(FleetTenant(slug: "acme")).isEmpty)
    let all = changes(FleetTenant(current, roles: nil))
    #expect(all.fields == [])
    #expect(all.update(of: current) == nil)
    #expect(changes(FleetTenant(exporting: current, TenantAccess())).isEmpty)
  }

  @Test func fieldByField() throws {
    var tenant = FleetTenant(slug: "acme")
    tenant.displayName = "Ac\u{6D}e\u{301}"
    tenant.labels = ["l": "1", "n": "3"]
    tenant.settings = ["a": .string("1"), "b": .string("x")]
    tenant.featureFlags = [:]
    tenant.plan = ""
    tenant.cluster = "two"
    let found = changes(tenant)
    #expect(
      found.fields == [
        FieldChange(field: "displayName", from: "\"Acme\"", to: "\"Acme\u{301}\""),
        FieldChange(field: "plan", from: "\"gold\"", to: nil),
        FieldChange(field: "cluster", from: "\"one\"", to: "\"two\""),
        FieldChange(field: "labels.m", from: "\"2\"", to: nil),
        FieldChange(field: "labels.n", from: nil, to: "\"3\""),
        FieldChange(field: "settings.a", from: "1", to: "\"1\""),
        FieldChange(field: "featureFlags.f", from: "true", to: nil),
      ])
    let request = try #require(found.update(of: current))
    #expect(
      request.updateMask?.paths == [
        "display_name", "configuration.limits.plan", "configuration.placement", "labels.m",
        "labels.n", "configuration.custom_settings.a", "configuration.feature_flags.f",
      ])
    let sent = try #require(request.tenant)
    #expect((sent.name, sent.etag) == ("tenants/1", "e7"))
    // What the file does not say of it stays.
    #expect(sent.configuration?.placement == V1.TenantPlacement(region: "eu", cluster: "two"))
    #expect(sent.annotations.isEmpty && sent.configuration?.limits == nil)
  }

  /// Canonically equivalent texts are not the same.
  @Test func bytesCount() {
    var tenant = FleetTenant(slug: "acme")
    tenant.labels = ["l": "1", "m": "2"]
    #expect(changes(tenant).isEmpty)
    tenant.displayName = "e\u{301}"
    var other = current
    other.displayName = "\u{E9}"
    let found = FleetChanges(of: tenant, from: other, TenantAccess(), prunes: false)
    #expect(found.fields.map(\.field) == ["displayName"])
  }

  @Test func manyKeysGoTogether() {
    var tenant = FleetTenant(slug: "acme")
    tenant.settings = Dictionary(
      uniqueKeysWithValues: (0...FleetChanges.maximumKeys).map { ("k\($0)", .number(1)) })
    #expect(
      changes(tenant).update(of: current)?.updateMask?.paths == ["configuration.custom_settings"])
    tenant.settings = [String(repeating: "k", count: 901): .null]
    #expect(
      changes(tenant).update(of: current)?.updateMask?.paths == ["configuration.custom_settings"])
  }

  @Test func limitsAsTheServerHasThem() {
    var tenant = FleetTenant(slug: "acme")
    tenant.limits = [V1.RequestLimit(requests: 5, period: .second).normal]
    #expect(changes(tenant).isEmpty)
    tenant.limits = []
    #expect(
      changes(tenant).update(of: current)?.updateMask?.paths == ["configuration.limits.limits"])
  }

  @Test func roles() {
    let known = [
      V1.Role(name: "tenants/1/roles/reader", permissions: ["a:b", "c:d"], etag: "r1"),
      V1.Role(name: "tenants/1/roles/old", etag: "r2"),
      V1.Role(name: "tenants/1/roles/tenant-admin", builtIn: true),
    ]
    var tenant = FleetTenant(slug: "acme")
    tenant.roles = [
      FleetRole(id: "reader", title: "R", permissions: ["c:d", "a:b"]),
      FleetRole(id: "new", permissions: ["x:y"]),
    ]
    let title = V1.Role(name: "tenants/1/roles/reader", title: "R", etag: "r1")
    let made = V1.Role(permissions: ["x:y"])
    #expect(
      changes(tenant, roles: known).roles == [
        .update(title, paths: ["title"], at: 0), .create(made, id: "new", at: 1),
      ])
    let pruned = changes(tenant, roles: known, prunes: true)
    #expect(pruned.roles.last == .delete(name: "tenants/1/roles/old", etag: "r2"))
    tenant.roles = nil
    #expect(changes(tenant, roles: known, prunes: true).isEmpty)
  }

  @Test func parallelKeepsTheOrder() async throws {
    let found = try await FleetRun.each(Array(0..<100), 7) { number in
      try await Task.sleep(for: .microseconds(number % 5 * 100))
      return number * 2
    }
    #expect(found == (0..<100).map { $0 * 2 })
    let none = try await FleetRun.each([Int](), 7) { $0 }
    #expect(none == [])
  }
}
