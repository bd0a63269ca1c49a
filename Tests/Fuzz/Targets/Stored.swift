import TenancyTestSupport

@testable import Tenancy
@testable import TenancySecrets
@testable import TenancyStore

/// What is read back from stores, exports and backups, which somebody may have changed meanwhile, and what
/// clients hand back that was given to them.
let storedTargets: [FuzzTarget] = [
  FuzzTarget("consistency-token") {
    [
      Array(ConsistencyToken(store: 1, revision: 2).text.utf8),
      Array(ConsistencyToken(store: .max, revision: .max).text.utf8), [],
    ]
  } run: { input in
    let text = String(decoding: input, as: UTF8.self)
    guard let token = ConsistencyToken(parsing: text) else { return }
    try checkEqual(token.text, text, "token")
  },

  FuzzTarget("audit-record") {
    Sample.records.map(AuditEncoding.encode)
  } run: { input in
    guard let record = AuditEncoding.decode(input) else { return }
    // Another encoding of the same would have another hash.
    try checkEqual(AuditEncoding.encode(record), input, "record")
  },

  FuzzTarget("audit-lines") {
    let records = Sample.stored
    let lines = records.map { AuditLine($0).text } + [Sample.checkpoint(of: records).text]
    return lines.map { Array($0.utf8) }
  } run: { input in
    let text = String(decoding: input, as: UTF8.self)
    if let line = AuditLine(parsing: text) { try checkEqual(line.text, text, "line") }
    if let checkpoint = AuditCheckpoint(parsing: text) {
      try checkEqual(checkpoint.text, text, "checkpoint")
    }
  },

  FuzzTarget("audit-export") {
    let records = Sample.stored
    let lines = records.map { AuditLine($0).text } + [Sample.checkpoint(of: records).text]
    return [Array(lines.joined(separator: "\n").utf8)]
  } run: { input in
    // The last line is the checkpoint. Records that verify are those that were written.
    let lines = String(decoding: input, as: UTF8.self).split(separator: "\n").map(String.init)
    var verifier = AuditVerifier(hash: Sample.hash) { Sample.sign($0) == $1 }
    do throws(AuditFault) {
      for line in lines.dropLast() { try verifier.add(line: line, at: "line") }
      try verifier.add(checkpoint: lines.last ?? "", at: "last")
      try verifier.finish(isPartial: false)
    } catch {
      return
    }
    try checkEqual(lines.dropLast(), Sample.stored.map { AuditLine($0).text }[...], "records")
  },

  FuzzTarget("sealed-secret") {
    [Sample.sealed.bytes, Sample.wrapped]
  } run: { input in
    func opened(_ body: () throws(SecretError) -> [UInt8]) throws -> [UInt8]? {
      do throws(SecretError) {
        return try body()
      } catch {
        try checkEqual(error.code, .damaged, "refusal")
        return nil
      }
    }
    let secret = StoredSecret(reference: Sample.reference, sealed: SealedSecret(bytes: input))
    let clear = try opened { () throws(SecretError) in
      try Formats.open(secret, at: Sample.place, under: Sample.dataKey).reveal()
    }
    try checkEqual(clear != nil, input == Sample.sealed.bytes, "opens")
    let key = try opened { () throws(SecretError) in
      try Formats.unwrap(input, id: Sample.dataKey.id, under: Sample.master).key.withBytes {
        Array($0)
      }
    }
    try checkEqual(key != nil, input == Sample.wrapped, "unwraps")
  },

  FuzzTarget("master-key") {
    [
      Array(Sample.master.hexText().utf8), [UInt8](0..<32),
      Array("a passphrase of 32 characters ...".utf8),
    ]
  } run: { input in
    guard
      let key = input.withUnsafeBytes({ bytes in try? MasterKey(parsing: bytes) })
    else { return }
    let text = Array(key.hexText().utf8)
    let again = try text.withUnsafeBytes { bytes in try MasterKey(parsing: bytes) }
    try checkEqual(again.id, key.id, "key")
  },

  FuzzTarget("log-changes") {
    [Array(try ChangeDocument.text(of: Sample.changes, JSONCoding()).utf8), Array("[]".utf8)]
  } run: { input in
    let json = JSONCoding()
    let text = String(decoding: input, as: UTF8.self)
    guard let found = json.decode([ChangeDocument].self, text)?.map(\.change),
      let written = try? ChangeDocument.text(of: found, json)
    else { return }
    let again = json.decode([ChangeDocument].self, written)?.map(\.change)
    try checkEqual(again, found, "changes")
  },

  FuzzTarget("stored-configuration") {
    var configuration = TenantConfiguration()
    configuration.schema = SchemaConfiguration(schemaName: "acme")
    configuration.shared = SharedConfiguration(tenantIdentifier: "a-b")
    return [
      Array(try JSONCoding().text(of: TenantConfiguration()).utf8),
      Array(try JSONCoding().text(of: configuration).utf8),
    ]
  } run: { input in
    // What is read without the coder is what the coder reads, and is written as it does.
    let text = String(decoding: input, as: UTF8.self)
    guard let plain = PlainConfiguration.decode(text.utf8Span.span.bytes) else { return }
    let json = JSONCoding()
    try checkEqual(json.decode(TenantConfiguration.self, text), plain, "configuration")
    try checkEqual(try json.text(of: plain), text, "text")
  },

  FuzzTarget("stored-token-keys") {
    let trusting = Sample.keyedTenant(trusting: true)
    return [
      Array((try TokensDocument.text(of: Sample.keyedTenant(), JSONCoding()) ?? "").utf8),
      Array((try TokensDocument.text(of: trusting, JSONCoding()) ?? "").utf8), Array("[]".utf8),
    ]
  } run: { input in
    let json = JSONCoding()
    let text = String(decoding: input, as: UTF8.self)
    guard let found = json.decode(TokensDocument.self, text) else { return }
    var (tenant, again) = (Sample.keyedTenant(), Sample.keyedTenant())
    found.apply(to: &tenant)
    again.tokenKeys = []
    if let written = try TokensDocument.text(of: tenant, json) {
      guard let read = json.decode(TokensDocument.self, written) else {
        return try check(false, "what is written can be read")
      }
      read.apply(to: &again)
    }
    try checkEqual(again, tenant, "tokens")
    let keys = tenant.tokenKeys
    var list = JSONText()
    try TokenKeyDocument.write(keys, to: &list)
    try checkEqual(list.text, try json.text(keys.map(TokenKeyDocument.init)), "text")
  },

  FuzzTarget("secret-purpose") {
    [SecretPurpose.databasePassword, .tokenKey(Sample.tokenKey.id)].map { Array($0.rawValue.utf8) }
  } run: { input in
    let text = String(decoding: input, as: UTF8.self)
    guard let purpose = SecretPurpose(rawValue: text) else { return }
    try checkEqual(purpose.rawValue, text, "purpose")
    try check(text.utf8.allSatisfy { $0 < 0x80 && $0 != 0x27 }, "what could end a text of SQL")
  },

  FuzzTarget("nul-free-text") {
    ["", "a\0b", "\u{10}0", "\u{10}\u{10}"].map { Array($0.utf8) }
  } run: { input in
    let text = String(decoding: input, as: UTF8.self)
    let encoded = NULFreeText.encode(text)
    try check(!encoded.utf8.contains(0), "a zero is left")
    try checkEqual(NULFreeText.decode(encoded), text, "text")
    // What PostgreSQL can give back.
    if !text.utf8.contains(0), let decoded = NULFreeText.decode(text) {
      try checkEqual(NULFreeText.encode(decoded), text, "decoded")
    }
  },
]

