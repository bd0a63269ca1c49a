import Synchronization
import Tenancy
import TenancyCrypto
import TenancyTokens

/// Makes tenants' keys for tokens, and signs with them. Keys are opened when they are first needed, and kept.
/// Thread-safe.
final class TokenSigners: Sendable {
  private let vault: SecretVault?
  /// Some 3 KiB each.
  private let opened = Mutex(BoundedCache<String, TokenSigner>(capacity: 1024))

  /// - Parameter vault: nil where no master key is configured: there are no keys then.
  init(_ vault: SecretVault?) { self.vault = vault }

  /// What signs a tenant's tokens by one of its keys.
  /// - Throws: UNAVAILABLE where the store can't be read; ABORTED where the key has gone meanwhile.
  func signer(_ key: TokenKey, of tenant: TenantID) async throws(TenancyError) -> TokenSigner {
    if let signer = opened.withLock({ $0[key.id] }) { return signer }
    guard let vault else { throw Self.gone }
    let secret: ClearSecret?
    do throws(StoreError) {
      secret = try await vault.open(.tokenKey(key.id), of: tenant)
    } catch {
      throw TenancyError(
        .unavailable, .storeUnavailable, "the tenant's key can't be read now", retryAfterSeconds: 1)
    }
    guard let secret else { throw Self.gone }
    let signer = try Self.read(secret, key)
    opened.withLock { _ = $0.insert(signer, for: key.id) }
    return signer
  }

  /// A new key, and its private half as PKCS #8.
  ///
  /// Its id does not begin with a hyphen, as one of 64 would: command lines take such a one for an option.
  /// - Throws: INTERNAL where OpenSSL fails.
  static func make(_ algorithm: TokenKey.Algorithm) throws(TenancyError) -> NewTokenKey {
    do {
      var (signer, key) = try generate(algorithm)
      while key.keyID?.text.hasPrefix("-") ?? false { (signer, key) = try generate(algorithm) }
      let secret = try signer.withPKCS8 { ClearSecret(bytes: Array($0)) }
      return NewTokenKey(
        id: key.keyID?.text ?? "", algorithm: algorithm,
        publicKey: String(decoding: key.json().bytes(), as: UTF8.self), privateKey: secret)
    } catch {
      throw TenancyError(.internalError, .secretsFailed, "a key can't be made: \(error)")
    }
  }

  private static func generate(
    _ algorithm: TokenKey.Algorithm
  ) throws(CryptoError) -> (MessageSigner, JWK) {
    let signer = try MessageSigner(generating: algorithm.signature)
    return (signer, try JWK(of: signer))
  }

  private static func read(
    _ secret: ClearSecret, _ key: TokenKey
  ) throws(TenancyError) -> TokenSigner {
    do {
      let signer = try TokenSigner(
        secret.reveal().withUnsafeBytes { bytes in
          try MessageSigner(pkcs8: bytes, key.algorithm.signature)
        })
      guard signer.key.keyID == ExactText(key.id) else { throw gone }
      return signer
    } catch {
      throw TenancyError(.internalError, .secretsFailed, "the tenant's key is none: \(error)")
    }
  }

  private static let gone = TenancyError(
    .aborted, .tokenKeyUnknown, "the tenant's key has been removed meanwhile",
    retryAfterSeconds: 1)
}

extension TokenKey.Algorithm {
  var signature: SignatureAlgorithm {
    switch self {
    case .es256: .es256
    case .edDSA: .eddsa
    }
  }
}
