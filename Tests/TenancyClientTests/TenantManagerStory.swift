import Tenancy
import TenancyClient
import TenancyRPC
import TenancyWire
import Testing

/// A tenant's whole life.
enum TenantManagerStory {
  private typealias Created = V1.CreateTenantRequest

  static func run(_ client: Stubs) async throws {
    let acme = try await create(client)
    try await change(acme, client)
    try await lists(client)
    try await keepsPasswords(client)
    try await livesAndDies(acme.name, client)
  }

  private static func create(_ client: Stubs) async throws -> V1.Tenant {
    let request = Created(
      tenant: V1.Tenant(
        displayName: "Acme Manufacturing", isolationModel: .schema,
        configuration: V1.TenantConfiguration(
          schema: V1.SchemaConfig(schemaName: "acme"),
          customSettings: [
            "seats": .number(25), "theme": .object(["dark": .bool(true), "logo": .null]),
          ],
          featureFlags: ["beta": true, "legacy": false])),
      requestId: "0191f5a4-0b7e-7c3d-9a51-3f1f6f1c2d3e")
    let acme = try await client.tenants.createTenant(request)
    #expect(acme.name == "tenants/\(acme.id)")
    #expect(acme.slug == "acme-manufacturing")
    #expect(acme.displayName == "Acme Manufacturing")
    #expect(acme.state == .pending)
    #expect(acme.isolationModel == .schema)
    #expect(acme.configuration == request.tenant?.configuration)
    #expect(acme.epoch == 1)
    #expect(acme.createTime != nil && acme.createTime == acme.updateTime)
    #expect(acme.deleteTime == nil && acme.purgeTime == nil)

    // The same request again makes nothing new; another one under its id is refused.
    #expect(try await client.tenants.createTenant(request) == acme)
    var other = request
    other.tenant?.displayName = "Acme"
    let reused = try await refusal { try await client.tenants.createTenant(other) }
    #expect(reused.code == .invalidArgument)
    #expect(reused.errorInfo?.reason == "REQUEST_ID_REUSED")

    let usage = try await client.tenants.getTenantUsage(V1.GetTenantUsageRequest(name: acme.name))
    #expect(usage.name == "\(acme.name)/usage")
    #expect(usage.quotas.contains { $0.quota == "resident-bytes" && $0.used > 500 })

    for name in [acme.id, acme.slug, acme.name, "tenants/\(acme.slug)"] {
      #expect(try await client.get(name) == acme)
    }
    return acme
  }

  private static func change(_ acme: V1.Tenant, _ client: Stubs) async throws {
    var request = V1.UpdateTenantRequest(
      tenant: V1.Tenant(name: acme.name, slug: "acme", displayName: "ignored", etag: acme.etag),
      updateMask: GoogleProtobuf.FieldMask(paths: ["slug"]), validateOnly: true)
    #expect(try await client.tenants.updateTenant(request).slug == "acme")
    #expect(try await client.get(acme.name) == acme)  // Only checked.
    request.validateOnly = false
    let renamed = try await client.tenants.updateTenant(request)
    #expect(renamed.slug == "acme" && renamed.displayName == acme.displayName)
    #expect(renamed.etag != acme.etag && renamed.epoch == acme.epoch)

    let stale = try await refusal { try await client.tenants.updateTenant(request) }
    #expect(stale.code == .aborted)
    #expect(stale.errorInfo?.metadata == ["etag": renamed.etag])

    #expect(renamed.formerSlugs == [V1.FormerSlug(slug: acme.slug)])
    let retired = try await client.tenants.retireTenantSlug(
      V1.RetireTenantSlugRequest(name: acme.name, slug: acme.slug, etag: renamed.etag))
    #expect(retired.formerSlugs.isEmpty && retired.etag != renamed.etag)

    let configured = try await client.tenants.updateTenantConfiguration(
      V1.UpdateTenantConfigurationRequest(
        name: acme.name,
        configuration: V1.TenantConfiguration(
          customSettings: ["seats": .number(50)], featureFlags: ["preview": true]),
        updateMask: GoogleProtobuf.FieldMask(
          paths: [
            "custom_settings.seats", "custom_settings.theme", "feature_flags.preview",
            "feature_flags.legacy",
          ]),
        etag: retired.etag))
    #expect(configured.configuration?.customSettings == ["seats": .number(50)])
    #expect(configured.configuration?.featureFlags == ["beta": true, "preview": true])
    #expect(configured.configuration?.schema == V1.SchemaConfig(schemaName: "acme"))
    #expect(try await client.get("acme") == configured)
  }

