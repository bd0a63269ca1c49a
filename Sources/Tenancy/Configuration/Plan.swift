/// What all tenants have that name it as theirs: a plan, or edition, of the platform.
public struct Plan: Hashable, Sendable, Ordered {
  /// There are so many at most.
  public static let maximumCount = 1_000
  /// Of settings and flags together, about, in bytes.
  public static let maximumContentBytes = 16 * 1024
  /// Characters of a display name, at most.
  public static let maximumTitleLength = 200

  /// What tenants name it by: see `RequestLimit.isName`.
  public let name: String
  /// For people; may be empty.
  public var title: String
  /// What its tenants have of settings that have no value of their own.
  public var settings: [String: JSONValue]
  /// And of feature flags.
  public var featureFlags: [String: Bool]
  /// In place of the usual plan's of the same name and period, or besides them.
  public var limits: [RequestLimit]
  /// Counts changes; the etag is made of it.
  public var version: UInt64
  /// When it was made.
  public let createTime: Timestamp
  /// Of the last change.
  public var updateTime: Timestamp
  public var orderKey: String { name }

  /// Names this version.
  public var etag: String { "v\(version)" }

  /// Validates nothing: that is up to `PlanCommands`.
  public init(
    name: String, title: String = "", settings: [String: JSONValue] = [:],
    featureFlags: [String: Bool] = [:], limits: [RequestLimit] = [], version: UInt64 = 1,
    createTime: Timestamp, updateTime: Timestamp
  ) {
    self.name = name
    self.title = title
    self.settings = settings
    self.featureFlags = featureFlags
    self.limits = limits
    self.version = version
    self.createTime = createTime
    self.updateTime = updateTime
  }

  /// What is written of it, about, in bytes.
  var contentBytes: Int {
    512 + name.utf8.count + title.utf8.count + bytesOfValues + 64 * limits.count
  }

  private var bytesOfValues: Int {
    var bytes = 0
    _ = TenantRules.measure(.object(settings), depth: 0, into: &bytes)
    return featureFlags.reduce(bytes) { $0 + $1.key.utf8.count + 8 }
  }

  // MARK: Rules

  /// Looks for all that is wrong with it.
  /// - Parameter field: what it is called in the request.
  func check(field: String, _ checks: inout FieldChecks) throws(TenancyError) {
    if !title.isForPeople(characters: Self.maximumTitleLength) {
      checks.note(
        .invalid(
          "\(field).display_name",
          "at most \(Self.maximumTitleLength) characters, none of them control"))
    }
    try checks.value { () throws(TenancyError) in
      try TenantRules.check(settings: settings, field: "\(field).settings")
    }
    try checks.value { () throws(TenancyError) in
      try TenantRules.check(flags: featureFlags, field: "\(field).feature_flags")
    }
    if bytesOfValues > Self.maximumContentBytes {
      checks.note(
        .invalid(
          "\(field).settings", "more than \(Self.maximumContentBytes) bytes, feature_flags included"
        ))
    }
    guard limits.count <= RequestLimit.maximumCount else {
      return checks.note(.invalid("\(field).limits", "more than \(RequestLimit.maximumCount)"))
    }
    try checks.value { () throws(TenancyError) in
      try LimitPlans.refuseRepetition(in: limits, field: "\(field).limits")
    }
  }

  /// Whether it is what a command can have made.
  public var isSound: Bool {
    var checks = FieldChecks()
    do {
      try check(field: "", &checks)
    } catch {
      return false
    }
    return RequestLimit.isName(name) && checks.passed && version >= 1
  }
}

/// How a plan is stored. Times are nanoseconds since 1970.
extension Plan: Codable {
  private enum Key: String, CodingKey {
    case name, title, settings, featureFlags, limits, version, createTime, updateTime
  }

  /// - Throws: `DecodingError` for what is none.
  public init(from decoder: any Decoder) throws {
    let box = try decoder.container(keyedBy: Key.self)
    func time(_ key: Key) throws -> Timestamp {
      Timestamp(nanoseconds: try box.decode(Int64.self, forKey: key))
    }
    self.init(
      name: try box.decode(String.self, forKey: .name),
      title: try box.decode(String.self, forKey: .title),
      settings: try box.decode([String: JSONValue].self, forKey: .settings),
      featureFlags: try box.decode([String: Bool].self, forKey: .featureFlags),
      limits: try box.decode([RequestLimit].self, forKey: .limits),
      version: try box.decode(UInt64.self, forKey: .version), createTime: try time(.createTime),
      updateTime: try time(.updateTime))
  }

  public func encode(to encoder: any Encoder) throws {
    var box = encoder.container(keyedBy: Key.self)
    try box.encode(name, forKey: .name)
    try box.encode(title, forKey: .title)
    try box.encode(settings, forKey: .settings)
    try box.encode(featureFlags, forKey: .featureFlags)
    try box.encode(limits, forKey: .limits)
    try box.encode(version, forKey: .version)
    try box.encode(createTime.nanoseconds, forKey: .createTime)
    try box.encode(updateTime.nanoseconds, forKey: .updateTime)
  }
}
