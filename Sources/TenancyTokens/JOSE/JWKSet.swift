package import TenancyCrypto

/// The public keys of one issuer (RFC 7517 §5).
package struct JWKSet: Sendable {
  /// Of a set's text.
  package static let maximumBytes = 131_072
  /// Of a set, those that are not used included.
  package static let maximumKeys = 64

  /// No keys.
  package static let none = JWKSet()

  package let keys: [JWK]
  /// Why others of the set are not used, for the operator.
  package let skipped: [JWKError]

  /// - Throws: `.duplicate` for two keys that no token could tell apart: of one name, or both without
  ///   any, and of one algorithm; and for one key with two algorithms (RFC 8725 §3.1); `.limit`.
  package init(_ keys: [JWK]) throws(JWKError) {
    try self.init(keys, skipped: [])
  }

  private init() { (keys, skipped) = ([], []) }

  private init(_ keys: [JWK], skipped: [JWKError]) throws(JWKError) {
    guard keys.count <= Self.maximumKeys else { throw JWKError(.limit, "too many keys") }
    var seen: Set<Name> = []
    for key in keys
    where !seen.insert(Name(keyID: key.keyID, algorithm: key.algorithm)).inserted {
      throw JWKError(.duplicate, "two keys have one kid and one algorithm")
    }
    var algorithms: [PublicKey: SignatureAlgorithm] = [:]
    for key in keys {
      let earlier = algorithms.updateValue(key.algorithm, forKey: key.verifier.publicKey)
      guard earlier == nil || earlier == key.algorithm else {
        throw JWKError(.duplicate, "one key has two algorithms")
      }
    }
    self.keys = keys
    self.skipped = skipped
  }

  private struct Name: Hashable {
    let keyID: ExactText?
    let algorithm: SignatureAlgorithm
  }

  /// Reads a set. Keys that can't verify tokens here are left out, as RFC 7517 §5 has it: other kinds,
  /// curves, algorithms and uses, and weak ones. What is not well-formed makes the whole set be refused,
  /// and so does a private or symmetric key: whoever publishes one has no secret left.
  /// - Parameter rsaAlgorithm: `.ps256` or `.rs256` for RSA keys that don't say theirs; nil: these are
  ///   left out.
  package init(
    parsing bytes: [UInt8], rsaAlgorithm: SignatureAlgorithm? = nil
  ) throws(JWKError) {
    let elements = try Self.elements(bytes)
    guard elements.count <= Self.maximumKeys else { throw JWKError(.limit, "too many keys") }
    var keys: [JWK] = []
    var skipped: [JWKError] = []
    for element in elements {
      guard case .object(let members) = element else {
        throw JWKError(.malformed, "a key that is not an object")
      }
      do throws(JWKError) {
        keys.append(try JWK(members, rsaAlgorithm: rsaAlgorithm))
      } catch {
        switch error.code {
        case .unsupported, .unfit: skipped.append(error)
        case .malformed, .secret, .duplicate, .limit: throw error
        }
      }
    }
    try self.init(keys, skipped: skipped)
  }

  private static func elements(_ bytes: [UInt8]) throws(JWKError) -> [TokenJSON] {
    let members: [TokenJSON.Member]
    do throws(TokenJSONError) {
      members = try TokenJSONReader.object(bytes, TokenJSONReader.Limits(bytes: maximumBytes))
    } catch {
      throw JWKError(error == .limit ? .limit : .malformed, "the set \(error.detail)")
    }
    guard case .list(let elements)? = members["keys"] else {
      throw JWKError(.malformed, "the set has no list of keys")
    }
    return elements
  }

  /// The keys of a set that can be read, also where `init` refuses the set for others in it, or for their number, but for
  /// those whose private half is there as well. They are not to be trusted for being here; a key that is not here was
  /// withdrawn.
  /// - Returns: nil for what is no set.
  package static func readable(
    in bytes: [UInt8], rsaAlgorithm: SignatureAlgorithm? = nil
  ) -> [JWK]? {
    guard let elements = try? elements(bytes) else { return nil }
    var keys: [JWK] = []
    var exposed: Set<PublicKey> = []
    for case .object(let members) in elements {
      let open = members.filter { !JWK.secret.contains($0.name) }
      guard let key = try? JWK(open, rsaAlgorithm: rsaAlgorithm) else { continue }
      if open.count == members.count {
        keys.append(key)
      } else {
        exposed.insert(key.verifier.publicKey)
      }
    }
    return keys.filter { !exposed.contains($0.verifier.publicKey) }
  }

  /// As it is published: the same bytes for the same keys.
  package func bytes() -> [UInt8] {
    TokenJSON.object([TokenJSON.Member("keys", .list(keys.map { $0.json() }))]).bytes()
  }

  /// The one key that a header means. Without a name it must be the only key of its algorithm: signatures
  /// are not tried one key after the other.
  /// - Throws: `.keyUnknown`; `.algorithm` where the key of that name has another one.
  func key(for header: JOSEHeader) throws(TokenRefusal) -> JWK {
    guard let keyID = header.keyID else {
      let fitting = keys.filter { $0.algorithm == header.algorithm }
      guard fitting.count == 1, let key = fitting.first else {
        throw TokenRefusal(.keyUnknown, "the token doesn't say which key it is of")
      }
      return key
    }
    var isNamed = false
    for key in keys where key.keyID == keyID {
      if key.algorithm == header.algorithm { return key }
      isNamed = true
    }
    guard isNamed else { throw TokenRefusal(.keyUnknown, "no key of the issuer has this kid") }
    throw TokenRefusal(.algorithm, "the key has another algorithm")
  }
}
