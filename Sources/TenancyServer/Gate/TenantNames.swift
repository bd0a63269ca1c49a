import Tenancy

/// Tenant names in requests: `tenants/{id or slug}`, more segments behind it, or the bare id or slug.
enum TenantNames {
  static let collection = "tenants/"

  /// The tenant that a platform identity names.
  /// - Parameter field: where the request names it.
  static func find(
    _ name: UnsafeRawBufferPointer, _ field: String, _ state: borrowing ControlState
  ) throws(TenancyError) -> TenantRecord {
    let bare = bareName(name)
    if let record = state.find(bare.bytes) { return record }
    throw isWellFormed(bare) ? .tenantNotFound : malformed(field)
  }

  /// Admits only the caller's own tenant; every other name answers alike, existing or not.
  static func require(
    _ name: UnsafeRawBufferPointer, _ field: String, toBe home: TenantRecord
  ) throws(TenancyError) {
    let bare = bareName(name)
    if equal(bare, home.tenant.slug.text) || equal(bare, home.idText) { return }
    throw isWellFormed(bare) ? .tenantMismatch : malformed(field)
  }

  /// The part between `tenants/` and the next slash.
  static func bareName(_ name: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    var start = 0
    if equal(UnsafeRawBufferPointer(rebasing: name.prefix(collection.utf8.count)), collection) {
      start = collection.utf8.count
    }
    var end = start
    while end < name.count, name[end] != UInt8(ascii: "/") { end += 1 }
    return UnsafeRawBufferPointer(rebasing: name[start..<end])
  }

  private static func isWellFormed(_ bare: UnsafeRawBufferPointer) -> Bool {
    guard (1...Slug.maximumLength).contains(bare.count) else { return false }
    let text = String(decoding: bare, as: UTF8.self)
    return Slug(parsing: text) != nil || TenantID(parsing: text) != nil
  }

  private static func equal(_ bytes: UnsafeRawBufferPointer, _ text: String) -> Bool {
    bytes.elementsEqual(text.utf8)
  }

  private static func malformed(_ field: String) -> TenancyError {
    .invalid(field, "names no tenant: tenants/{id or slug}")
  }
}
