/// What the platform declares of one of the custom settings that tenants have.
public struct SettingDefinition: Hashable, Sendable, Ordered {
  /// What values are. Raw values are those stored on disk.
  public enum ValueType: String, Hashable, Sendable, CaseIterable, Codable {
    /// Text.
    case string
    /// A number without a fraction, as far as JSON's keep all digits.
    case integer
    /// Any number.
    case number
    /// True or false.
    case bool
    /// Text that `SettingDuration` reads.
    case duration
    /// An array of texts.
    case stringList = "string_list"
    /// Any JSON.
    case json
  }

  /// Who may change values, of those who may change a tenant's configuration. Raw values are those stored on disk.
  public enum Editor: String, Hashable, Sendable, CaseIterable, Codable {
    /// Platform identities only.
    case platform
    /// The tenant's own, too.
    case tenant
  }

  /// There are so many at most.
  public static let maximumCount = 1_000
  /// Bytes of a name, at most.
  public static let maximumNameBytes = 128
  /// Characters of what is said for people, at most.
  public static let maximumSummaryLength = 500
  /// Values that are allowed, at most, where there are only these.
  public static let maximumAllowedValues = 64
  /// Bytes of one of them, at most.
  public static let maximumAllowedValueBytes = 128
  /// Bytes of a default, about, at most.
  public static let maximumDefaultBytes = 4_096
  /// Bytes of all defaults together, about, at most.
  public static let maximumBytesOfDefaults = 256 * 1024
  /// Bytes of the version since which there is the setting, at most.
  public static let maximumSinceVersionBytes = 32
  /// Up to here every integer has a JSON number of its own.
  static let integers = -9_007_199_254_740_992.0...9_007_199_254_740_992.0

  /// The key in `TenantConfiguration.customSettings`.
  public let name: String
  /// For people; may be empty.
  public var summary: String
  /// What values are.
  public var type: ValueType
  /// What a tenant has that has no value of its own; nil: nothing.
  public var defaultValue: JSONValue?
  /// The least `.integer` or `.number`, or seconds of a `.duration`.
  public var minimum: Double?
  /// And the greatest.
  public var maximum: Double?
  /// The only values of `.string` and elements of `.stringList`; empty: any.
  public var allowedValues: [String]
  /// Unicode scalars of a `.string`, or elements of a `.stringList`, at least.
  public var minimumLength: Int?
  /// And at most.
  public var maximumLength: Int?
  /// Custom settings are in the clear: a secret has no value among them.
  public var isSecret: Bool
  /// Who may change values.
  public var editor: Editor
  /// Of the application, for people; may be empty.
  public var sinceVersion: String
  /// Counts changes; the etag is made of it.
  public var version: UInt64
  /// When it was declared.
  public let createTime: Timestamp
  /// Of the last change.
  public var updateTime: Timestamp
  public var orderKey: String { name }

  /// Names this version.
  public var etag: String { "v\(version)" }

  /// Validates nothing: that is up to `SettingCommands`.
  public init(
    name: String, summary: String = "", type: ValueType, defaultValue: JSONValue? = nil,
    minimum: Double? = nil, maximum: Double? = nil, allowedValues: [String] = [],
    minimumLength: Int? = nil, maximumLength: Int? = nil, isSecret: Bool = false,
    editor: Editor = .platform, sinceVersion: String = "", version: UInt64 = 1,
    createTime: Timestamp, updateTime: Timestamp
  ) {
    self.name = name
    self.summary = summary
    self.type = type
    self.defaultValue = defaultValue
    self.minimum = minimum
    self.maximum = maximum
    self.allowedValues = allowedValues
    self.minimumLength = minimumLength
    self.maximumLength = maximumLength
    self.isSecret = isSecret
    self.editor = editor
    self.sinceVersion = sinceVersion
    self.version = version
    self.createTime = createTime
    self.updateTime = updateTime
  }

