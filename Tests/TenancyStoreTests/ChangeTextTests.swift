import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// What is written without an encoder is what the encoder would write.
struct ChangeTextTests {
  private static let coding = JSONCoding()

  private static func expectEncoded(_ changes: [Change]) throws {
    let text = try ChangeDocument.text(of: changes, coding)
    #expect(text == (try coding.text(changes.map(ChangeDocument.init))))
  }

  @Test func extremeValues() throws {
    let id = Sample.extremeTenant.id
    var tenant = Sample.extremeTenant
    tenant.stateReason = "\u{8}\u{C}\n\r\t\u{1F}\"\\/é"
    let reference = SecretReference(version: .max, key: KeyID(high: .max, low: 0))
    tenant.tokenKeys = [
      ContractTokens.key("a", reference), ContractTokens.key("b", reference, retired: true),
    ]
    var trusting = tenant
    trusting.authentication = SampleSettings.all()
    trusting.tokenHorizon = Timestamp(nanoseconds: .min)
    trusting.plans = ContractTokens.plans
    trusting.dataLogin = ContractTokens.login
    trusting.configuration.placement = PlacementSettings(region: "eu", cluster: "\"")
    trusting.metadata = ContractTokens.metadata
    let role = Role(
      id: "r", title: "\"\n", summary: "𝄞", permissions: ["a:b", "*:*"], version: .max,
      createTime: Timestamp(nanoseconds: .min), updateTime: Timestamp(nanoseconds: .max))
    let assignment = RoleAssignment(
      id: "a", subject: "user:\"\\", role: "r", createTime: Timestamp(nanoseconds: -1),
      expireTime: Timestamp(nanoseconds: .max))
    let key = WrappedDataKey(
      id: reference.key, masterKey: KeyID(high: 0, low: .max), wrapped: [1],
      createTime: Timestamp(nanoseconds: .min), state: .retired)
    try Self.expectEncoded([
      .putTenant(tenant), .putTenant(Sample.tenant(1)), .putTenant(trusting), .putRole(id, role),
      .putRole(id, Sample.role("x")), .deleteRole(id, id: "\u{0}"), .putAssignment(id, assignment),
      .putAssignment(id, Sample.assignment("b")), .deleteAssignment(id, id: "b"),
      .putGroup(
        id,
        SubjectGroup(
          id: "g", title: "\"\n", summary: "𝄞", version: .max,
          createTime: Timestamp(nanoseconds: .min), updateTime: Timestamp(nanoseconds: .max))),
      .deleteGroup(id, id: "\u{0}"), .putGroupMember(id, Sample.member("m", "user:\"\\")),
      .putGroupMember(
        id,
        GroupMember(
          id: "m", group: "g", member: "group:x", createTime: Timestamp(nanoseconds: -1),
          expireTime: Timestamp(nanoseconds: .max))), .deleteGroupMember(id, id: "\""),
      .putProvisioningStep(id, name: "s"), .clearProvisioningSteps(id),
      .reserveName(ReservedName(.tenantIdentifier, "n"), id),
      .reserveName(ReservedName(.schema, "n"), id), .retireSlug(tenant.slug, id),
      .rememberRequest(Sample.request("r", tenant: id, at: .min)),
      .forgetRequests(before: Timestamp(nanoseconds: .max), of: nil),
      .putSecret(id, .databasePassword, reference, SealedSecret(bytes: [1])),
      .deleteSecret(id, .databasePassword), .putDataKey(key),
      .putSecret(id, .tokenKey("k"), reference, SealedSecret(bytes: [1])),
      ContractTokens.put(id, .subject("\"\n"), until: .max),
      ContractTokens.put(id, .tenant, until: .min),
      .putRevocation(
        id,
        Revocation(
          target: .token("t"), before: Timestamp(nanoseconds: 0),
          expireTime: Timestamp(nanoseconds: 1), reason: "\u{8}/")),
      .forgetRevocations(id, before: Timestamp(nanoseconds: .min)),
      .putWorkloadEntry(
        ContractWorkloads.entry(
          2, tenant: nil, path: "\"\n", WorkloadEntry.Selectors(binaryPath: "/\u{2028}\\"),
          hint: "\u{1}")),
      .deleteWorkloadEntry(id: "\""),
      .putDomain(ContractDomains.domain("a.net", of: id, by: .dns)),
      .putDomain(ContractDomains.domain("xn--a.b-c.net", of: id)),
      .deleteDomain(id, name: "\""),
      .putOperation(try ControlStoreContract.operation(1, .max, reason: "\"\u{2028}")),
      .deleteOperations(id), .deleteAuthority(id: "\""),
      .deleteConfigurationItem(.setting, id: "\""),
      .putConfigurationItem(ContractConfiguration.setting("a")),
      .putConfigurationItem(ContractConfiguration.plan("a")),
      .putConfigurationItem(ContractConfiguration.flag("a")),
      .putConfigurationItem(ContractConfiguration.setting("a", .integer)),
      .putConfigurationItem(ContractConfiguration.setting("a", .json)),
      .deleteSecret(SecretPlace.platform, .authorityKey(id.description)),
      .putSecret(
        SecretPlace.platform, .authorityKey(id.description),
        SecretReference(version: 1, key: KeyID(high: 1, low: 2)), nil),
    ])
    try Self.expectEncoded([])
  }

  @Test(arguments: 0..<8 as Range<UInt64>)
  func randomHistories(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var history = RandomHistory()
    for _ in 0..<40 {
      for entry in history.nextBatch(using: &random) { try Self.expectEncoded(entry.changes) }
    }
  }
}
