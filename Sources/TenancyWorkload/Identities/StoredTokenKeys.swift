internal import Synchronization
package import Tenancy
internal import TenancyCrypto
internal import TenancyTokens

/// The keys of JWT-SVIDs that the store keeps for a trust domain, as this node uses them. Public halves are in the
/// control plane's state: bundles have them whatever becomes of private ones, which are opened when they are prepared.
/// Thread-safe.
package final class StoredTokenKeys: Sendable {
  private let plane: ControlPlane
  private let vault: SecretVault
  private let trustDomain: String
  private let report: @Sendable (String) -> Void

  private struct State {
    /// By id.
    var opened: [String: TokenSigner] = [:]
    /// What signed last, and its id; nil of the one from files.
    var signing: (signer: TokenSigner, id: String?)?
  }
  private let state = Mutex(State())

  /// - Parameter report: is told what operators should know, in words.
  package init(
    _ plane: ControlPlane, _ vault: SecretVault, trustDomain: String,
    report: @escaping @Sendable (String) -> Void
  ) {
    self.plane = plane
    self.vault = vault
    self.trustDomain = trustDomain
    self.report = report
  }

  /// What is used from now on. Where a key that is to sign can't be opened, the one that signed before goes on while
  /// bundles have it: to be asked again soon.
  /// - Parameter files: those whose files are configured. The first of them signs where none in the store does, and all
  ///   verify as long as they are configured.
  /// - Returns: that, and whether all keys are there.
  package func read(
    files: TokenAuthority?
  ) async -> (authority: TokenAuthority, isComplete: Bool) {
    let (snapshot, now) = (plane.state.authorities, plane.now)
    let trusted = snapshot.trusted(.jwt, at: now).filter { $0.trustDomain == trustDomain }
    var keys = files?.keys.keys ?? []
    var isComplete = true
    for authority in trusted {
      guard let key = publicKey(of: authority) else {
        isComplete = false
        continue
      }
      if !keys.contains(where: { $0.keyID == key.keyID }) { keys.append(key) }
      if await open(authority, key) == nil { isComplete = false }
    }
    let signer = sign(trusted, files)
    do {
      return (
        TokenAuthority(trustDomain: trustDomain, signing: signer, keys: try JWKSet(keys)),
        isComplete
      )
    } catch {
      report("the keys of tokens can't be used together: \(error)")
      // Nothing is taken, rather than what may have been withdrawn.
      return (TokenAuthority(trustDomain: trustDomain, signing: nil, keys: .none), false)
    }
  }

  private func sign(_ trusted: [SigningAuthority], _ files: TokenAuthority?) -> TokenSigner? {
    let active = trusted.first { $0.state == .active }
    let file = files?.signer.map { (signer: $0, id: String?.none) }
    return state.withLock { state in
      let kept = Set(trusted.map(\.id))
      state.opened = state.opened.filter { kept.contains($0.key) }
      guard let active else {
        state.signing = file
        return file?.signer
      }
      if let opened = state.opened[active.id] {
        state.signing = (opened, active.id)
      } else if let id = state.signing?.id {
        if !kept.contains(id) { state.signing = nil }
      } else {
        // Its key in files may have been replaced meanwhile.
        state.signing = state.signing.flatMap { _ in file }
      }
      return state.signing?.signer
    }
  }

  private func publicKey(of authority: SigningAuthority) -> JWK? {
    let set = try? JWKSet(parsing: Array("{\"keys\":[\(authority.publicKey)]}".utf8))
    guard let set, set.keys.count == 1, let key = set.keys.first, key.keyID != nil else {
      report("the public key of the authority \(authority.id) can't be read")
      return nil
    }
    return key
  }

  private func open(_ authority: SigningAuthority, _ key: JWK) async -> TokenSigner? {
    if let opened = state.withLock({ $0.opened[authority.id] }) { return opened }
    do {
      let place = authority.keyPlace
      guard let secret = try await vault.open(place.purpose, of: place.tenant) else {
        report("the key of the authority \(authority.id) is not there")
        return nil
      }
      let made = try TokenSigner(
        secret.reveal().withUnsafeBytes { bytes in
          try MessageSigner(pkcs8: bytes, .es256)
        })
      guard made.key.keyID == key.keyID else {
        report("the key of the authority \(authority.id) is not the one that bundles have")
        return nil
      }
      state.withLock { $0.opened[authority.id] = made }
      return made
    } catch {
      report("the key of the authority \(authority.id) can't be opened: \(error)")
      return nil
    }
  }
}
