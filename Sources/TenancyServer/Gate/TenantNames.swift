import Tenancy

/// Tenant names in requests.
enum TenantNames {
  /// What a request's tenant field holds.
  enum Form: Sendable {
    /// `tenants/{id or slug}`, or the bare id or slug, and nothing behind it: a method about tenants
    /// must not take a role's name for that of its tenant.
    case tenant
    /// The name of something in a tenant: `tenants/{id or slug}/…`.
    case child
  }

  static let collection = "tenants/"

  /// Bytes of an id or a slug. What is longer is not read to its end.
  static let maximumLength = Slug.maximumLength

  /// The tenant that a platform identity names.
  /// - Parameter field: where the request names it.
  static func find(
    _ name: RawSpan, _ form: Form, field: String, _ state: borrowing ControlState,
    at now: Timestamp
  ) throws(TenancyError) -> TenantRecord {
    let bare = bareName(name, form)
    guard bare.byteCount <= maximumLength else { throw malformed(field) }
    if let record = state.find(bare, at: now) { return record }
    throw isWellFormed(bare) ? .tenantNotFound : malformed(field)
  }

  /// Admits only the caller's own tenant; every other name answers alike, existing or not.
  static func require(
    _ name: RawSpan, _ form: Form, field: String, toBe home: TenantRecord,
    at now: Timestamp
  ) throws(TenancyError) {
    let bare = bareName(name, form)
    if home.isNamed(bare, at: now) { return }
    throw isWellFormed(bare) ? .tenantMismatch : malformed(field)
  }

  /// The id or slug in a name; what is not of the form gives no tenant's name, and of one that is too
  /// long there may be more.
  @_lifetime(copy name)
  static func bareName(_ name: RawSpan, _ form: Form) -> RawSpan {
    let hasCollection = name.begins(with: collection)
    let start = hasCollection ? collection.utf8.count : 0
    switch form {
    case .tenant: return name.extracting(droppingFirst: start)
    case .child:
      guard hasCollection else { return name.extracting(first: 0) }
      var end = start
      while end < name.byteCount, end - start <= maximumLength,
        name.byte(end) != UInt8(ascii: "/")
      {
        end += 1
      }
      return name.extracting(start..<end)
    }
  }

  private static func isWellFormed(_ bare: RawSpan) -> Bool {
    guard (1...maximumLength).contains(bare.byteCount) else { return false }
    let text = bare.decodedText
    // A UUID of another version is no tenant's, but could be in the eyes of who sends it.
    return Slug(parsing: text) != nil || TenantID.isUUID(text)
  }

  private static func malformed(_ field: String) -> TenancyError {
    .invalid(field, "names no tenant: tenants/{id or slug}")
  }
}
