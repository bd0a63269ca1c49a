internal import Tenancy

/// A key of a tenant's tokens as JSON has it, in the tenant's row and in the log.
struct TokenKeyDocument: Codable, Equatable {
  private let id, publicKey: String
  private let algorithm: TokenKey.Algorithm
  private let createTime: Int64
  private let retireTime, verifyUntil: Int64?
  private let reference: SecretReference

  init(_ key: TokenKey) {
    id = key.id
    publicKey = key.publicKey
    algorithm = key.algorithm
    createTime = key.createTime.nanoseconds
    retireTime = key.retireTime?.nanoseconds
    verifyUntil = key.verifyUntil?.nanoseconds
    reference = key.reference
  }

  var key: TokenKey {
    TokenKey(
      id: id, algorithm: algorithm, publicKey: publicKey,
      createTime: Timestamp(nanoseconds: createTime),
      retireTime: retireTime.map(Timestamp.init(nanoseconds:)),
      verifyUntil: verifyUntil.map(Timestamp.init(nanoseconds:)), reference: reference)
  }

  /// What the encoder makes of documents.
  static func write(_ keys: [TokenKey], to json: inout JSONText) throws(StoreError) {
    try json.array { json throws(StoreError) in
      for key in keys {
        try json.object { json throws(StoreError) in
          json.pair("algorithm", key.algorithm.rawValue)
          json.pair("createTime", key.createTime)
          json.pairs(("id", key.id), ("publicKey", key.publicKey))
          json.key("reference")
          try json.object { json throws(StoreError) in
            json.pair("key", key.reference.key.description)
            json.pair("version", key.reference.version)
          }
          json.pair("retireTime", key.retireTime)
          json.pair("verifyUntil", key.verifyUntil)
        }
      }
    }
  }
}

/// What a tenant's row has of its tokens, labels, plans and login: a list of its keys, or an object with these and more,
/// where there is more. Stores of before there was more have only lists.
struct TokensDocument: Decodable {
  private let keys: [TokenKeyDocument]
  private let authentication: AuthenticationSettings?
  private let horizon: Int64?
  private let metadata: TenantMetadataDocument?
  private let plans: LifecyclePlansDocument?
  private let dataLogin: DataLoginDocument?

  private enum Key: String, CodingKey {
    case authentication, dataLogin, horizon, keys, metadata, plans
  }

  init(from decoder: any Decoder) throws {
    if let object = try? decoder.container(keyedBy: Key.self) {
      // What is no object is a list.
      authentication = try object.decodeIfPresent(
        AuthenticationSettings.self, forKey: .authentication)
      horizon = try object.decodeIfPresent(Int64.self, forKey: .horizon)
      keys = try object.decodeIfPresent([TokenKeyDocument].self, forKey: .keys) ?? []
      metadata = try object.decodeIfPresent(TenantMetadataDocument.self, forKey: .metadata)
      plans = try object.decodeIfPresent(LifecyclePlansDocument.self, forKey: .plans)
      dataLogin = try object.decodeIfPresent(DataLoginDocument.self, forKey: .dataLogin)
      guard
        authentication != nil || horizon != nil || metadata != nil || plans != nil
          || dataLogin != nil
      else {
        throw DecodingError.dataCorrupted(
          DecodingError.Context(codingPath: [], debugDescription: "an object with nothing in it"))
      }
    } else {
      keys = try [TokenKeyDocument](from: decoder)
      authentication = nil
      horizon = nil
      metadata = nil
      plans = nil
      dataLogin = nil
    }
  }

  func apply(to tenant: inout Tenant) {
    tenant.tokenKeys = keys.map(\.key)
    tenant.authentication = authentication ?? AuthenticationSettings()
    tenant.tokenHorizon = horizon.map(Timestamp.init(nanoseconds:))
    if let metadata { tenant.metadata = metadata.metadata }
    if let plans { tenant.plans = plans.plans }
    tenant.dataLogin = dataLogin?.login
  }

  /// As a row keeps it; nil for nothing.
  static func text(of tenant: Tenant, _ coding: JSONCoding) throws(StoreError) -> String? {
    let keys = tenant.tokenKeys
    let isList =
      tenant.authentication.isDefault && tenant.tokenHorizon == nil && !tenant.hasPlans
      && tenant.dataLogin == nil && !tenant.hasMetadata
    if isList, keys.isEmpty { return nil }
    var json = JSONText(capacity: 512 * keys.count)
    if isList {
      try TokenKeyDocument.write(keys, to: &json)
      return json.text
    }
    try json.object { json throws(StoreError) in
      if !tenant.authentication.isDefault {
        json.key("authentication")
        json.json(try coding.text(tenant.authentication))
      }
      if let login = tenant.dataLogin {
        json.key("dataLogin")
        try DataLoginDocument.write(login, to: &json)
      }
      json.pair("horizon", tenant.tokenHorizon)
      if !keys.isEmpty {
        json.key("keys")
        try TokenKeyDocument.write(keys, to: &json)
      }
      if tenant.hasMetadata {
        json.key("metadata")
        try TenantMetadataDocument.write(tenant.metadata, to: &json)
      }
      if tenant.hasPlans {
        json.key("plans")
        try LifecyclePlansDocument.write(tenant.plans, to: &json)
      }
    }
    return json.text
  }
}

/// A revocation as the log has it.
struct RevocationDocument: Codable {
  private let kind: String
  /// Left out where it is the whole tenant.
  private let target: String?
  private let before, expireTime: Int64
  private let reason: String?

  init(_ revocation: Revocation) {
    let target = revocation.target
    kind = target.kind.rawValue
    self.target = target.text.isEmpty ? nil : target.text
    before = revocation.before.nanoseconds
    expireTime = revocation.expireTime.nanoseconds
    reason = revocation.reason.isEmpty ? nil : revocation.reason
  }

  func revocation() throws(ChangeDecodingError) -> Revocation {
    guard let kind = Revocation.Target.Kind(rawValue: kind),
      let target = Revocation.Target(kind, text: target ?? "")
    else { throw .malformed }
    return Revocation(
      target: target, before: Timestamp(nanoseconds: before),
      expireTime: Timestamp(nanoseconds: expireTime), reason: reason ?? "")
  }

  /// What the encoder makes of the document.
  static func write(_ revocation: Revocation, to json: inout JSONText) throws(StoreError) {
    let target = revocation.target
    try json.object { json throws(StoreError) in
      json.pair("before", revocation.before)
      json.pair("expireTime", revocation.expireTime)
      json.pair("kind", target.kind.rawValue)
      if !revocation.reason.isEmpty { json.pair("reason", revocation.reason) }
      if !target.text.isEmpty { json.pair("target", target.text) }
    }
  }
}
