/// What the platform declares of its tenants' configurations, of whichever kind: a row of the store.
public enum ConfigurationItem: Hashable, Sendable {
  /// Raw values are those stored on disk.
  public enum Kind: String, Hashable, Sendable, CaseIterable, Codable, CodingKey {
    /// `SettingDefinition`.
    case setting
    /// `Plan`.
    case plan
    /// `FeatureFlag`.
    case flag
  }

  /// A setting's definition.
  case setting(SettingDefinition)
  /// A plan.
  case plan(Plan)
  /// A feature flag's definition.
  case flag(FeatureFlag)

  /// Of which kind it is.
  public var kind: Kind {
    switch self {
    case .setting: .setting
    case .plan: .plan
    case .flag: .flag
    }
  }

  /// Unique among those of its kind.
  public var id: String {
    switch self {
    case .setting(let definition): definition.name
    case .plan(let plan): plan.name
    case .flag(let flag): flag.name
    }
  }

  /// Whether it is what a command can have made.
  public var isSound: Bool {
    switch self {
    case .setting(let definition): definition.isSound
    case .plan(let plan): plan.isSound
    case .flag(let flag): flag.isSound
    }
  }

  /// Another number for each version of each of them: FNV-1a of what names the version.
  var fingerprint: UInt64 {
    func version(_ number: UInt64, _ created: Timestamp, _ updated: Timestamp) -> String {
      "\(kind.rawValue)/\(id)/\(number)/\(created.nanoseconds)/\(updated.nanoseconds)"
    }
    let text =
      switch self {
      case .setting(let one): version(one.version, one.createTime, one.updateTime)
      case .plan(let one): version(one.version, one.createTime, one.updateTime)
      case .flag(let one): version(one.version, one.createTime, one.updateTime)
      }
    return text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }

  /// What is written of it, about, in bytes.
  var contentBytes: Int {
    switch self {
    case .setting(let definition): definition.contentBytes
    case .plan(let plan): plan.contentBytes
    case .flag(let flag): flag.contentBytes
    }
  }
}

/// An object with the kind as its only key.
extension ConfigurationItem: Codable {
  /// - Throws: `DecodingError` for what is none.
  public init(from decoder: any Decoder) throws {
    let box = try decoder.container(keyedBy: Kind.self)
    if let flag = try box.decodeIfPresent(FeatureFlag.self, forKey: .flag) {
      self = .flag(flag)
    } else if let plan = try box.decodeIfPresent(Plan.self, forKey: .plan) {
      self = .plan(plan)
    } else {
      self = .setting(try box.decode(SettingDefinition.self, forKey: .setting))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var box = encoder.container(keyedBy: Kind.self)
    switch self {
    case .setting(let definition): try box.encode(definition, forKey: .setting)
    case .plan(let plan): try box.encode(plan, forKey: .plan)
    case .flag(let flag): try box.encode(flag, forKey: .flag)
    }
  }
}
