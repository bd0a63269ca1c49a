import Tenancy

/// The `audit` section of the configuration.
struct AuditSettings: Sendable {
  /// How long calls that are denied alike are counted before they are written as one record.
  var window = Duration.seconds(10)
  /// Nil: the chains' ends are not signed, and no records are removed.
  var checkpoints: Checkpoints?
  var retention = AuditRetention()

  struct Checkpoints: Sendable {
    /// An Ed25519 key.
    var key: String
    /// Where the checkpoints are added.
    var file: String
    var interval = Duration.seconds(60)
  }

  init() {}

  init(_ settings: inout SettingsReader, dataDirectory: String) throws {
    if let seconds = try settings.integer("window_seconds", in: 1...3600) {
      window = .seconds(seconds)
    }
    // 0: for ever.
    if let days = try settings.integer("retention_days", in: 0...36_500) {
      retention.days = days > 0 ? Days(Int64(days)) : nil
    }
    if let records = try settings.integer("maximum_records", in: 0...1_000_000_000) {
      retention.records = records > 0 ? UInt64(records) : nil
    }
    let key = try settings.optionalString("checkpoint_key")
    let file = try settings.optionalString("checkpoint_file")
    let seconds = try settings.integer("checkpoint_seconds", in: 1...86_400)
    guard let key else {
      guard file == nil, seconds == nil else {
        throw settings.error("checkpoint_key is required: with it the checkpoints are signed")
      }
      return
    }
    checkpoints = Checkpoints(key: key, file: file ?? Self.file(in: dataDirectory))
    if let seconds { checkpoints?.interval = .seconds(seconds) }
  }

  static func file(in dataDirectory: String) -> String {
    "\(dataDirectory)/audit-checkpoints.jsonl"
  }
}