  private static func lists(_ client: Stubs) async throws {
    for number in 1...4 { _ = try await client.create("listed-\(number)") }
    var request = V1.ListTenantsRequest(pageSize: 3, filter: #"slug = "listed-*""#)
    let first = try await client.tenants.listTenants(request)
    #expect(first.tenants.map(\.slug) == ["listed-1", "listed-2", "listed-3"])
    request.pageToken = first.nextPageToken
    let second = try await client.tenants.listTenants(request)
    #expect(second.tenants.map(\.slug) == ["listed-4"])
    #expect(second.nextPageToken.isEmpty)
    let made = try await client.tenants.batchCreateTenants(
      V1.BatchCreateTenantsRequest(
        requests: ["one", "two"].map { slug in
          V1.CreateTenantRequest(
            tenant: V1.Tenant(
              slug: "batch-\(slug)", displayName: slug, isolationModel: .shared,
              labels: ["a": slug]))
        }))
    #expect(made.tenants.map(\.labels) == [["a": "one"], ["a": "two"]])
    let some = try await client.tenants.batchGetTenants(
      V1.BatchGetTenantsRequest(names: ["listed-2", "tenants/listed-1", "listed-2"]))
    #expect(some.tenants.map(\.slug) == ["listed-2", "listed-1", "listed-2"])
    let clone = try await client.tenants.cloneTenant(
      V1.CloneTenantRequest(
        source: "batch-one", tenant: V1.Tenant(displayName: "Listed 5", labels: ["b": "c"])))
    #expect(clone.slug == "listed-5" && clone.labels == ["a": "one", "b": "c"])
    let watched = try await client.tenants.watchTenants(
      V1.WatchTenantsRequest(filter: #"slug = "batch-*""#, snapshot: true)
    ) { messages in
      let snapshot = try await messages.next()
      #expect(snapshot?.tenants == made.tenants && snapshot?.snapshotComplete == true)
      _ = try await client.tenants.updateTenant(
        V1.UpdateTenantRequest(
          tenant: V1.Tenant(name: "batch-two", displayName: "Two"),
          updateMask: GoogleProtobuf.FieldMask(paths: ["display_name"])))
      return try await messages.next()
    }
    #expect(watched?.change?.kind == .changed && watched?.change?.tenant?.displayName == "Two")
    let schemas = try await client.tenants.listTenants(
      V1.ListTenantsRequest(filter: "isolation_model = SCHEMA AND state != ACTIVE"))
    #expect(schemas.tenants.map(\.slug) == ["acme"])
  }

  private static func keepsPasswords(_ client: Stubs) async throws {
    let database = V1.DatabaseConfig(
      connectionString: "postgres://db.internal/vault", username: "vault", password: "s3cret")
    let vault = try await client.tenants.createTenant(
      Created(
        tenant: V1.Tenant(
          slug: "vault", displayName: "Vault", isolationModel: .database,
          configuration: V1.TenantConfiguration(database: database))))
    let shown = try #require(vault.configuration?.database)
    #expect(shown.connectionString == database.connectionString && shown.username == "vault")
    #expect(shown.password.isEmpty && shown.passwordSet)
  }

  private static func livesAndDies(_ name: String, _ client: Stubs) async throws {
    let provision = V1.ProvisionTenantResourcesRequest(name: name)
    let activate = V1.ActivateTenantRequest(name: name)
    let deactivate = V1.DeactivateTenantRequest(name: name)
    let deprovision = V1.DeprovisionTenantResourcesRequest(name: name)

    let active = try await client.tenants.provisionTenantResources(provision)
    #expect(active.state == .active)
    #expect(active.epoch == 3)  // By way of PROVISIONING.
    #expect(try await client.tenants.provisionTenantResources(provision) == active)

    let refused = try await refusal {
      try await client.tenants.deprovisionTenantResources(deprovision)
    }
    #expect(refused.code == .failedPrecondition)
    #expect(try await client.get(name) == active)

    let suspended = try await client.tenants.deactivateTenant(deactivate)
    #expect(suspended.state == .suspended && suspended.epoch == 4)
    let again = try await client.tenants.activateTenant(activate)
    #expect(again.state == .active && again.epoch == 5)

    _ = try await client.tenants.deactivateTenant(deactivate)
    let bare = try await client.tenants.deprovisionTenantResources(deprovision)
    #expect(bare.state == .pending && bare.epoch == 7)

    let deleted = try await client.tenants.deleteTenant(
      V1.DeleteTenantRequest(name: name, etag: bare.etag))
    #expect(deleted.state == .deleted)
    let end = try #require(deleted.deleteTime)
    #expect(try #require(deleted.purgeTime).seconds == end.seconds + 30 * 86_400)

    let filter = #"slug = "acme""#
    #expect(
      try await client.tenants.listTenants(V1.ListTenantsRequest(filter: filter)).tenants.isEmpty)
    let all = V1.ListTenantsRequest(filter: filter, showDeleted: true)
    #expect(try await client.tenants.listTenants(all).tenants == [deleted])

    let taken = try await refusal { try await client.create("acme") }
    #expect(taken.code == .alreadyExists)
    #expect(taken.errorInfo?.reason == "NAME_TAKEN")
    try await comesBackAndEnds(name, client)
  }

  private static func comesBackAndEnds(_ name: String, _ client: Stubs) async throws {
    let back = try await client.tenants.undeleteTenant(V1.UndeleteTenantRequest(name: name))
    #expect(back.state == .suspended && back.deleteTime == nil)
    let held = try await client.tenants.placeTenantLegalHold(
      V1.PlaceTenantLegalHoldRequest(name: name, reason: "case 7"))
    #expect(held.legalHold?.reason == "case 7" && held.epoch == back.epoch)
    // What it had was destroyed before.
    let bare = try await refusal {
      try await client.tenants.activateTenant(V1.ActivateTenantRequest(name: name))
    }
    #expect(bare.errorInfo?.reason == "TENANT_NOT_PROVISIONED")
    _ = try await client.tenants.releaseTenantLegalHold(
      V1.ReleaseTenantLegalHoldRequest(name: name))
    _ = try await client.tenants.deprovisionTenantResources(
      V1.DeprovisionTenantResourcesRequest(name: name))
    _ = try await client.tenants.provisionTenantResources(
      V1.ProvisionTenantResourcesRequest(name: name))
    let end = GoogleProtobuf.Timestamp(seconds: 4_000_000_000)
    let away = try await client.tenants.beginTenantMaintenance(
      V1.BeginTenantMaintenanceRequest(name: name, expectedEndTime: end, reason: "disks"))
    #expect(away.state == .maintenance && away.maintenanceEndTime == end)
    #expect(away.stateReason == "disks")
    let again = try await client.tenants.endTenantMaintenance(
      V1.EndTenantMaintenanceRequest(name: name))
    #expect(again.state == .active && again.maintenanceEndTime == nil)
    let schedule = V1.TenantSchedule(trialEndTime: end)
    let planned = try await client.tenants.setTenantSchedule(
      V1.SetTenantScheduleRequest(name: name, schedule: schedule))
    #expect(planned.schedule == schedule)
    _ = try await client.tenants.deleteTenant(V1.DeleteTenantRequest(name: name))
    let early = try await refusal {
      try await client.tenants.purgeTenant(V1.PurgeTenantRequest(name: name))
    }
    #expect(early.errorInfo?.reason == "RETENTION_NOT_OVER")
    let purged = try await client.tenants.purgeTenant(
      V1.PurgeTenantRequest(name: name, ignoreRetention: true))
    #expect(purged.state == .purged)
    #expect(try await refusal { try await client.get(name) }.code == .notFound)
  }
}
