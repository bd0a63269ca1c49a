import Tenancy
import TenancySecrets
import TenancyTestSupport
import Testing

/// What the checks of tokens are made of.
enum ContractTokens {
  /// All that there can be.
  static let login = DataLogin(
    number: .max, password: SecretReference(version: .max, key: KeyID(high: .max, low: 0)),
    createTime: Timestamp(nanoseconds: .max),
    next: DataLogin.Next(
      number: 3, password: SecretReference(version: 0, key: KeyID(high: 0, low: .max))),
    former: 0, standing: .changing)
  static let plans = LifecyclePlans(
    maintenance: PlannedMaintenance(expectedEnd: Timestamp(nanoseconds: .max)),
    legalHold: LegalHold(reason: "\u{8}\"/é", time: Timestamp(nanoseconds: .min)),
    schedule: TenantSchedule(
      suspend: Timestamp(nanoseconds: 1), trialEnd: Timestamp(nanoseconds: -1),
      delete: Timestamp(nanoseconds: .max)))

  /// Also what commands would refuse.
  static let metadata = TenantMetadata(
    labels: ["b": "", "B.a/c-1": "x", "b-2": "\"\\", "b_2": "", "b10": "", "é": "\u{0}"],
    annotations: ["": "\u{8}\n\u{1F9EA}", "a/b": ""])

  static func key(
    _ name: Character, _ reference: SecretReference, retired: Bool = false
  ) -> TokenKey {
    TokenKey(
      id: String(repeating: name, count: 43), algorithm: retired ? .edDSA : .es256,
      publicKey: "{\"kid\":\"\(name)\",\"odd\":\"\\u0000\u{7F}\u{2028}é/\"}",
      createTime: Timestamp(nanoseconds: .min),
      retireTime: retired ? Timestamp(nanoseconds: -1) : nil,
      verifyUntil: retired ? Timestamp(nanoseconds: .max) : nil, reference: reference)
  }

  static func put(_ tenant: TenantID, _ target: Revocation.Target, until end: Int64) -> Change {
    .putRevocation(
      tenant,
      Revocation(
        target: target, before: Timestamp(nanoseconds: 7), expireTime: Timestamp(nanoseconds: end)))
  }
}

