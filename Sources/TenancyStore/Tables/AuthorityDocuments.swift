internal import Tenancy

/// A signing authority as JSON has it, in its row and in the log. Times are nanoseconds since 1970, `propagation` is in
/// seconds. `kind` and `publicKey` are there of keys of tokens only: those from before that had neither.
struct AuthorityDocument: Codable {
  let authority: SigningAuthority

  private enum Key: String, CodingKey {
    case id, kind, trustDomain, state, chain, request, publicKey, expireTime, propagation,
      createTime, prepareTime
    case activateTime, retireTime, trustUntil, version, reference
  }

  init(_ authority: SigningAuthority) { self.authority = authority }

  func encode(to encoder: any Encoder) throws {
    var box = encoder.container(keyedBy: Key.self)
    try box.encode(authority.id, forKey: .id)
    if authority.kind != .x509 {
      try box.encode(authority.kind, forKey: .kind)
      try box.encode(authority.publicKey, forKey: .publicKey)
    }
    try box.encode(authority.trustDomain, forKey: .trustDomain)
    try box.encode(authority.state, forKey: .state)
    try box.encode(authority.chain, forKey: .chain)
    try box.encode(authority.request, forKey: .request)
    try box.encode(authority.propagation, forKey: .propagation)
    try box.encode(authority.createTime.nanoseconds, forKey: .createTime)
    try box.encode(authority.version, forKey: .version)
    try box.encode(authority.reference, forKey: .reference)
    for (key, time) in [
      (Key.expireTime, authority.expireTime), (.prepareTime, authority.prepareTime),
      (.activateTime, authority.activateTime), (.retireTime, authority.retireTime),
      (.trustUntil, authority.trustUntil),
    ] {
      try box.encodeIfPresent(time?.nanoseconds, forKey: key)
    }
  }

  init(from decoder: any Decoder) throws {
    let box = try decoder.container(keyedBy: Key.self)
    func text(_ key: Key) throws -> String { try box.decode(String.self, forKey: key) }
    func time(_ key: Key) throws -> Timestamp? {
      try box.decodeIfPresent(Int64.self, forKey: key).map(Timestamp.init(nanoseconds:))
    }
    let kind = try box.decodeIfPresent(SigningAuthority.Kind.self, forKey: .kind) ?? .x509
    authority = SigningAuthority(
      id: try text(.id), kind: kind, trustDomain: try text(.trustDomain),
      state: try box.decode(SigningAuthority.State.self, forKey: .state),
      chain: try text(.chain), request: try text(.request),
      publicKey: try box.decodeIfPresent(String.self, forKey: .publicKey) ?? "",
      expireTime: try time(.expireTime),
      propagation: try box.decode(Int64.self, forKey: .propagation),
      createTime: Timestamp(nanoseconds: try box.decode(Int64.self, forKey: .createTime)),
      prepareTime: try time(.prepareTime), activateTime: try time(.activateTime),
      retireTime: try time(.retireTime), trustUntil: try time(.trustUntil),
      version: try box.decode(UInt64.self, forKey: .version),
      reference: try box.decode(SecretReference.self, forKey: .reference))
  }

  /// As a row keeps it.
  static func text(of authority: SigningAuthority) throws(StoreError) -> String {
    var json = JSONText(capacity: 512 + authority.chain.utf8.count + authority.request.utf8.count)
    try write(authority, to: &json)
    return json.text
  }

  /// What the encoder makes of the document.
  static func write(_ authority: SigningAuthority, to json: inout JSONText) throws(StoreError) {
    try json.object { json throws(StoreError) in
      json.pair("activateTime", authority.activateTime)
      json.pair("chain", authority.chain)
      json.pair("createTime", authority.createTime)
      json.pair("expireTime", authority.expireTime)
      json.pair("id", authority.id)
      if authority.kind != .x509 { json.pair("kind", authority.kind.rawValue) }
      json.pair("prepareTime", authority.prepareTime)
      json.key("propagation")
      json.number(authority.propagation)
      if authority.kind != .x509 { json.pair("publicKey", authority.publicKey) }
      json.key("reference")
      try json.object { json throws(StoreError) in
        json.pair("key", authority.reference.key.description)
        json.pair("version", authority.reference.version)
      }
      json.pair("request", authority.request)
      json.pair("retireTime", authority.retireTime)
      json.pair("state", authority.state.rawValue)
      json.pair("trustDomain", authority.trustDomain)
      json.pair("trustUntil", authority.trustUntil)
      json.pair("version", authority.version)
    }
  }
}
