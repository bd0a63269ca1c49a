public import Logging

extension Logger.MetadataProvider {
  /// Puts the current tenant into each message: `tenant.id`, and `tenant.slug` where it is known. Nothing where there is
  /// none.
  ///
  ///     LoggingSystem.bootstrap(StreamLogHandler.standardError, metadataProvider: .tenant)
  public static let tenant = Logger.MetadataProvider {
    guard let tenant = TenantContext.current?.tenant else { return [:] }
    var metadata: Logger.Metadata = ["tenant.id": "\(tenant.id)"]
    if !tenant.slug.isEmpty { metadata["tenant.slug"] = "\(tenant.slug)" }
    return metadata
  }
}
