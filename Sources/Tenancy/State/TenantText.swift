extension Tenant {
  /// In memory once, where it is the tenant's identifier in shared tables as well.
  var textOfID: String {
    let text = id.description
    return configuration.shared.flatMap { $0.tenantIdentifier == text ? $0.tenantIdentifier : nil }
      ?? text
  }
}