/// What the seeds are made of. Keys are made anew by each process, and are of no use elsewhere; all else is the
/// same in each, as one writes the seeds that another reads.
private enum Sample {
  static let tenant = TenantID(high: 0x018B_CFE5_6800_7000, low: 0b10 << 62)
  static let time = Timestamp(nanoseconds: 1_700_000_000_000_000_000)

  static let records: [AuditRecord] = {
    let event = AuditEvent(
      origin: AuditOrigin(
        home: tenant, subject: "spiffe://example.test/platform/x", credential: .certificate,
        credentialID: "00ff", source: "127.0.0.1:1", requestID: "r"),
      action: "tenants.create", tenant: tenant, named: "tenants/acme", decision: .denied,
      reason: "TENANT_MISMATCH", revision: 7, count: 3, firstTime: time, time: time)
    return [
      AuditRecord(chain: .tenant(tenant), sequence: 1, content: .event(event)),
      AuditRecord(chain: .platform, sequence: 1, content: .event(event)),
    ]
  }()

  /// Both, and what says in the platform's chain where the tenant's ends.
  static let stored: [StoredAuditRecord] = {
    let first = store(records[0], after: AuditHead.start.hash)
    let second = store(records[1], after: AuditHead.start.hash)
    let heads = AuditRecord.TenantHead(
      tenant: tenant, head: AuditHead(sequence: 1, hash: first.hash))
    let third = AuditRecord(
      chain: .platform, sequence: 2, content: .heads([heads], time: time))
    return [first, second, store(third, after: second.hash)]
  }()

