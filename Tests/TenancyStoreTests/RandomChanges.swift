import Foundation
import Tenancy
import TenancyTestSupport

@testable import TenancyStore

/// Changes with fields that are as odd as the types allow; secrets, which do not come back, left out.
struct RandomChanges {
  static let kinds = 20
  private var random: SeededGenerator

  init(seed: UInt64) { random = SeededGenerator(seed: seed) }

  mutating func next() -> (kind: Int, Change) {
    let kind = Int.random(in: 0..<Self.kinds, using: &random)
    return (kind, change(kind))
  }

  private mutating func change(_ kind: Int) -> Change {
    switch kind {
    case 0: .putTenant(tenant())
    case 1: .putRole(id(), role())
    case 2: .deleteRole(id(), id: text())
    case 3:
      .putAssignment(
        id(),
        RoleAssignment(
          id: text(), subject: text(), role: text(),
          terms: RoleAssignment.Terms(
            scope: pick([nil, ResourceScope(parsing: "docs/ü/*")]), condition: pick(["", text()]),
            reason: pick(["", text()])), createTime: time(),
          expireTime: Bool.random(using: &random) ? time() : nil))
    case 4: .deleteAssignment(id(), id: text())
    case 5: .putProvisioningStep(id(), name: text())
    case 6: .clearProvisioningSteps(id())
    case 7:
      .reserveName(
        ReservedName(pick([.slug, .schema, .tenantIdentifier]), text()), id())
    case 8: .retireSlug(Sample.slug("s\(random.next() % 1000)"), id())
    case 9:
      .rememberRequest(
        RememberedRequest(
          payer: pick([nil, id()]), actor: text(), requestID: text(), digest: text(),
          tenant: pick([nil, id()]), resource: text(), time: time()))
    case 10: .putSecret(id(), purpose(), reference(), nil)
    case 11: .deleteSecret(id(), purpose())
    case 12:
      .putDataKey(
        WrappedDataKey(
          id: keyID(), masterKey: keyID(), wrapped: [], createTime: time(),
          state: pick([.active, .retired])))
    case 13:
      .putRevocation(
        id(),
        Revocation(
          target: pick([.token("x" + text()), .subject("x" + text()), .tenant]), before: time(),
          expireTime: time(), reason: text()))
    case 14: .forgetRevocations(id(), before: time())
    case 15:
      .putGroup(
        id(),
        SubjectGroup(
          id: text(), title: text(), summary: text(), version: counter(), createTime: time(),
          updateTime: time()))
    case 16: .deleteGroup(id(), id: text())
    case 17:
      .putGroupMember(
        id(),
        GroupMember(
          id: text(), group: text(), member: text(), createTime: time(),
          expireTime: pick([nil, time()])))
    case 18: .deleteGroupMember(id(), id: text())
    default: .forgetRequests(before: time(), of: pick([nil, id()]))
    }
  }

  private mutating func tenant() -> Tenant {
    var configuration = TenantConfiguration(
      customSettings: [text(): value(4), text() + "2": value(2)],
      featureFlags: [text(): Bool.random(using: &random)])
    if Bool.random(using: &random) {
      let host = ["", "host=db", "postgres://db:5432/x?application_name=ü", "jdbc:x"]
      configuration.database = DatabaseConfiguration(
        connectionString: pick(host), username: text(),
        password: Bool.random(using: &random) ? reference() : nil)
    }
    if Bool.random(using: &random) {
      configuration.schema = SchemaConfiguration(schemaName: text())
      configuration.shared = SharedConfiguration(tenantIdentifier: text())
    }
    let isDeleted = Bool.random(using: &random)
    return Tenant(
      id: id(), slug: Sample.slug("s\(random.next() % 1000)"), displayName: text(),
      state: pick(TenantState.allCases), isolationModel: pick(IsolationModel.allCases),
      configuration: configuration, version: counter(), epoch: counter(), createTime: time(),
      updateTime: time(), deleteTime: isDeleted ? time() : nil, purgeTime: isDeleted ? time() : nil,
      stateReason: text(),
      tokenKeys: (0..<Int.random(in: 0...3, using: &random)).map { _ in tokenKey() },
      plans: Bool.random(using: &random) ? plans() : LifecyclePlans(),
      dataLogin: pick([
        nil,
        DataLogin(
          number: 2, password: reference(), createTime: time(),
          next: pick([nil, DataLogin.Next(number: 3, password: reference())]),
          former: pick([nil, 1]), standing: pick(DataLogin.Standing.allCases)),
      ]),
      metadata: TenantMetadata(
        labels: pick([[:], [text(): text()]]), annotations: pick([[:], [text(): text()]])))
  }

