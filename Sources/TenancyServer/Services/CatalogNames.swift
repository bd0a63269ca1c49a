import Tenancy

/// Names of what the platform declares: `{collection}/{id}`.
struct CatalogNames: Sendable {
  /// With the slash.
  let collection: String
  /// What an id is called.
  let kind: String
  /// Of an id: it is not taken apart if it is longer.
  let maximumBytes: Int

  /// - Throws: INVALID_ARGUMENT for what is no such name.
  func id(in name: String, field: String = "name") throws(TenancyError) -> String {
    guard name.utf8.count <= collection.utf8.count + maximumBytes, name.hasPrefix(collection),
      name.utf8.count > collection.utf8.count
    else { throw .invalid(field, "must be \(collection){\(kind)}") }
    return String(name.dropFirst(collection.count))
  }
}
