public import Tenancy

/// What may be told of callers to who watches the server. Thread-safe.
public struct CallerDirectory: Sendable {
  private let plane: ControlPlane

  public init(_ plane: ControlPlane) { self.plane = plane }

  /// A number that all have in common who are one account: the workloads of a tenant, by whichever of its names, those
  /// whose tenant is not known here, and those who share a platform identity.
  /// - Parameter context: what `TenancyDelegate.connectionOpened` has returned.
  public func account(of context: AnyObject) -> Int {
    guard let caller = context as? Caller else { return 0 }
    switch caller.kind {
    case .platform: return caller.subject.hashValue
    case .tenant(let name): return home(name)?.hashValue ?? 0
    }
  }

  private func home(_ name: String) -> TenantID? {
    let state = plane.state
    return state.find(name)?.tenant.id ?? state.formerSlug(name)?.tenant
  }

  /// Who it is, and its own tenant where there is one of the name that its certificate has.
  /// - Parameter context: what `TenancyDelegate.connectionOpened` has returned.
  public func names(of context: AnyObject) -> (subject: String, tenant: TenantID?)? {
    guard let caller = context as? Caller else { return nil }
    switch caller.kind {
    case .platform: return (caller.subject, nil)
    case .tenant(let name): return (caller.subject, home(name))
    }
  }
}
