/// What the platform declares of its tenants' configurations, of whichever kind: a row of the store.
public enum ConfigurationItem: Hashable, Sendable {
  /// Raw values are those stored on disk.
  public enum Kind: String, Hashable, Sendable, CaseIterable, Codable {
    /// `SettingDefinition`.
    case setting
  }

  /// A setting's definition.
  case setting(SettingDefinition)

  /// Of which kind it is.
  public var kind: Kind {
    switch self {
    case .setting: .setting
    }
  }

  /// Unique among those of its kind.
  public var id: String {
    switch self {
    case .setting(let definition): definition.name
    }
  }

  /// Whether it is what a command can have made.
  public var isSound: Bool {
    switch self {
    case .setting(let definition): definition.isSound
    }
  }

  /// What is written of it, about, in bytes.
  var contentBytes: Int {
    switch self {
    case .setting(let definition): definition.contentBytes
    }
  }
}

/// An object with the kind as its only key.
extension ConfigurationItem: Codable {
  private enum Key: String, CodingKey {
    case setting
  }

  /// - Throws: `DecodingError` for what is none.
  public init(from decoder: any Decoder) throws {
    let box = try decoder.container(keyedBy: Key.self)
    self = .setting(try box.decode(SettingDefinition.self, forKey: .setting))
  }

  public func encode(to encoder: any Encoder) throws {
    var box = encoder.container(keyedBy: Key.self)
    switch self {
    case .setting(let definition): try box.encode(definition, forKey: .setting)
    }
  }
}
