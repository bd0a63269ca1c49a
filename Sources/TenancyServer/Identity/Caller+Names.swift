import Tenancy
import TenancyRPC

/// What may be told of callers to who watches the server. Thread-safe.
struct CallerDirectory: Sendable {
  private let plane: ControlPlane

  init(_ plane: ControlPlane) { self.plane = plane }

  /// A number that all have in common who are one account: the workloads of a tenant, by whichever of its names, those
  /// whose tenant is not known here, and those who share a platform identity.
  func account(of caller: Caller) -> Int {
    switch caller.kind {
    case .platform: return caller.subject.hashValue
    case .tenant(let name): return home(name)?.hashValue ?? 0
    }
  }

  /// Who it is, and its own tenant where there is one of the name that its certificate has.
  func name(of caller: Caller) -> CallerName {
    switch caller.kind {
    case .platform: CallerName(subject: caller.subject)
    case .tenant(let name): CallerName(subject: caller.subject, tenant: home(name)?.description)
    }
  }

  private func home(_ name: String) -> TenantID? {
    let state = plane.state
    return state.find(name)?.tenant.id ?? state.formerSlug(name)?.tenant
  }
}
