import Tenancy
import TenancySecrets
import Testing

/// What the contract's stores are opened with.
enum ContractSecrets {
  private static let master = Result { try MasterKey() }

  static func keyring() throws -> Keyring { Keyring(master: try master.get()) }

  /// A tenant that has a password, and the secret.
  static func tenant(
    _ number: UInt64, _ keyring: Keyring, password: String, version: UInt64 = 1
  ) throws -> (Tenant, StoredSecret) {
    var tenant = Sample.tenant(number)
    tenant.version = version
    let place = SecretPlace(tenant: tenant.id, purpose: .databasePassword)
    let stored = try keyring.seal(ClearSecret(password), for: place, version: version)
    tenant.configuration.database = DatabaseConfiguration(
      connectionString: "host=db", username: "u", password: stored.reference)
    return (tenant, stored)
  }

  static func put(_ tenant: Tenant, _ stored: StoredSecret) -> [Change] {
    [
      .putTenant(tenant),
      .putSecret(tenant.id, .databasePassword, stored.reference, stored.sealed),
    ]
  }
}

/// The checks of sealed secrets and of their keys.
extension ControlStoreContract {
  static let secrets = [
    ControlStoreContract("secrets and keys come back, and not by loading") { open in
      let keyring = try ContractSecrets.keyring()
      let key = try keyring.makeDataKey(at: Timestamp(nanoseconds: .max))
      try keyring.install([key])
      let (tenant, former) = try ContractSecrets.tenant(1, keyring, password: "")
      let (later, stored) = try ContractSecrets.tenant(
        1, keyring, password: "\u{0}pä\u{10}ss", version: .max)
      let purpose = SecretPurpose.databasePassword
      try withStore(open) { (store) throws in
        #expect(try store.dataKeys() == [])
        #expect(try store.secret(purpose, of: tenant.id) == nil)
        try store.append([
          Sample.entry(1, [.putDataKey(key)]),
          Sample.entry(2, ContractSecrets.put(tenant, former)),
        ])
        #expect(try store.secret(purpose, of: tenant.id) == former)
        try store.append([Sample.entry(3, ContractSecrets.put(later, stored))])
      }
      try withStore(open) { (store) throws in
        #expect(try store.dataKeys() == [key])
        #expect(try store.secret(purpose, of: tenant.id) == stored)
        #expect(try store.secret(purpose, of: Sample.id(2)) == nil)
        #expect(try store.load().changes == [.putTenant(later)])
        try store.compact(through: 3)
        #expect(try store.secret(purpose, of: tenant.id) == stored)
        try store.append([Sample.entry(4, [.deleteSecret(tenant.id, purpose)])])
        #expect(try store.secret(purpose, of: tenant.id) == nil)
      }
    },
    ControlStoreContract("the log tells of secrets and keys, and not what they are") { open in
      let keyring = try ContractSecrets.keyring()
      let key = try keyring.makeDataKey(at: Timestamp(nanoseconds: -5))
      try keyring.install([key])
      let (tenant, stored) = try ContractSecrets.tenant(1, keyring, password: "hidden")
      let changes = [.putDataKey(key)] + ContractSecrets.put(tenant, stored)
      let bare = WrappedDataKey(
        id: key.id, masterKey: key.masterKey, wrapped: [], createTime: key.createTime,
        state: key.state)
      try withStore(open) { (store) throws in
        try store.append([Sample.entry(1, changes)])
        #expect(
          try store.entries(after: 0, limit: 1).map(\.changes) == [
            [
              .putDataKey(bare), .putTenant(tenant),
              .putSecret(tenant.id, .databasePassword, stored.reference, nil),
            ]
          ])
        #expect(try store.entries(after: 0, limit: 1) == [Sample.entry(1, changes).withoutSecrets])
      }
    },
    ControlStoreContract("what has no content or key is refused, and so is a second active key") {
      open in
      let keyring = try ContractSecrets.keyring()
      let key = try keyring.makeDataKey(at: Timestamp(nanoseconds: 1))
      try keyring.install([key])
      let (tenant, stored) = try ContractSecrets.tenant(1, keyring, password: "p")
      let other = try keyring.makeDataKey(at: Timestamp(nanoseconds: 2))
      var retired = key
      retired.state = .retired
      let hollow = Change.putSecret(tenant.id, .databasePassword, stored.reference, nil)
      try withStore(open) { (store) throws in
        for changes in [
          ContractSecrets.put(tenant, stored), [.putDataKey(key), .putTenant(tenant), hollow],
          [.putDataKey(key), .putDataKey(other)],
          Sample.entry(1, [.putDataKey(key)]).withoutSecrets.changes,
        ] {
          expectError(.conflict) { try store.append([Sample.entry(1, changes)]) }
          #expect(try store.load().revision == 0)
          #expect(try store.dataKeys() == [])
        }
        try store.append([Sample.entry(1, [.putDataKey(key)])])
        try store.append([Sample.entry(2, [.putDataKey(retired), .putDataKey(other)])])
        #expect(
          try store.dataKeys()
            == [retired, other].sorted { $0.id.description < $1.id.description })
      }
    },
  ]
}
