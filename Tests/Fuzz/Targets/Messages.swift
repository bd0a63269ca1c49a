import Tenancy
import TenancyRPC
import TenancyServer

@testable import TenancyWire

/// Protobuf messages: every request, every response, and what statuses carry.
let messageTargets: [FuzzTarget] = [
  FuzzTarget("messages") {
    try MessageKind.all.indices.flatMap { index in
      try MessageKind.all[index].seeds().map { [UInt8(index)] + $0 }
    }
  } run: { input in
    var bytes = input
    let kind = MessageKind.all[Int(bytes.takeFirst()) % MessageKind.all.count]
    try kind.run(bytes)
  },

  FuzzTarget("struct") {
    [
      [:], ["a": .null], ["": .string("naïve"), "on": .bool(true), "ratio": .number(-0.25)],
      ["list": .array([.array([]), .object(["x": .object([:])])])],
    ].map(StructCodec.encode)
  } run: { input in
    guard
      let object = try? input.withUnsafeBytes({ bytes throws(FieldViolation) in
        try StructCodec.decode(bytes, field: "f")
      })
    else { return }
    let encoded = StructCodec.encode(object)
    let again = try encoded.withUnsafeBytes { bytes throws(FieldViolation) in
      try StructCodec.decode(bytes, field: "f")
    }
    try checkEqual(again, object, "round trip")
    _ = JSONValue.object(object).text()
  },
]

/// A type of message, and what must be true of it.
private struct MessageKind: Sendable {
  let seeds: @Sendable () throws -> [[UInt8]]
  let run: @Sendable ([UInt8]) throws -> Void

  init<Message: WireMessage & JSONRepresentable & Equatable>(_: Message.Type) {
    seeds = {
      // Fields of the commonest numbers and types; what is wrong for this message, it has to refuse.
      let text: [UInt8] = [0x0A, 0x04] + Array("acme".utf8)
      return [[], text, text + [0x12, 0x01, 0x78], [0x08, 0x01], [0x0A, 0x02, 0x0A, 0x00]]
        + FullMessages.encoded.filter { decode($0, Message.self) != nil }
    }
    run = { input in
      guard let message = decode(input, Message.self) else { return }
      let encoded = message.encode(arena: Arena())
      guard let again = decode(encoded, Message.self) else {
        throw PropertyFailure(description: "\(Message.self): its own encoding is refused")
      }
      try check(again == message, "\(Message.self): \(again) is not \(message)")
      try checkEqual(again.encode(arena: Arena()), encoded, "\(Message.self): encoded again")
      _ = message.json().text()
    }
  }

  static let all: [MessageKind] = [
    MessageKind(V1.ResolveTenantRequest.self), MessageKind(V1.ResolveFromPathRequest.self),
    MessageKind(V1.ResolveFromSubdomainRequest.self),
    MessageKind(V1.ResolveFromHeadersRequest.self),
    MessageKind(V1.ResolveFromTokenRequest.self),
    MessageKind(V1.ResolveFromEnvironmentRequest.self),
    MessageKind(V1.GetDefaultTenantRequest.self), MessageKind(V1.ValidateTenantRequest.self),
    MessageKind(V1.CheckRequest.self), MessageKind(V1.BatchCheckRequest.self),
    MessageKind(V1.ExplainRequest.self), MessageKind(V1.ExplainResponse.self),
    MessageKind(V1.ListPermissionsRequest.self), MessageKind(V1.ListPermissionsResponse.self),
    MessageKind(V1.ListSubjectsRequest.self), MessageKind(V1.ListSubjectsResponse.self),
    MessageKind(V1.ListResourcesRequest.self), MessageKind(V1.ListResourcesResponse.self),
    MessageKind(V1.ListDecisionsRequest.self), MessageKind(V1.ListDecisionsResponse.self),
    MessageKind(V1.ReplayDecisionsRequest.self), MessageKind(V1.ReplayDecisionsResponse.self),
    MessageKind(V1.SimulateRequest.self), MessageKind(V1.SimulateResponse.self),
    MessageKind(V1.CreateRoleRequest.self), MessageKind(V1.GetRoleRequest.self),
    MessageKind(V1.UpdateRoleRequest.self), MessageKind(V1.DeleteRoleRequest.self),
    MessageKind(V1.ListRolesRequest.self), MessageKind(V1.AddRolePermissionsRequest.self),
    MessageKind(V1.RemoveRolePermissionsRequest.self),
    MessageKind(V1.CreateRoleAssignmentRequest.self),
    MessageKind(V1.DeleteRoleAssignmentRequest.self),
    MessageKind(V1.ListRoleAssignmentsRequest.self), MessageKind(V1.CreateTenantRequest.self),
    MessageKind(V1.GetTenantRequest.self), MessageKind(V1.UpdateTenantRequest.self),
    MessageKind(V1.DeactivateTenantRequest.self), MessageKind(V1.ActivateTenantRequest.self),
    MessageKind(V1.DeleteTenantRequest.self), MessageKind(V1.PurgeTenantRequest.self),
    MessageKind(V1.BeginTenantMaintenanceRequest.self),
    MessageKind(V1.SetTenantScheduleRequest.self), MessageKind(V1.ListTenantsRequest.self),
    MessageKind(V1.CloneTenantRequest.self), MessageKind(V1.WatchTenantsRequest.self),
    MessageKind(V1.WatchTenantsResponse.self),
    MessageKind(V1.BatchCreateTenantsRequest.self),
    MessageKind(V1.BatchCreateTenantsResponse.self), MessageKind(V1.BatchGetTenantsRequest.self),
    MessageKind(V1.BatchGetTenantsResponse.self),
    MessageKind(V1.UpdateTenantConfigurationRequest.self),
    MessageKind(V1.ProvisionTenantResourcesRequest.self),
    MessageKind(V1.DeprovisionTenantResourcesRequest.self), MessageKind(V1.WhoAmIRequest.self),
    MessageKind(V1.ListAuditRecordsRequest.self), MessageKind(V1.ExportAuditRecordsRequest.self),
    MessageKind(V1.CreateSettingDefinitionRequest.self),
    MessageKind(V1.UpdateSettingDefinitionRequest.self),
    MessageKind(V1.ListSettingConflictsRequest.self), MessageKind(V1.CreatePlanRequest.self),
    MessageKind(V1.UpdatePlanRequest.self), MessageKind(V1.CreateFeatureFlagRequest.self),
    MessageKind(V1.EvaluateFeatureFlagsRequest.self),
    MessageKind(V1.ExplainConfigurationResponse.self),
    // What a client reads.
    MessageKind(V1.ListSettingDefinitionsResponse.self),
    MessageKind(V1.ResolveTenantResponse.self), MessageKind(V1.ValidateTenantResponse.self),
    MessageKind(V1.CreateGroupRequest.self), MessageKind(V1.UpdateGroupRequest.self),
    MessageKind(V1.DeleteGroupRequest.self), MessageKind(V1.ListGroupsRequest.self),
    MessageKind(V1.CreateGroupMemberRequest.self), MessageKind(V1.DeleteGroupMemberRequest.self),
    MessageKind(V1.ListGroupMembersRequest.self), MessageKind(V1.ApplyPolicyRequest.self),
    MessageKind(V1.CheckResponse.self), MessageKind(V1.BatchCheckResponse.self),
    MessageKind(V1.ListRolesResponse.self), MessageKind(V1.ListRoleAssignmentsResponse.self),
    MessageKind(V1.ListTenantsResponse.self), MessageKind(V1.WhoAmIResponse.self),
    MessageKind(V1.ListAuditRecordsResponse.self),
    MessageKind(V1.ExportAuditRecordsResponse.self),
    MessageKind(GoogleRPC.Status.self), MessageKind(GoogleRPC.ErrorInfo.self),
    MessageKind(GoogleRPC.BadRequest.self), MessageKind(GoogleRPC.RetryInfo.self),
    MessageKind(GoogleRPC.PreconditionFailure.self), MessageKind(GoogleRPC.QuotaFailure.self),
  ]
}

