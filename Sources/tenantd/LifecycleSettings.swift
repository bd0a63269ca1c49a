import Tenancy

/// The configuration's `lifecycle`: how tenants end.
extension LifecycleTerms {
  init(_ settings: inout SettingsReader) throws {
    self.init()
    if let days = try settings.integer("retention_days", in: 0...36_500) {
      retention = .seconds(days * 86_400)
    }
    purgesByItself = try settings.boolean("purge") ?? purgesByItself
  }
}
