import Synchronization
public import Tenancy
import TenancyCrypto
import TenancyTokens

/// Public keys of tenants and of other issuers, ready to verify with: making one costs as much as using it. Confined to
/// an event loop, or to a call.
struct TokenKeyCache: Sendable {
  /// Some 3 KiB each.
  private var keys = BoundedCache<String, JWK>(capacity: 2048)
  /// Some 3 KiB for each key of theirs.
  private var sets = BoundedCache<KeysOfIssuer, JWKSet>(capacity: 128)

  /// Looked up by which keys there are, and found by what they are.
  private struct KeysOfIssuer: Hashable {
    let keys: [ExternalKey]

    func hash(into hasher: inout Hasher) {
      for key in keys { hasher.combine(key.id) }
    }
  }

  /// - Parameter key: its id is its thumbprint: no other key has it.
  /// - Throws: INTERNAL for one that is none.
  mutating func key(_ key: TokenKey) throws(TenancyError) -> JWK {
    if let made = keys[key.id] { return made }
    let made = try key.read()
    keys.insert(made, for: key.id)
    return made
  }

  /// - Parameter keys: of one issuer.
  /// - Throws: INTERNAL for what is none.
  mutating func set(_ keys: [ExternalKey]) throws(TenancyError) -> JWKSet {
    let place = KeysOfIssuer(keys: keys)
    if let made = sets[place] { return made }
    let made = try ExternalKey.read(keys)
    sets.insert(made, for: place)
    return made
  }
}

/// The same for calls that are not answered on an event loop. Of two that miss at once, what one has made may be lost.
enum SharedTokenKeys {
  private static let cache = Mutex(TokenKeyCache())

  static func with<Result, Failure: Error>(
    _ body: (inout TokenKeyCache) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var keys = cache.withLock { $0 }
    defer { cache.withLock { $0 = keys } }
    return try body(&keys)
  }
}

extension TokenKey {
  func read() throws(TenancyError) -> JWK {
    let set: JWKSet
    do throws(JWKError) {
      set = try JWKSet(parsing: Array("{\"keys\":[\(publicKey)]}".utf8))
    } catch {
      throw TenancyError(.internalError, .secretsFailed, "a stored key can't be read: \(error)")
    }
    guard let key = set.keys.first, key.keyID == ExactText(id) else {
      throw TenancyError(.internalError, .secretsFailed, "a stored key is not what it should be")
    }
    return key
  }
}

extension ExternalKey {
  /// Bits of an RSA key: larger ones cost more to verify with than other tenants' tokens do.
  private static let maximumModulusBits = 4096

  init(_ key: JWK) {
    self.init(
      id: JWKThumbprint.text(of: key.verifier.publicKey).text,
      publicKey: String(decoding: key.json().bytes(), as: UTF8.self))
  }

  static func read(_ keys: [ExternalKey]) throws(TenancyError) -> JWKSet {
    do throws(JWKError) {
      let text = keys.map(\.publicKey).joined(separator: ",")
      return try JWKSet(parsing: Array("{\"keys\":[\(text)]}".utf8))
    } catch {
      throw TenancyError(
        .internalError, .secretsFailed, "a stored key of an issuer can't be read: \(error)")
    }
  }

  /// Reads the keys of an issuer that can verify tokens (RFC 7517), each with the one algorithm that it verifies.
  /// - Parameter algorithms: how the issuer's tokens may be signed. An RSA key that says nothing else is of RS256 if that
  ///   is among them, else of PS256; keys of other algorithms are left out.
  /// - Throws: `ExternalKeyError`: what is wrong with the set.
  public static func read(
    set text: String, algorithms: [String]
  ) throws(ExternalKeyError) -> [ExternalKey] {
    let accepted = SignatureAlgorithm.accepted(algorithms)
    do throws(JWKError) {
      let set = try JWKSet(parsing: Array(text.utf8), rsaAlgorithm: rsaAlgorithm(accepted))
      return set.keys.filter { key in
        accepted.contains(key.algorithm) && key.modulusBits <= maximumModulusBits
      }.map { ExternalKey($0) }
    } catch {
      throw ExternalKeyError(description: error.description)
    }
  }

  /// The keys of a set, as `read` makes them, whatever else is in it.
  /// - Returns: nil for what is no set of keys.
  static func listed(in text: String, algorithms: [String]) -> Set<ExternalKey>? {
    let accepted = SignatureAlgorithm.accepted(algorithms)
    let keys = JWKSet.readable(in: Array(text.utf8), rsaAlgorithm: rsaAlgorithm(accepted))
    return keys.map { Set($0.map { ExternalKey($0) }) }
  }

  /// Of an RSA key that says none.
  private static func rsaAlgorithm(
    _ accepted: Set<SignatureAlgorithm>
  ) -> SignatureAlgorithm? {
    accepted.contains(.rs256) ? .rs256 : accepted.contains(.ps256) ? .ps256 : nil
  }
}

/// Why a set of keys is not used.
public struct ExternalKeyError: Error, CustomStringConvertible {
  /// For people.
  public let description: String
}

extension SignatureAlgorithm {
  /// - Parameter names: as JOSE has them; others are passed over.
  static func accepted(_ names: [String]) -> Set<SignatureAlgorithm> {
    Set(allCases.filter { names.contains($0.rawValue) })
  }
}

extension JWK {
  /// 0 where it is not an RSA key.
  fileprivate var modulusBits: Int {
    guard case .rsa(let modulus, _) = verifier.publicKey.numbers, let first = modulus.first else {
      return 0
    }
    return modulus.count * 8 - first.leadingZeroBitCount
  }
}