/// As the server does it: with a bound on what the message may take.
private func decode<Message: WireMessage>(_ bytes: [UInt8], _: Message.Type) -> Message? {
  let arena = Arena(limit: 1 << 20)
  // Refused is as good as read.
  return try? bytes.withUnsafeBytes { buffer throws(WireError) in
    try Message(decoding: buffer, arena: arena)
  }
}

/// Messages with much in them, as they are sent.
private enum FullMessages {
  static let tenant = V1.Tenant(
    name: "tenants/0190", id: "0190", slug: "acme", displayName: "Acme – Zürich", state: .active,
    isolationModel: .hybrid,
    configuration: V1.TenantConfiguration(
      database: V1.DatabaseConfig(connectionString: "db", username: "u", passwordSet: true),
      schema: V1.SchemaConfig(schemaName: "acme"), shared: V1.SharedConfig(),
      customSettings: ["limits": .object(["rows": .number(10)]), "list": .array([.null])],
      featureFlags: ["beta": true, "": false]),
    etag: "e1", epoch: .max, createTime: GoogleProtobuf.Timestamp(seconds: 1, nanos: 2))

  static let role = V1.Role(
    name: "tenants/acme/roles/reader", title: "Reader", permissions: ["a:b", "*:*"])

  static let encoded: [[UInt8]] = [
    encode(tenant), encode(role), encode(V1.CreateTenantRequest(tenant: tenant)),
    encode(
      V1.UpdateTenantRequest(tenant: tenant, updateMask: .init(paths: ["display_name", "x.y"]))),
    encode(
      V1.UpdateTenantConfigurationRequest(
        name: "tenants/a", configuration: tenant.configuration,
        updateMask: .init(paths: ["feature_flags.beta"]))),
    encode(
      V1.ResolveTenantRequest(
        path: "/tenants/acme/x", host: "acme.example.com", headers: ["x-tenant-id": "acme"],
        token: "t", environment: ["TENANT_ID": "acme"])),
    encode(
      V1.BatchCheckRequest(
        tenant: "tenants/acme",
        items: [V1.BatchCheckItem(subject: "user:a", permission: "a:b"), V1.BatchCheckItem()])),
    encode(
      V1.CreateSettingDefinitionRequest(
        settingDefinitionId: "s",
        settingDefinition: V1.SettingDefinition(
          type: .json, defaultValue: .object(["a": .array([.null, .number(1)])]), minimum: 0))),
    encode(V1.CreateRoleRequest(parent: "tenants/acme", roleId: "reader", role: role)),
    encode(V1.ListTenantsResponse(tenants: [tenant, V1.Tenant()], nextPageToken: "n")),
    encode(
      V1.WatchTenantsResponse(
        change: V1.TenantChange(kind: .changed, tenant: tenant, revision: 1), resumeToken: "r")),
    encode(
      GoogleRPC.Status(
        code: 5, message: "m",
        details: [GoogleProtobuf.`Any`(typeUrl: "type.googleapis.com/x", value: [1, 2])])),
    encode(
      GoogleRPC.ErrorInfo(reason: "R", domain: "tenancy.v1", metadata: ["a": "b"])),
  ]

  private static func encode(_ message: some WireMessage) -> [UInt8] {
    message.encode(arena: Arena())
  }
}