  private static func store(_ record: AuditRecord, after previous: [UInt8]) -> StoredAuditRecord {
    let bytes = AuditEncoding.encode(record)
    return StoredAuditRecord(
      chain: record.chain, sequence: record.sequence, bytes: bytes,
      hash: hash(AuditEncoding.hashInput(bytes, after: previous)))
  }

  static func checkpoint(of records: [StoredAuditRecord]) -> AuditCheckpoint {
    let head = records.last.map { AuditHead(sequence: $0.sequence, hash: $0.hash) } ?? .start
    return AuditCheckpoint(.platform, head, time: time, incarnation: "life", sign: sign)
  }

  /// In the place of SHA-256 and of a signature: what is tested is who looks at them.
  static func hash(_ bytes: [UInt8]) -> [UInt8] {
    (UInt8(0)..<4).flatMap { part in
      let number = (bytes + [part]).reduce(UInt64(0xCBF2_9CE4_8422_2325)) {
        ($0 ^ UInt64($1)) &* 0x100_0000_01B3
      }
      return (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }
  }

  static func sign(_ bytes: [UInt8]) -> [UInt8] { hash(bytes) + hash(bytes + [1]) }

  static let place = SecretPlace(tenant: tenant, purpose: .databasePassword)
  static let keys: (MasterKey, DataKey, StoredSecret, [UInt8]) = {
    do {
      let master = try MasterKey()
      let key = DataKey(id: KeyID(high: 1, low: 2), key: try .random())
      return (
        master, key, try Formats.seal(Array("secret".utf8), at: place, version: 3, under: key),
        try Formats.wrap(key, under: master)
      )
    } catch {
      preconditionFailure("no keys: \(error)")
    }
  }()
  static var master: MasterKey { keys.0 }
  static var dataKey: DataKey { keys.1 }
  static var reference: SecretReference { keys.2.reference }
  static var sealed: SealedSecret { keys.2.sealed }
  static var wrapped: [UInt8] { keys.3 }

  static var tokenKey: TokenKey {
    TokenKey(
      id: String(repeating: "k", count: 43), algorithm: .edDSA,
      publicKey: #"{"crv":"Ed25519","kty":"OKP","x":"AA"}"#, createTime: time, retireTime: time,
      verifyUntil: time, reference: reference)
  }

  static func keyedTenant(trusting: Bool = false) -> Tenant {
    guard let slug = Slug(parsing: "acme") else { preconditionFailure("not a slug") }
    var tenant = keyedTenant(slug)
    guard trusting else { return tenant }
    let key = ExternalKey(id: tokenKey.id, publicKey: tokenKey.publicKey)
    var fetched = ExternalIssuer(id: "fetched", issuer: "https://f.test", keys: [])
    fetched.published = PublishedKeySet(
      url: "https://f.test/keys", pins: [String(repeating: "A", count: 43) + "="])
    tenant.authentication.issuers = [
      ExternalIssuer(id: "corp", issuer: "https://id.test", keys: [key]), fetched,
    ]
    tenant.tokenHorizon = time
    return tenant
  }

  private static func keyedTenant(_ slug: Slug) -> Tenant {
    Tenant(
      id: tenant, slug: slug, displayName: "Acme", state: .active, isolationModel: .shared,
      configuration: TenantConfiguration(), version: 3, epoch: 2, createTime: time,
      updateTime: time, tokenKeys: [tokenKey])
  }

  static var changes: [Change] {
    guard let slug = Slug(parsing: "acme") else { return [] }
    return [
      .reserveName(ReservedName(.schema, "acme"), tenant), .retireSlug(slug, tenant),
      .deleteRole(tenant, id: "reader"), .putProvisioningStep(tenant, name: "create_schema"),
      .clearProvisioningSteps(tenant), .forgetRequests(before: time, of: tenant),
      .putSecret(tenant, .databasePassword, reference, nil),
      .deleteSecret(tenant, .databasePassword),
      .putSecret(tenant, .tokenKey(tokenKey.id), reference, nil),
      .putRevocation(
        tenant,
        Revocation(target: .token("t"), before: time, expireTime: time, reason: "lost")),
      .putRevocation(tenant, Revocation(target: .tenant, before: time, expireTime: time)),
      .putWorkloadEntry(
        WorkloadEntry(
          id: tenant.description, tenant: tenant, path: "web/1",
          selectors: WorkloadEntry.Selectors(
            userID: 7, groupID: 8, binaryPath: "/bin/w", systemdUnit: "w.service", node: "n"),
          hint: "w", createTime: time)),
      .deleteWorkloadEntry(id: tenant.description), .deleteDomain(tenant, name: "a.net"),
      .putAuthority(
        SigningAuthority(
          id: tenant.description, trustDomain: "example.test", state: .active, chain: "c",
          expireTime: time, propagation: 60, createTime: time, prepareTime: time,
          activateTime: time, version: 2, reference: reference)),
      .putAuthority(
        SigningAuthority(
          id: tenant.description, kind: .jwt, trustDomain: "example.test", state: .prepared,
          publicKey: "{}", propagation: 60, createTime: time, prepareTime: time, version: 1,
          reference: reference)),
      .deleteAuthority(id: tenant.description),
      .putConfigurationItem(
        .setting(
          SettingDefinition(
            name: "a", type: .stringList, defaultValue: .array([.string("x")]),
            allowedValues: ["x"], maximumLength: 3, createTime: time, updateTime: time))),
      .deleteConfigurationItem(.setting, id: "a"),
      .putConfigurationItem(
        .plan(
          Plan(
            name: "a", title: "A", settings: ["b": .number(1)], featureFlags: ["c": true],
            createTime: time, updateTime: time))),
      .putConfigurationItem(
        .flag(
          FeatureFlag(
            name: "a", rollout: 3, tenants: [tenant.description], subjects: ["user:a"],
            createTime: time, updateTime: time))),
      .putSecret(SecretPlace.platform, .authorityKey(tenant.description), reference, nil),
      .forgetRevocations(tenant, before: time), .putTenant(keyedTenant(slug)),
      .putDataKey(
        WrappedDataKey(
          id: dataKey.id, masterKey: master.id, wrapped: [], createTime: time, state: .active)),
    ]
  }
}
