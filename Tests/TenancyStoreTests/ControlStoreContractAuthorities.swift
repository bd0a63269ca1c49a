import Tenancy
import TenancySecrets
import TenancyTestSupport
import Testing

/// What the checks of signing authorities are made of.
enum ContractAuthorities {
  static func authority(
    _ number: UInt64, _ reference: SecretReference, state: SigningAuthority.State = .prepared,
    domain: String = "example.test", version: UInt64 = 1
  ) -> SigningAuthority {
    let time = Timestamp(nanoseconds: 1)
    let isAwaiting = state == .awaitingCertificate
    return SigningAuthority(
      id: Sample.id(number).description, trustDomain: domain, state: state,
      chain: isAwaiting ? "" : "-----BEGIN \"é\"-----\n\\/\n", request: isAwaiting ? "r\n" : "",
      expireTime: isAwaiting ? nil : Timestamp(nanoseconds: .max), propagation: 60,
      createTime: time, prepareTime: isAwaiting ? nil : time,
      activateTime: state == .active ? time : nil,
      retireTime: [.retiring, .revoked].contains(state) ? time : nil,
      trustUntil: state == .retiring ? Timestamp(nanoseconds: 7) : nil, version: version,
      reference: reference)
  }

  /// A key of tokens.
  static func tokenKey(
    _ number: UInt64, _ reference: SecretReference, state: SigningAuthority.State = .prepared
  ) -> SigningAuthority {
    let time = Timestamp(nanoseconds: 1)
    return SigningAuthority(
      id: Sample.id(number).description, kind: .jwt, trustDomain: "example.test", state: state,
      publicKey: #"{"kty":"é"}"#, propagation: 60, createTime: time, prepareTime: time,
      activateTime: state == .active ? time : nil, retireTime: state == .retiring ? time : nil,
      trustUntil: state == .retiring ? Timestamp(nanoseconds: 7) : nil, version: 1,
      reference: reference)
  }

  /// One with its key.
  static func sealed(
    _ number: UInt64, _ keyring: Keyring, state: SigningAuthority.State = .prepared
  ) throws -> (SigningAuthority, StoredSecret) {
    let purpose = SecretPurpose.authorityKey(Sample.id(number).description)
    let stored = try keyring.seal(
      ClearSecret("private"), for: SecretPlace(tenant: SecretPlace.platform, purpose: purpose),
      version: 1)
    return (authority(number, stored.reference, state: state), stored)
  }

  static func put(_ authority: SigningAuthority, _ stored: StoredSecret) -> [Change] {
    guard authority.state != .revoked else { return [.putAuthority(authority)] }
    return [
      .putAuthority(authority),
      .putSecret(
        SecretPlace.platform, authority.keyPlace.purpose, stored.reference, stored.sealed),
    ]
  }
}

/// The checks of signing authorities and of the platform's secrets.
extension ControlStoreContract {
  static let authorities = [
    ControlStoreContract("authorities come back, and their keys not by loading") { open in
      let keyring = try ContractSecrets.keyring()
      let key = try keyring.makeDataKey(at: Timestamp(nanoseconds: 1))
      try keyring.install([key])
      let states = SigningAuthority.State.allCases
      var made = try states.enumerated().map { number, state in
        try ContractAuthorities.sealed(UInt64(number + 1), keyring, state: state)
      }
      for (number, state) in [(UInt64(11), SigningAuthority.State.active), (12, .retiring)] {
        let (authority, stored) = try ContractAuthorities.sealed(number, keyring)
        made.append(
          (ContractAuthorities.tokenKey(number, authority.reference, state: state), stored))
      }
      let put = made.flatMap { ContractAuthorities.put($0.0, $0.1) }
      try withStore(open) { (store) throws in
        try store.append([Sample.entry(1, [.putDataKey(key)] + put)])
      }
      try withStore(open) { (store) throws in
        #expect(try store.load().changes == made.map { .putAuthority($0.0) })
        for (authority, stored) in made where authority.state != .revoked {
          let place = authority.keyPlace
          let found = try store.secret(place.purpose, of: place.tenant)
          #expect(found == stored)
          #expect(
            try found.map { try keyring.open($0, for: place).reveal() } == Array("private".utf8))
        }
        let told = try store.entries(after: 0, limit: 1).flatMap(\.changes)
        #expect(told.count == put.count + 1)
        for change in told {
          if case .putSecret(let owner, _, _, let content) = change {
            #expect(owner == SecretPlace.platform && content == nil)
          }
        }
        let (first, _) = made[0]
        let gone: [Change] = [
          .deleteAuthority(id: first.id), .deleteAuthority(id: "none"),
          .deleteSecret(SecretPlace.platform, first.keyPlace.purpose),
        ]
        var changed = made[1].0
        changed.version = .max
        try store.append([Sample.entry(2, gone + [.putAuthority(changed)])])
        #expect(
          try store.load().changes
            == ([changed] + made.dropFirst(2).map(\.0)).map { .putAuthority($0) })
        #expect(try store.secret(first.keyPlace.purpose, of: SecretPlace.platform) == nil)
        #expect(
          try store.entries(after: 1, limit: 1).map(\.changes) == [gone + [.putAuthority(changed)]])
      }
    },
    ControlStoreContract("a key of no data key is refused") { open in
      try withStore(open) { (store) throws in
        let reference = SecretReference(version: 1, key: KeyID(high: 1, low: 2))
        let change = Change.putSecret(
          SecretPlace.platform, .authorityKey(Sample.id(1).description), reference,
          SealedSecret(bytes: [1]))
        expectError(.conflict) { try store.append([Sample.entry(1, [change])]) }
        try expectState(StateModel(), in: store)
      }
    },
  ]
}