  /// Whether it can be declared: a letter, then letters, digits, `.`, `_` and `-`; 128 bytes at most.
  public static func isName(_ text: String) -> Bool {
    guard let first = text.utf8.first, text.utf8.count <= maximumNameBytes else { return false }
    return letters.contains(first) && text.utf8.allSatisfy(nameBytes.contains)
  }

  private static let letters = ASCIISet("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
  private static let nameBytes = ASCIISet(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")

  /// What is written of it, about, in bytes.
  var contentBytes: Int {
    allowedValues.reduce(512 + name.utf8.count + summary.utf8.count + defaultBytes) {
      $0 + $1.utf8.count
    }
  }

  /// Of the default, about.
  var defaultBytes: Int {
    var bytes = 0
    if let defaultValue { _ = TenantRules.measure(defaultValue, depth: 0, into: &bytes) }
    return bytes
  }
}

/// How a definition is stored. Times are nanoseconds since 1970; what is not there has no value or its usual one.
extension SettingDefinition: Codable {
  private enum Key: String, CodingKey {
    case name, summary, type, defaultValue, minimum, maximum, allowedValues, minimumLength
    case maximumLength, isSecret, editor, sinceVersion, version, createTime, updateTime
  }

  /// - Throws: `DecodingError` for what is none.
  public init(from decoder: any Decoder) throws {
    let box = try decoder.container(keyedBy: Key.self)
    func time(_ key: Key) throws -> Timestamp {
      Timestamp(nanoseconds: try box.decode(Int64.self, forKey: key))
    }
    self.init(
      name: try box.decode(String.self, forKey: .name),
      summary: try box.decodeIfPresent(String.self, forKey: .summary) ?? "",
      type: try box.decode(ValueType.self, forKey: .type),
      defaultValue: try box.decodeIfPresent(JSONValue.self, forKey: .defaultValue),
      minimum: try box.decodeIfPresent(Double.self, forKey: .minimum),
      maximum: try box.decodeIfPresent(Double.self, forKey: .maximum),
      allowedValues: try box.decodeIfPresent([String].self, forKey: .allowedValues) ?? [],
      minimumLength: try box.decodeIfPresent(Int.self, forKey: .minimumLength),
      maximumLength: try box.decodeIfPresent(Int.self, forKey: .maximumLength),
      isSecret: try box.decodeIfPresent(Bool.self, forKey: .isSecret) ?? false,
      editor: try box.decode(Editor.self, forKey: .editor),
      sinceVersion: try box.decodeIfPresent(String.self, forKey: .sinceVersion) ?? "",
      version: try box.decode(UInt64.self, forKey: .version), createTime: try time(.createTime),
      updateTime: try time(.updateTime))
  }

  public func encode(to encoder: any Encoder) throws {
    var box = encoder.container(keyedBy: Key.self)
    try box.encode(name, forKey: .name)
    if !summary.isEmpty { try box.encode(summary, forKey: .summary) }
    try box.encode(type, forKey: .type)
    try box.encodeIfPresent(defaultValue, forKey: .defaultValue)
    try box.encodeIfPresent(minimum, forKey: .minimum)
    try box.encodeIfPresent(maximum, forKey: .maximum)
    if !allowedValues.isEmpty { try box.encode(allowedValues, forKey: .allowedValues) }
    try box.encodeIfPresent(minimumLength, forKey: .minimumLength)
    try box.encodeIfPresent(maximumLength, forKey: .maximumLength)
    if isSecret { try box.encode(isSecret, forKey: .isSecret) }
    try box.encode(editor, forKey: .editor)
    if !sinceVersion.isEmpty { try box.encode(sinceVersion, forKey: .sinceVersion) }
    try box.encode(version, forKey: .version)
    try box.encode(createTime.nanoseconds, forKey: .createTime)
    try box.encode(updateTime.nanoseconds, forKey: .updateTime)
  }
}
