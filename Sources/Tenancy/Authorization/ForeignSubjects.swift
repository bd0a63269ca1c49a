/// Subjects that are workloads of tenants: `spiffe://{trust domain}/tenant/{id or slug}/…`.
package enum ForeignSubjects {
  /// Whether a subject is a workload, but not one of this tenant. That of a tenant that does not exist is
  /// foreign too: it may exist one day. So is what only looks like a SPIFFE ID, which others may read as one.
  package static func isForeign(_ subject: String, to tenant: TenantID, _ state: ControlState)
    -> Bool
  {
    switch unsafe TenantSubject.kind(of: subject.utf8Span.span.bytes) {
    case .other: false
    case .malformed: true
    case .workload(let name): owner(of: TenantSubject.name(name, of: subject), state) != tenant
    }
  }

  /// Whether a subject is a workload of a tenant that could be.
  package static func isWorkload(_ subject: String) -> Bool {
    unsafe TenantSubject.name(in: subject.utf8Span.span.bytes) != nil
  }

  /// The tenant of an id, or of a slug that is its own or once was.
  static func owner(of name: String, _ state: ControlState) -> TenantID? {
    if let id = TenantID(parsing: name) { return id }
    return state.find(name)?.tenant.id ?? state.owner(of: ReservedName(.slug, name))
  }
}

extension TenantRecord {
  /// Whether a subject is none of another's workloads, nor one by a name that the tenant does not have any more.
  package func mayHave(_ subject: String) -> Bool {
    let bytes = unsafe subject.utf8Span.span.bytes
    switch TenantSubject.kind(of: bytes) {
    case .other: return true
    case .malformed: return false
    case .workload(let name): return isNamed(bytes.extracting(name))
    }
  }
}
