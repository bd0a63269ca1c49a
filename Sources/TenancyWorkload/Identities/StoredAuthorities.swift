internal import Synchronization
package import Tenancy
package import TenancyCrypto

/// The authorities that the store keeps for a trust domain, as this node uses them. Their keys are opened when they are
/// prepared, so that nothing is left to be done, or to fail, when one is to sign. Thread-safe.
package final class StoredAuthorities: Sendable {
  private let plane: ControlPlane
  private let vault: SecretVault?
  private let trustDomain: String
  private let report: @Sendable (String) -> Void

  private struct State {
    /// By id.
    var opened: [String: WorkloadAuthority] = [:]
    /// What signed last, and its id; nil of the one from files.
    var signing: (authority: WorkloadAuthority, id: String?)?
  }
  private let state = Mutex(State())

  /// - Parameters:
  ///   - vault: nil where no master key is configured: there are none then.
  ///   - report: is told what operators should know, in words.
  package init(
    _ plane: ControlPlane, _ vault: SecretVault?, trustDomain: String,
    report: @escaping @Sendable (String) -> Void
  ) {
    self.plane = plane
    self.vault = vault
    self.trustDomain = trustDomain
    self.report = report
  }

  /// What is used from now on. Where a key that is to sign can't be opened, what signed before goes on while it is
  /// trusted: to be asked again soon.
  /// - Parameter files: the one whose files are configured. It signs where none in the store does, and is trusted as
  ///   long as it is configured.
  /// - Returns: that, and whether all keys are there.
  package func read(
    files: WorkloadAuthority?
  ) async -> (authorities: WorkloadAuthorities, isComplete: Bool) {
    let (snapshot, now) = (plane.state.authorities, plane.now)
    let trusted = snapshot.trusted(.x509, at: now).filter { $0.trustDomain == trustDomain }
    var roots = files.map { [$0.bundle] } ?? []
    var isComplete = true
    for authority in trusted {
      do {
        roots.append(try WorkloadAuthority.bundle(ofChain: authority.chain))
      } catch {
        isComplete = false
        report("the certificate of the authority \(authority.id) can't be read: \(error)")
      }
      if await open(authority) == nil { isComplete = false }
    }
    let active = trusted.first { $0.state == .active }
    let signing = state.withLock { state -> WorkloadAuthority? in
      let kept = Set(trusted.map(\.id))
      state.opened = state.opened.filter { kept.contains($0.key) }
      guard let active else {
        state.signing = files.map { ($0, nil) }
        return files
      }
      if let opened = state.opened[active.id] {
        state.signing = (opened, active.id)
      } else if let id = state.signing?.id {
        // Its root says nothing: others may be under that, and be trusted still.
        if !kept.contains(id) { state.signing = nil }
      } else if state.signing != nil {
        state.signing = files.map { ($0, nil) }
      }
      return state.signing?.authority
    }
    return (
      WorkloadAuthorities(trustDomain: trustDomain, signing: signing, roots: roots), isComplete
    )
  }

  private func open(_ authority: SigningAuthority) async -> WorkloadAuthority? {
    if let opened = state.withLock({ $0.opened[authority.id] }) { return opened }
    do {
      let place = authority.keyPlace
      guard let secret = try await vault?.open(place.purpose, of: place.tenant) else {
        report("the key of the authority \(authority.id) is not there, or there is no master key")
        return nil
      }
      let made = try WorkloadAuthority(
        chain: authority.chain, key: secret.reveal(), trustDomain: trustDomain)
      state.withLock { $0.opened[authority.id] = made }
      return made
    } catch {
      report("the key of the authority \(authority.id) can't be opened: \(error)")
      return nil
    }
  }
}
