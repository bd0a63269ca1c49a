/// Subjects that are workloads of tenants: `spiffe://{trust domain}/tenant/{id or slug}/…`.
enum ForeignSubjects {
  /// Whether a subject is a workload, but not one of this tenant. That of a tenant that does not exist is
  /// foreign too: it may exist one day. So is what only looks like a SPIFFE ID, which others may read as one.
  static func isForeign(_ subject: String, to tenant: TenantID, _ state: ControlState) -> Bool {
    switch unsafe TenantSubject.kind(of: subject.utf8Span.span.bytes) {
    case .other: false
    case .malformed: true
    case .workload(let name): owner(of: TenantSubject.name(name, of: subject), state) != tenant
    }
  }

  /// The tenant of an id, or of a slug that is its own or once was.
  static func owner(of name: String, _ state: ControlState) -> TenantID? {
    if let id = TenantID(parsing: name) { return id }
    return state.find(name)?.tenant.id ?? state.owner(of: ReservedName(.slug, name))
  }
}
