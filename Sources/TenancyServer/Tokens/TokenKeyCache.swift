import Tenancy
import TenancyCrypto
import TenancyTokens

/// Public keys of tenants, ready to verify with: making one costs as much as using it. Confined to an event loop.
struct TokenKeyCache {
  /// Some 3 KiB each.
  private var keys = BoundedCache<String, JWK>(capacity: 2048)

  /// - Parameter key: its id is its thumbprint: no other key has it.
  /// - Throws: INTERNAL for one that is none.
  mutating func key(_ key: TokenKey) throws(TenancyError) -> JWK {
    if let made = keys[key.id] { return made }
    let made = try key.read()
    keys.insert(made, for: key.id)
    return made
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
