import Foundation
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

@Suite struct ChangeDocumentTests {
  private let json = JSONCoding()

  /// Every kind of change, with whatever its fields may hold.
  @Test func everyChangeComesBack() throws {
    var random = RandomChanges(seed: 21)
    var kinds: [Int: Int] = [:]
    for _ in 0..<3000 {
      let (kind, change) = random.next()
      kinds[kind, default: 0] += 1
      let text = try json.text([ChangeDocument(change)])
      let decoded = try json.value([ChangeDocument].self, text).map(\.change)
      #expect(decoded == [change], "\(text)")
      // Once more: also where `==` is not particular.
      #expect(try json.text(decoded.map(ChangeDocument.init)) == text)
    }
    #expect(kinds.count == RandomChanges.kinds && kinds.values.allSatisfy { $0 > 50 })
  }

  @Test func theFormIsTheOneThatIsDocumented() throws {
    var tenant = Sample.tenant(1)
    tenant.configuration.database = DatabaseConfiguration(
      connectionString: "host=db", username: "u",
      password: SecretReference(version: 3, key: KeyID(high: 0, low: 0x1F)))
    let key = "00000000-0000-0000-0000-00000000001f"
    let id = tenant.id.description
    let hex = String(repeating: "a", count: 32)
    var keyed = Sample.tenant(1)
    keyed.tokenKeys = [
      TokenKey(
        id: "k", algorithm: .es256, publicKey: #"{"kty":"EC"}"#,
        createTime: Timestamp(nanoseconds: 4), retireTime: Timestamp(nanoseconds: 5),
        verifyUntil: Timestamp(nanoseconds: 6),
        reference: SecretReference(version: 3, key: KeyID(high: 0, low: 0x1F)))
    ]
    let expected: [(Change, String)] = [
      (
        .putTenant(tenant),
        #"{"change":"putTenant","tenant":{"configuration":{"customSettings":{},"database":"#
          + #"{"connectionString":"host=db","password":{"key":"\#(key)","version":3},"#
          + #""username":"u"},"featureFlags":{}},"createTime":1,"#
          + #""displayName":"Tenant 1","epoch":1,"id":"\#(id)","isolationModel":"schema","#
          + #""slug":"tenant-1","state":"pending","updateTime":2,"version":1}}"#
      ),
      (
        .putTenant(keyed),
        #"{"change":"putTenant","tenant":{"configuration":{"customSettings":{},"#
          + #""featureFlags":{}},"createTime":1,"displayName":"Tenant 1","epoch":1,"id":"\#(id)","#
          + #""isolationModel":"schema","slug":"tenant-1","state":"pending","tokenKeys":["#
          + #"{"algorithm":"ES256","createTime":4,"id":"k","publicKey":"{\"kty\":\"EC\"}","#
          + #""reference":{"key":"\#(key)","version":3},"retireTime":5,"verifyUntil":6}],"#
          + #""updateTime":2,"version":1}}"#
      ),
      (
        .putRevocation(
          tenant.id,
          Revocation(
            target: .subject("user:1"), before: Timestamp(nanoseconds: 1),
            expireTime: Timestamp(nanoseconds: 2), reason: "lost")),
        #"{"change":"putRevocation","revocation":{"before":1,"expireTime":2,"kind":"subject","#
          + #""reason":"lost","target":"user:1"},"tenant":"\#(id)"}"#
      ),
      (
        .putRevocation(
          tenant.id,
          Revocation(
            target: .tenant, before: Timestamp(nanoseconds: 1),
            expireTime: Timestamp(nanoseconds: 2))),
        #"{"change":"putRevocation","revocation":{"before":1,"expireTime":2,"kind":"tenant"},"#
          + #""tenant":"\#(id)"}"#
      ),
      (
        .putWorkloadEntry(
          ContractWorkloads.entry(
            1, tenant: tenant.id, path: "web/1",
            WorkloadEntry.Selectors(
              userID: 7, groupID: 8, binaryPath: "/bin/w", systemdUnit: "w.service", node: "n"),
            hint: "h")),
        #"{"change":"putWorkloadEntry","entry":{"createTime":1,"hint":"h","#
          + #""id":"\#(ContractWorkloads.id(1))","lifetime":3600,"path":"web/1","selectors":{"#
          + #""binaryPath":"/bin/w","gid":8,"node":"n","systemdUnit":"w.service","uid":7},"#
          + #""tenant":"\#(id)"}}"#
      ),
      (
        .putDomain(ContractDomains.domain("a.net", of: tenant.id, by: .http)),
        #"{"change":"putDomain","domain":{"claimTime":1,"method":"http","name":"a.net","#
          + #""proof":"\#(hex)","tenant":"\#(id)","token":"\#(hex)","verifyTime":2}}"#
      ),
      (
        .putDomain(ContractDomains.domain("a.net", of: tenant.id)),
        #"{"change":"putDomain","domain":{"claimTime":1,"name":"a.net","proof":"\#(hex)","#
          + #""tenant":"\#(id)","token":"\#(hex)"}}"#
      ),
      (
        .deleteDomain(tenant.id, name: "a.net"),
        #"{"change":"deleteDomain","name":"a.net","tenant":"\#(id)"}"#
      ),
      (
        .deleteWorkloadEntry(id: ContractWorkloads.id(1)),
        #"{"change":"deleteWorkloadEntry","id":"\#(ContractWorkloads.id(1))"}"#
      ),
      (
        .forgetRevocations(tenant.id, before: Timestamp(nanoseconds: 5)),
        #"{"before":5,"change":"forgetRevocations","tenant":"\#(id)"}"#
      ),
      (
        .putAuthority(
          ContractAuthorities.authority(
            1, SecretReference(version: 3, key: KeyID(high: 0, low: 0x1F)), state: .retiring)),
        #"{"authority":{"chain":"-----BEGIN \"é\"-----\n\\/\n","createTime":1,"#
          + #""expireTime":9223372036854775807,"id":"\#(Sample.id(1))","prepareTime":1,"#
          + #""propagation":60,"reference":{"key":"\#(key)","version":3},"request":"","#
          + #""retireTime":1,"state":"retiring","trustDomain":"example.test","trustUntil":7,"#
          + #""version":1},"change":"putAuthority"}"#
      ),
      (
        .putAuthority(
          ContractAuthorities.tokenKey(
            1, SecretReference(version: 3, key: KeyID(high: 0, low: 0x1F)))),
        #"{"authority":{"chain":"","createTime":1,"id":"\#(Sample.id(1))","kind":"jwt","#
          + #""prepareTime":1,"propagation":60,"publicKey":"{\"kty\":\"é\"}","#
          + #""reference":{"key":"\#(key)","version":3},"request":"","state":"prepared","#
          + #""trustDomain":"example.test","version":1},"change":"putAuthority"}"#
      ),
      (
        .putConfigurationItem(ContractConfiguration.setting("n", .integer)),
        #"{"change":"putConfigurationItem","item":{"setting":{"createTime":1,"defaultValue":7,"#
          + #""editor":"platform","maximum":1000000000,"minimum":-1.5,"name":"n","#
          + #""type":"integer","updateTime":2,"version":1}}}"#
      ),
      (
        .deleteConfigurationItem(.setting, id: "n"),
        #"{"change":"deleteConfigurationItem","id":"n","kind":"setting"}"#
      ),
      (
        .deleteOperations(Sample.id(1)),
        #"{"change":"deleteOperations","tenant":"\#(Sample.id(1))"}"#
      ),
      (
        .deleteAuthority(id: "\(Sample.id(1))"),
        #"{"change":"deleteAuthority","id":"\#(Sample.id(1))"}"#
      ),
      (
        .putSecret(
          SecretPlace.platform, .authorityKey("\(Sample.id(1))"),
          SecretReference(version: 3, key: KeyID(high: 0, low: 0x1F)), SealedSecret(bytes: [1])),
        #"{"change":"putSecret","key":"\#(key)","purpose":"authority_key/\#(Sample.id(1))","#
          + #""version":3}"#
      ),
      (.deleteRole(tenant.id, id: "r"), #"{"change":"deleteRole","id":"r","tenant":"\#(id)"}"#),
      (
        .reserveName(ReservedName(.tenantIdentifier, "t"), tenant.id),
        #"{"change":"reserveName","kind":"tenant_identifier","name":"t","tenant":"\#(id)"}"#
      ),
      (
        .forgetRequests(before: Timestamp(nanoseconds: 5), of: nil),
        #"{"before":5,"change":"forgetRequests"}"#
      ),
      (
        .forgetRequests(before: Timestamp(nanoseconds: 5), of: tenant.id),
        #"{"before":5,"change":"forgetRequests","tenant":"\#(id)"}"#
      ),
      (
        .rememberRequest(
          RememberedRequest(
            actor: "a", requestID: "r", digest: "d", tenant: tenant.id,
            time: Timestamp(nanoseconds: 5))),
        #"{"change":"rememberRequest","request":{"actor":"a","digest":"d","requestID":"r","#
          + #""time":5},"tenant":"\#(id)"}"#
      ),
      (
        .rememberRequest(
          RememberedRequest(
            payer: tenant.id, actor: "a", requestID: "r", digest: "d", tenant: nil, resource: "x",
            time: Timestamp(nanoseconds: 5))),
        #"{"change":"rememberRequest","request":{"actor":"a","digest":"d","payer":"\#(id)","#
          + #""requestID":"r","resource":"x","time":5}}"#
      ),
      (
        .putSecret(
          tenant.id, .databasePassword, SecretReference(version: 3, key: KeyID(high: 0, low: 0x1F)),
          SealedSecret(bytes: [1, 2])),
        #"{"change":"putSecret","key":"\#(key)","purpose":"database_password","#
          + #""tenant":"\#(id)","version":3}"#
      ),
      (
        .deleteSecret(tenant.id, .databasePassword),
        #"{"change":"deleteSecret","purpose":"database_password","tenant":"\#(id)"}"#
      ),
      (
        .putDataKey(
          WrappedDataKey(
            id: KeyID(high: 0, low: 0x1F), masterKey: KeyID(high: 0, low: 0x1F), wrapped: [1, 2],
            createTime: Timestamp(nanoseconds: 4), state: .active)),
        #"{"change":"putDataKey","createTime":4,"key":"\#(key)","masterKey":"\#(key)","#
          + #""state":"active"}"#
      ),
    ]
    for (change, text) in expected { #expect(try json.text(ChangeDocument(change)) == text) }
  }

  @Test func keysOfLaterVersionsArePassedOver() throws {
    let text = #"[{"change":"forgetRequests","before":7,"more":{"a":[1]}}]"#
    #expect(
      try json.value([ChangeDocument].self, text).map(\.change)
        == [.forgetRequests(before: Timestamp(nanoseconds: 7), of: nil)])
  }

  @Test func aConnectionStringWithASecretIsLeftOutAndSaysSo() throws {
    for (number, string) in ["postgres://u:hidden@db/x", "host=db password=hidden"].enumerated() {
      var tenant = Sample.tenant(UInt64(number))
      tenant.configuration.database = DatabaseConfiguration(
        connectionString: string, username: "u")
      let text = try json.text([ChangeDocument(.putTenant(tenant))])
      #expect(!text.contains("hidden"))
      #expect(throws: ChangeDecodingError.redacted) {
        try json.value([ChangeDocument].self, text)
      }
    }
  }

