/// Whether things are the same byte by byte. `==` takes texts that are canonically equivalent for equal, and a change of
/// one into the other has to be stored.
extension Tenant {
  func hasSameBytes(as other: Tenant) -> Bool {
    self == other && displayName.hasSameBytes(as: other.displayName)
      && configuration.hasSameBytes(as: other.configuration)
      && metadata.annotations.hasSameBytes(as: other.metadata.annotations)
  }
}

extension TenantConfiguration {
  func hasSameBytes(as other: TenantConfiguration) -> Bool {
    guard self == other, edits(since: other).isEmpty else { return false }
    guard let database, let former = other.database else { return true }
    return database.connectionString.hasSameBytes(as: former.connectionString)
      && database.username.hasSameBytes(as: former.username)
  }
}

extension Plan {
  func hasSameBytes(as other: Plan) -> Bool {
    self == other && title.hasSameBytes(as: other.title) && edits(since: other).isEmpty
  }
}

extension SettingDefinition {
  func hasSameBytes(as other: SettingDefinition) -> Bool {
    let isSame =
      switch (defaultValue, other.defaultValue) {
      case (let value?, let former?): value.hasSameBytes(as: former)
      default: true
      }
    return self == other && isSame && summary.hasSameBytes(as: other.summary)
      && sinceVersion.hasSameBytes(as: other.sinceVersion)
      && allowedValues.hasSameBytes(as: other.allowedValues)
  }
}

extension FeatureFlag {
  func hasSameBytes(as other: FeatureFlag) -> Bool {
    self == other && summary.hasSameBytes(as: other.summary)
      && salt.hasSameBytes(as: other.salt) && subjects.hasSameBytes(as: other.subjects)
  }
}

extension [String] {
  fileprivate func hasSameBytes(as other: Self) -> Bool {
    count == other.count && zip(self, other).allSatisfy { $0.hasSameBytes(as: $1) }
  }
}

extension [String: String] {
  /// Keys are ASCII.
  fileprivate func hasSameBytes(as other: Self) -> Bool {
    count == other.count
      && allSatisfy { key, value in other[key]?.hasSameBytes(as: value) ?? false }
  }
}
