/// A feature flag that the platform declares: for whom it is on, where neither the tenant's configuration nor its plan
/// says so.
public struct FeatureFlag: Hashable, Sendable, Ordered {
  /// There are so many at most.
  public static let maximumCount = 1_000
  /// Tenants and subjects that are listed, at most.
  public static let maximumListed = 256
  /// Bytes of all of them, at most.
  public static let maximumListedBytes = 16 * 1024
  /// Bytes of a subject, at most.
  public static let maximumSubjectBytes = 256
  /// Bytes of a salt, at most: those of a name, which is the usual one.
  public static let maximumSaltBytes = SettingDefinition.maximumNameBytes
  /// Into which subjects are dealt.
  public static let buckets: UInt32 = 10_000

  /// The key in `TenantConfiguration.featureFlags`: see `SettingDefinition.isName`.
  public let name: String
  /// For people; may be empty.
  public var summary: String
  /// For how many of the buckets it is on.
  public var rollout: UInt32
  /// For all of whose subjects it is on: canonical ids.
  public var tenants: [String]
  /// For whom it is on, in whichever tenant.
  public var subjects: [String]
  /// Part of what buckets are made of; not empty.
  public var salt: String
  /// Who may say otherwise in a tenant's configuration.
  public var editor: SettingDefinition.Editor
  /// Counts changes; the etag is made of it.
  public var version: UInt64
  /// When it was declared.
  public let createTime: Timestamp
  /// Of the last change.
  public var updateTime: Timestamp
  public var orderKey: String { name }

  /// Names this version.
  public var etag: String { "v\(version)" }

  /// Validates nothing: that is up to `FlagCommands`.
  public init(
    name: String, summary: String = "", rollout: UInt32 = 0, tenants: [String] = [],
    subjects: [String] = [], salt: String = "", editor: SettingDefinition.Editor = .platform,
    version: UInt64 = 1, createTime: Timestamp, updateTime: Timestamp
  ) {
    self.name = name
    self.summary = summary
    self.rollout = rollout
    self.tenants = tenants
    self.subjects = subjects
    self.salt = salt.isEmpty ? name : salt
    self.editor = editor
    self.version = version
    self.createTime = createTime
    self.updateTime = updateTime
  }

  // MARK: Evaluation

  /// Why a flag is on or off, where its definition decides.
  public enum Outcome: Hashable, Sendable {
    /// The tenant or the subject is listed: on.
    case listed
    /// By its bucket.
    case rollout(bucket: UInt32, isOn: Bool)
  }

  /// For whom it is on. What that takes does not grow with anything but what is listed.
  /// - Parameters:
  ///   - subject: empty: the tenant itself.
  ///   - digest: SHA-256, of which the first eight bytes are used.
  public func evaluate(
    _ tenant: TenantID, _ subject: String, digest: ([UInt8]) -> [UInt8]
  ) -> Outcome {
    let id = tenant.description
    if tenants.contains(id) { return .listed }
    if !subject.isEmpty, subjects.contains(where: { $0.utf8.elementsEqual(subject.utf8) }) {
      return .listed
    }
    let hash = digest(Array("\(salt)/\(id)/\(subject)".utf8)).prefix(8)
      .reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let bucket = UInt32(hash % UInt64(Self.buckets))
    return .rollout(bucket: bucket, isOn: bucket < rollout)
  }

  // MARK: Rules

  /// What is written of it, about, in bytes.
  var contentBytes: Int { 512 + name.utf8.count + summary.utf8.count + listedBytes }

  private var listedBytes: Int { (tenants + subjects).reduce(0) { $0 + $1.utf8.count + 3 } }

  /// Looks for all that is wrong with it.
  /// - Parameter field: what it is called in the request.
  func check(field: String, _ checks: inout FieldChecks) {
    func note(_ name: String, _ what: String) { checks.note(.invalid("\(field).\(name)", what)) }
    if !summary.isForPeople(characters: SettingDefinition.maximumSummaryLength) {
      note(
        "description",
        "at most \(SettingDefinition.maximumSummaryLength) characters, none of them control")
    }
    if rollout > Self.buckets { note("rollout_basis_points", "at most \(Self.buckets)") }
    if !(1...Self.maximumSaltBytes).contains(salt.utf8.count) || salt.contains("/") {
      note("salt", "1 to \(Self.maximumSaltBytes) bytes without a slash")
    }
    guard tenants.count + subjects.count <= Self.maximumListed,
      listedBytes <= Self.maximumListedBytes
    else {
      return note(
        "tenants",
        "at most \(Self.maximumListed) with subjects, and \(Self.maximumListedBytes) bytes")
    }
    for (index, id) in tenants.enumerated() where TenantID(parsing: id)?.description != id {
      note("tenants[\(index)]", "is no id of a tenant")
    }
    for (index, subject) in subjects.enumerated() where !Self.isSubject(subject) {
      note("subjects[\(index)]", "1 to \(Self.maximumSubjectBytes) bytes")
    }
  }

  /// Whether it may be listed, or asked for.
  public static func isSubject(_ text: String) -> Bool {
    (1...maximumSubjectBytes).contains(text.utf8.count)
  }

  /// Whether it is what a command can have made.
  public var isSound: Bool {
    var checks = FieldChecks()
    check(field: "", &checks)
    return SettingDefinition.isName(name) && checks.passed && version >= 1
  }
}

/// How a flag is stored. Times are nanoseconds since 1970.
extension FeatureFlag: Codable {
  private enum Key: String, CodingKey {
    case name, summary, rollout, tenants, subjects, salt, editor, version, createTime, updateTime
  }

  /// - Throws: `DecodingError` for what is none.
  public init(from decoder: any Decoder) throws {
    let box = try decoder.container(keyedBy: Key.self)
    func time(_ key: Key) throws -> Timestamp {
      Timestamp(nanoseconds: try box.decode(Int64.self, forKey: key))
    }
    self.init(
      name: try box.decode(String.self, forKey: .name),
      summary: try box.decode(String.self, forKey: .summary),
      rollout: try box.decode(UInt32.self, forKey: .rollout),
      tenants: try box.decode([String].self, forKey: .tenants),
      subjects: try box.decode([String].self, forKey: .subjects),
      salt: try box.decode(String.self, forKey: .salt),
      editor: try box.decode(SettingDefinition.Editor.self, forKey: .editor),
      version: try box.decode(UInt64.self, forKey: .version), createTime: try time(.createTime),
      updateTime: try time(.updateTime))
  }

  public func encode(to encoder: any Encoder) throws {
    var box = encoder.container(keyedBy: Key.self)
    try box.encode(name, forKey: .name)
    try box.encode(summary, forKey: .summary)
    try box.encode(rollout, forKey: .rollout)
    try box.encode(tenants, forKey: .tenants)
    try box.encode(subjects, forKey: .subjects)
    try box.encode(salt, forKey: .salt)
    try box.encode(editor, forKey: .editor)
    try box.encode(version, forKey: .version)
    try box.encode(createTime.nanoseconds, forKey: .createTime)
    try box.encode(updateTime.nanoseconds, forKey: .updateTime)
  }
}