  @Test(arguments: [
    #"[{"change":"unknown"}]"#, #"[{"change":"deleteRole","id":"r","tenant":"none"}]"#,
    #"[{"change":"reserveName","kind":"odd","name":"t","tenant":"\#(Sample.id(1))"}]"#,
    #"[{"change":"retireSlug","name":"UPPER","tenant":"\#(Sample.id(1))"}]"#,
    #"[{"change":"deleteDomain","name":"a.net"}]"#,
    #"[{"change":"putDomain","domain":{"claimTime":1,"name":"a","proof":"","tenant":"\#(Sample.id(1))","#
      + #""token":""}}]"#,
    #"[{"change":"putDomain","domain":{"claimTime":1,"name":"a.b","proof":"","#
      + #""tenant":"\#(Sample.id(1))","token":"","verifyTime":1}}]"#,
    #"[{"change":"putConfigurationItem","item":{}}]"#,
    #"[{"change":"putOperation","operation":{"tenant":"x"}}]"#, #"[{"change":"deleteOperations"}]"#,
    #"[{"change":"deleteConfigurationItem","id":"n","kind":"x"}]"#,
    #"[{"change":"forgetRequests"}]"#, #"[{"change":"deleteWorkloadEntry"}]"#,
    #"[{"change":"putWorkloadEntry","entry":{"createTime":1,"id":"i","lifetime":1,"path":"p","#
      + #""selectors":{},"tenant":"x"}}]"#,
    #"[{"change":"putWorkloadEntry","entry":{"createTime":1,"id":"i","lifetime":1,"path":"p","#
      + #""selectors":{"uid":-1}}}]"#,
    #"[{"change":"forgetRevocations","tenant":"\#(Sample.id(1))"}]"#,
    #"[{"change":"deleteSecret","purpose":"token_key/x","tenant":"\#(Sample.id(1))"}]"#,
    #"[{"change":"putRevocation","revocation":{"before":1,"expireTime":2,"kind":"all"},"#
      + #""tenant":"\#(Sample.id(1))"}]"#,
    #"[{"change":"putRevocation","revocation":{"before":1,"expireTime":2,"kind":"tenant","#
      + #""target":"x"},"tenant":"\#(Sample.id(1))"}]"#, #"[{}]"#, "[", "{}",
  ])
  func whatIsNoChangeIsRefused(_ text: String) {
    #expect(throws: (any Error).self) { try json.value([ChangeDocument].self, text) }
  }
}