/// The checks of the keys of tokens, and of what is revoked.
extension ControlStoreContract {
  static let tokens = [
    ControlStoreContract("keys of tokens come back with their tenant, and sealed halves apart") {
      open in
      let keyring = try ContractSecrets.keyring()
      let dataKey = try keyring.makeDataKey(at: Timestamp(nanoseconds: 1))
      try keyring.install([dataKey])
      var (tenant, password) = try ContractSecrets.tenant(1, keyring, password: "p")
      var changes = [.putDataKey(dataKey)] + ContractSecrets.put(tenant, password).dropFirst()
      var sealed: [SecretPurpose: StoredSecret] = [.databasePassword: password]
      for name: Character in ["b", "_"] {
        let purpose = SecretPurpose.tokenKey(String(repeating: name, count: 43))
        let secret = try keyring.seal(
          ClearSecret("private \(name)"), for: SecretPlace(tenant: tenant.id, purpose: purpose),
          version: 1)
        sealed[purpose] = secret
        tenant.tokenKeys.append(
          ContractTokens.key(name, secret.reference, retired: name == "_"))
        changes.append(.putSecret(tenant.id, purpose, secret.reference, secret.sealed))
      }
      changes.append(.putTenant(tenant))
      try withStore(open) { (store) throws in try store.append([Sample.entry(1, changes)]) }
      try withStore(open) { (store) throws in
        #expect(try store.load().changes == [.putTenant(tenant)])
        for (purpose, secret) in sealed {
          #expect(try store.secret(purpose, of: tenant.id) == secret)
          #expect(try store.secret(purpose, of: Sample.id(2)) == nil)
        }
        #expect(
          try store.entries(after: 0, limit: 1) == [Sample.entry(1, changes).withoutSecrets])
        #expect(!"\(try store.entries(after: 0, limit: 1))".contains("private"))
        let gone = SecretPurpose.tokenKey(tenant.tokenKeys.removeLast().id)
        try store.append([
          Sample.entry(2, [.putTenant(tenant), .deleteSecret(tenant.id, gone)])
        ])
        for (purpose, secret) in sealed {
          #expect(try store.secret(purpose, of: tenant.id) == (purpose == gone ? nil : secret))
        }
        #expect(try store.load().changes == [.putTenant(tenant)])
        tenant.tokenKeys = []
        try store.append([Sample.entry(3, [.putTenant(tenant)])])
        #expect(try store.load().changes == [.putTenant(tenant)])
      }
    },
    ControlStoreContract("authentication settings and horizons come back with their tenant") {
      open in
      let reference = SecretReference(version: 1, key: KeyID(high: 1, low: 2))
      var tenants = (1...5).map { Sample.tenant($0) }
      tenants[1].authentication = SampleSettings.all()
      tenants[2].tokenHorizon = Timestamp(nanoseconds: 7)
      tenants[3].authentication.acceptsOwnTokens = false
      tenants[3].tokenHorizon = Timestamp(nanoseconds: .max)
      tenants[4].authentication = SampleSettings.all()
      tenants[4].tokenKeys = [ContractTokens.key("k", reference)]
      var changes = tenants.map { Change.putTenant($0) }
      try withStore(open) { (store) throws in try store.append([Sample.entry(1, changes)]) }
      try withStore(open) { (store) throws in
        #expect(try store.load().changes == changes)
        #expect(try store.entries(after: 0, limit: 1) == [Sample.entry(1, changes)])
        // Back to what a tenant has that never changed them.
        tenants[1].authentication = AuthenticationSettings()
        changes[1] = .putTenant(tenants[1])
        try store.append([Sample.entry(2, [changes[1]])])
        #expect(try store.load().changes == changes)
      }
    },
    ControlStoreContract("plans come back with their tenant") { open in
      var tenants = (1...6).map { Sample.tenant($0) }
      tenants[1].plans = ContractTokens.plans
      tenants[2].plans.maintenance = PlannedMaintenance()
      tenants[3].plans.legalHold = LegalHold(reason: "\"", time: Timestamp(nanoseconds: .max))
      tenants[4].plans.schedule.trialEnd = Timestamp(nanoseconds: 0)
      tenants[4].tokenHorizon = Timestamp(nanoseconds: 3)
      tenants[5].plans = ContractTokens.plans
      tenants[5].authentication = SampleSettings.all()
      var changes = tenants.map { Change.putTenant($0) }
      try withStore(open) { (store) throws in try store.append([Sample.entry(1, changes)]) }
      try withStore(open) { (store) throws in
        #expect(try store.load().changes == changes)
        #expect(try store.entries(after: 0, limit: 1) == [Sample.entry(1, changes)])
        tenants[1].plans = LifecyclePlans()
        changes[1] = .putTenant(tenants[1])
        try store.append([Sample.entry(2, [changes[1]])])
        #expect(try store.load().changes == changes)
      }
    },
    ControlStoreContract("logins and placements come back with their tenant") { open in
      var tenants = (1...4).map { Sample.tenant($0) }
      tenants[1].dataLogin = ContractTokens.login
      tenants[2].dataLogin = ContractTokens.login
      tenants[2].plans = ContractTokens.plans
      tenants[3].configuration.placement = PlacementSettings(region: "eu", cluster: "one")
      var changes = tenants.map { Change.putTenant($0) }
      try withStore(open) { (store) throws in try store.append([Sample.entry(1, changes)]) }
      try withStore(open) { (store) throws in
        #expect(try store.load().changes == changes)
        #expect(try store.entries(after: 0, limit: 1) == [Sample.entry(1, changes)])
        tenants[1].dataLogin = nil
        changes[1] = .putTenant(tenants[1])
        try store.append([Sample.entry(2, [changes[1]])])
        #expect(try store.load().changes == changes)
      }
    },
    ControlStoreContract("labels and annotations come back with their tenant") { open in
      var tenants = (1...5).map { Sample.tenant($0) }
      tenants[1].metadata = ContractTokens.metadata
      tenants[2].metadata.labels = ["region": "eu"]
      tenants[3].metadata.annotations = ["note": "x"]
      tenants[4].metadata.labels = ["region": "eu"]
      tenants[4].plans = ContractTokens.plans
      tenants[4].authentication = SampleSettings.all()
      var changes = tenants.map { Change.putTenant($0) }
      try withStore(open) { (store) throws in try store.append([Sample.entry(1, changes)]) }
      try withStore(open) { (store) throws in
        #expect(try store.load().changes == changes)
        #expect(try store.entries(after: 0, limit: 1) == [Sample.entry(1, changes)])
        tenants[1].metadata = TenantMetadata()
        changes[1] = .putTenant(tenants[1])
        try store.append([Sample.entry(2, [changes[1]])])
        #expect(try store.load().changes == changes)
      }
    },
    ControlStoreContract("what is no purpose has no secret") { open in
      try withStore(open) { (store) throws in
        for id in ["", "'", "' OR '1' = '1", String(repeating: "é", count: 43)] {
          #expect(try store.secret(.tokenKey(id), of: Sample.id(1)) == nil)
        }
      }
    },
    ControlStoreContract("revocations come back, each target once") { open in
      let (tenant, other) = (Sample.tenant(1), Sample.tenant(2))
      let odd = Revocation(
        target: .subject("e\u{301}'\"\\\u{1F9EA}"), before: Timestamp(nanoseconds: .min),
        expireTime: Timestamp(nanoseconds: .max), reason: "line \u{2028} \"'\\")
      let changes: [Change] = [
        .putTenant(tenant), .putTenant(other), .putRevocation(tenant.id, odd),
        ContractTokens.put(tenant.id, .subject("\u{E9}'\"\\\u{1F9EA}"), until: 1),
        ContractTokens.put(tenant.id, .token("same"), until: 2),
        ContractTokens.put(tenant.id, .subject("same"), until: 3),
        ContractTokens.put(tenant.id, .tenant, until: 4),
        ContractTokens.put(other.id, .token("same"), until: 5),
        // In the place of the former.
        .putRevocation(
          tenant.id,
          Revocation(
            target: .token("same"), before: Timestamp(nanoseconds: 1),
            expireTime: Timestamp(nanoseconds: 9), reason: "again")),
      ]
      var expected = StateModel()
      for change in changes { expected.apply(change) }
      expected.revision = 1
      #expect(expected.revocations.count == 6)
      try withStore(open) { try $0.append([Sample.entry(1, changes)]) }
      try withStore(open) { (store) throws in
        try expectState(expected, in: store)
        #expect(try store.entries(after: 0, limit: 1).map(\.changes) == [changes])
      }
    },
    ControlStoreContract("a tenant's revocations are forgotten before a moment, not at it") {
      open in
      let (tenant, other) = (Sample.tenant(1), Sample.tenant(2))
      let kept: [Change] = [
        .putTenant(tenant), .putTenant(other),
        ContractTokens.put(tenant.id, .token("c"), until: 5),
        ContractTokens.put(other.id, .tenant, until: 1),
      ]
      try withStore(open) { (store) throws in
        try store.append([
          Sample.entry(
            1,
            kept + [
              ContractTokens.put(tenant.id, .token("a"), until: -9),
              ContractTokens.put(tenant.id, .subject("b"), until: 4),
            ]),
          Sample.entry(2, [.forgetRevocations(tenant.id, before: Timestamp(nanoseconds: 5))]),
        ])
        #expect(try store.load().changes == kept)
        let end = Change.forgetRevocations(tenant.id, before: Timestamp(nanoseconds: .max))
        try store.append([Sample.entry(3, [end])])
        #expect(try store.load().changes == [kept[0], kept[1], kept[3]])
      }
    },
    ControlStoreContract("a revocation of no tenant is refused") { open in
      try withStore(open) { (store) throws in
        expectError(.conflict) {
          try store.append([
            Sample.entry(1, [ContractTokens.put(Sample.id(1), .tenant, until: 1)])
          ])
        }
        try expectState(StateModel(), in: store)
      }
    },
  ]
}