  private mutating func plans() -> LifecyclePlans {
    LifecyclePlans(
      maintenance: pick([nil, PlannedMaintenance(), PlannedMaintenance(expectedEnd: time())]),
      legalHold: pick([nil, LegalHold(reason: text(), time: time())]),
      schedule: TenantSchedule(
        suspend: pick([nil, time()]), trialEnd: pick([nil, time()]), delete: pick([nil, time()])))
  }

  private mutating func tokenKey() -> TokenKey {
    let isRetired = Bool.random(using: &random)
    return TokenKey(
      id: text(), algorithm: pick([.es256, .edDSA]), publicKey: text(), createTime: time(),
      retireTime: isRetired ? time() : nil, verifyUntil: isRetired ? time() : nil,
      reference: reference())
  }

  private mutating func purpose() -> SecretPurpose {
    pick([
      .databasePassword, .dataLogin(7), .tokenKey(String(repeating: pick(["A", "-"]), count: 43)),
    ])
  }

  private mutating func role() -> Role {
    Role(
      id: text(), title: text(), summary: text(), permissions: [text(), text()],
      denials: pick([[], [text()]]), parents: pick([[], [text()]]),
      exclusions: pick([[], [text(), text()]]), version: counter(), createTime: time(),
      updateTime: time())
  }

  private mutating func value(_ levels: Int) -> JSONValue {
    switch Int.random(in: 0..<(levels > 0 ? 6 : 4), using: &random) {
    case 0: .null
    case 1: .bool(Bool.random(using: &random))
    case 2: .number(number())
    case 3: .string(text())
    case 4: .array([value(levels - 1), value(levels - 1)])
    default: .object([text(): value(levels - 1), text() + "2": value(levels - 1)])
    }
  }

  private mutating func number() -> Double {
    let number = Double(bitPattern: random.next())
    return number.isFinite ? number : 0.5
  }

  private mutating func text() -> String {
    let odd = [
      "", "a", "\u{0}", "\"", "\\", "/", "\n", "\u{7F}", "\u{85}", "\u{2028}", "\u{FEFF}", "é",
      "e\u{301}", "\u{1F9EA}", "\u{10FFFF}", "null", "1", "{}", "[redacted]", " ",
    ]
    return (0..<Int.random(in: 0...4, using: &random)).map { _ in pick(odd) }.joined()
  }

  private mutating func id() -> TenantID { Sample.id(UInt64.random(in: 0..<64, using: &random)) }

  private mutating func keyID() -> KeyID { KeyID(high: counter(), low: counter()) }

  private mutating func reference() -> SecretReference {
    SecretReference(version: counter(), key: keyID())
  }

  private mutating func counter() -> UInt64 {
    pick([0, 1, UInt64(Int64.max), UInt64(Int64.max) + 1, .max, random.next()])
  }

  private mutating func time() -> Timestamp {
    Timestamp(nanoseconds: pick([.min, -1, 0, 1, .max, Int64(bitPattern: random.next())]))
  }

  private mutating func pick<Value>(_ choices: [Value]) -> Value {
    choices[Int.random(in: 0..<choices.count, using: &random)]
  }
}
