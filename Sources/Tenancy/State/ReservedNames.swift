/// Whose each reserved name is. (A dictionary of tables would be copied by every change.)
struct ReservedNames: Sendable {
  var slugs = ByteTable<TenantID>()
  var schemas = ByteTable<TenantID>()
  var identifiers = ByteTable<TenantID>()

  subscript(kind: ReservedName.Kind) -> ByteTable<TenantID> {
    _read {
      switch kind {
      case .slug: yield slugs
      case .schema: yield schemas
      case .tenantIdentifier: yield identifiers
      }
    }
    _modify {
      switch kind {
      case .slug: yield &slugs
      case .schema: yield &schemas
      case .tenantIdentifier: yield &identifiers
      }
    }
  }
}
