/// Whose configuration the history is of.
public enum ConfigurationOwner: Hashable, Sendable {
  /// A tenant's own settings, feature flags and limits.
  case tenant(TenantID)
  /// What a plan of the platform says of them.
  case plan(String)

  /// What stores call it: the resource's name.
  public var text: String {
    switch self {
    case .tenant(let id): "tenants/\(id)"
    case .plan(let name): "plans/\(name)"
    }
  }
}

/// What a change did to one setting, feature flag or limit.
public struct SettingEdit: Hashable, Sendable {
  /// As masks have it, such as `custom_settings.theme`, `feature_flags.beta`, `limits.plan` and `limits.limits`.
  public let field: String
  /// What it was; nil: it had no value.
  public let before: JSONValue?
  /// What it is then; nil: it has none any more.
  public let after: JSONValue?
  /// Of a secret, whose values are not told, the version that it had; nil: there was none.
  public let versionBefore: UInt64?
  /// And the one that it has then.
  public let versionAfter: UInt64?

  /// - Parameter field: as masks have it.
  public init(field: String, before: JSONValue?, after: JSONValue?) {
    self.init(field, before, after, nil, nil)
  }

  /// Of a secret.
  public init(field: String, versionBefore: UInt64?, versionAfter: UInt64?) {
    self.init(field, nil, nil, versionBefore, versionAfter)
  }

  private init(
    _ field: String, _ before: JSONValue?, _ after: JSONValue?, _ versionBefore: UInt64?,
    _ versionAfter: UInt64?
  ) {
    self.field = field
    self.before = before
    self.after = after
    self.versionBefore = versionBefore
    self.versionAfter = versionAfter
  }

  /// Whether it is about a secret.
  public var isSecret: Bool { versionBefore != nil || versionAfter != nil }

  /// What it takes as JSON, roughly.
  public var bytes: Int {
    64 + field.utf8.count + (before?.textBytes ?? 0) + (after?.textBytes ?? 0)
  }
}

/// What one entry of the log did to a configuration: kept in the history of its owner, and no part of the log.
public struct ConfigurationEdit: Hashable, Sendable {
  /// Of one owner they have so many bytes at most, about: the oldest go, but the newest stays however large it is.
  public static let maximumBytes: UInt64 = 512 * 1024

  /// Whose configuration it is.
  public let owner: ConfigurationOwner
  /// In the order of the fields.
  public let edits: [SettingEdit]
  /// Of a change that was asked for with a request id: the id and a digest; else empty.
  public let request: String
  /// What it counts in the history.
  public let bytes: UInt64

  /// - Parameter edits: in the order of the fields.
  public init(owner: ConfigurationOwner, edits: [SettingEdit], request: String = "") {
    self.owner = owner
    self.edits = edits
    self.request = request
    bytes = edits.reduce(UInt64(Self.fixedBytes + request.utf8.count)) { $0 + UInt64($1.bytes) }
  }

  /// Of an entry beside its edits: so that their number is bounded, too.
  private static let fixedBytes = 256
}

/// What was done to a configuration, as the history has it.
public struct RecordedEdit: Hashable, Sendable {
  /// Where it ends in its owner's history, in bytes since that began: entries are in the order of these.
  public let place: UInt64
  /// How many of these bytes are its own.
  public let bytes: UInt64
  /// That of the log's entry.
  public let revision: UInt64
  /// When it was done, by the clock of the node that did it.
  public let time: Timestamp
  /// Who did it, as the log has it.
  public let actor: String
  /// What was done, such as `tenants.configure`.
  public let action: String
  /// See `ConfigurationEdit.request`.
  public let request: String
  /// In the order of the fields.
  public let edits: [SettingEdit]

  /// As a store has it.
  public init(
    place: UInt64, bytes: UInt64, revision: UInt64, time: Timestamp, actor: String, action: String,
    request: String, edits: [SettingEdit]
  ) {
    self.place = place
    self.bytes = bytes
    self.revision = revision
    self.time = time
    self.actor = actor
    self.action = action
    self.request = request
    self.edits = edits
  }

  /// Whether there was none before it. Where this is none, those before it are gone.
  public var isFirst: Bool { place <= bytes }
}

extension JSONValue {
  /// About how long it is as JSON.
  fileprivate var textBytes: Int {
    switch self {
    case .null, .bool: 5
    case .number: 24
    case .string(let text): Self.textBytes(of: text)
    case .array(let values): values.reduce(2) { $0 + $1.textBytes + 1 }
    case .object(let members):
      members.reduce(2) { $0 + Self.textBytes(of: $1.key) + $1.value.textBytes + 2 }
    }
  }

  /// Control characters take six times what they are.
  private static func textBytes(of text: String) -> Int {
    text.utf8.reduce(2) { bytes, byte in
      bytes + (byte < 0x20 ? 6 : byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") ? 2 : 1)
    }
  }
}

/// How edits are stored: of a value there is a list of one, so that null is told from none.
extension SettingEdit: Codable {
  private enum Key: String, CodingKey { case field, before, after, versionBefore, versionAfter }

  /// - Throws: `DecodingError` for what is none.
  public init(from decoder: any Decoder) throws {
    let box = try decoder.container(keyedBy: Key.self)
    self.init(
      try box.decode(String.self, forKey: .field),
      try box.decodeIfPresent([JSONValue].self, forKey: .before)?.first,
      try box.decodeIfPresent([JSONValue].self, forKey: .after)?.first,
      try box.decodeIfPresent(UInt64.self, forKey: .versionBefore),
      try box.decodeIfPresent(UInt64.self, forKey: .versionAfter))
  }

  public func encode(to encoder: any Encoder) throws {
    var box = encoder.container(keyedBy: Key.self)
    try box.encode(field, forKey: .field)
    if let before { try box.encode([before], forKey: .before) }
    if let after { try box.encode([after], forKey: .after) }
    try box.encodeIfPresent(versionBefore, forKey: .versionBefore)
    try box.encodeIfPresent(versionAfter, forKey: .versionAfter)
  }
}
