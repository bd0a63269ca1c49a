package import TenancyCrypto

/// What signs workloads' certificates by now, and what they are verified by. Immutable and thread-safe.
package struct WorkloadAuthorities: Sendable {
  /// The trust domain of all of them.
  package let trustDomain: String
  /// Nil: no certificates are made.
  package let signing: WorkloadAuthority?
  /// DER of the roots, each once, one behind the other.
  package let bundle: [UInt8]

  /// One that signs, alone.
  package init(_ authority: WorkloadAuthority) {
    self.init(
      trustDomain: authority.trustDomain, signing: authority, roots: [authority.bundle])
  }

  /// - Parameter roots: DER, each of one.
  package init(trustDomain: String, signing: WorkloadAuthority?, roots: [[UInt8]]) {
    self.trustDomain = trustDomain
    self.signing = signing
    var seen: Set<[UInt8]> = []
    bundle = roots.filter { seen.insert($0).inserted }.flatMap(\.self)
  }

  /// Whether both issue the same, and are verified by the same.
  func isSame(as other: WorkloadAuthorities) -> Bool {
    bundle == other.bundle && signsAlike(other)
  }

  /// Whether certificates by the one need not be made anew by the other.
  func signsAlike(_ other: WorkloadAuthorities) -> Bool {
    guard let signing, let another = other.signing else {
      return signing == nil && other.signing == nil
    }
    return signing === another || signing.isSame(as: another)
  }

  /// The same, by the object that signs in `former` where both sign alike: what was made by it stays.
  func keepingSigner(of former: WorkloadAuthorities) -> WorkloadAuthorities {
    guard signsAlike(former) else { return self }
    return WorkloadAuthorities(trustDomain: trustDomain, signing: former.signing, bundle: bundle)
  }

  private init(trustDomain: String, signing: WorkloadAuthority?, bundle: [UInt8]) {
    self.trustDomain = trustDomain
    self.signing = signing
    self.bundle = bundle
  }
}
