/// Subjects that are workloads of tenants: `spiffe://{trust domain}/tenant/{id or slug}/…`.
enum ForeignSubjects {
  private static let scheme = "spiffe:"

  /// Whether a subject is a workload, but not one of this tenant. That of a tenant that does not exist is
  /// foreign too: it may exist one day. So is what only looks like a SPIFFE ID, which others may read as one.
  static func isForeign(_ subject: String, to tenant: TenantID, _ state: ControlState) -> Bool {
    guard subject.lowercased().hasPrefix(scheme) else { return false }
    guard subject.hasPrefix("\(scheme)//") else { return true }
    let parts = subject.dropFirst(scheme.utf8.count + 2)
      .split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count > 1, parts.allSatisfy({ isSegment($0) }) else { return true }
    guard parts[1] == "tenant" else { return false }
    return parts.count < 3 || owner(of: String(parts[2]), state) != tenant
  }

  /// The tenant of an id, or of a slug that is its own or once was.
  static func owner(of name: String, _ state: ControlState) -> TenantID? {
    if let id = TenantID(parsing: name) { return id }
    return state.find(name)?.tenant.id ?? state.owner(of: ReservedName(.slug, name))
  }

  private static func isSegment(_ text: Substring) -> Bool {
    !text.isEmpty && text != "." && text != ".."
      && text.utf8.allSatisfy { byte in
        Permission.isNameByte(byte)
          || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
      }
  }
}
