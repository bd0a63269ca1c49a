import ArgumentParser
import TenancyRPC

/// The runtime's limits, by the names that they have in tenantd's configuration.
struct LimitOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "NAME=VALUE; may be repeated.",
      discussion: "One of " + ServerLimits.settings.map(\.name).joined(separator: ", ") + ".",
      valueName: "limit"))
  var limit: [LimitArgument] = []

  /// The runtime's own, but that slow peers are cut within 10 seconds, as suites of attacks expect.
  static let defaults = {
    var limits = ServerLimits()
    limits.stallTimeout = .seconds(10)
    limits.requestTimeout = .seconds(10)
    return limits
  }()

  /// - Throws: which value is out of range, or does not go with others.
  func limits() throws(LimitError) -> ServerLimits {
    var limits = Self.defaults
    for one in limit { try one.setting.set(one.value, in: &limits) }
    try limits.check()
    return limits
  }

  func validate() throws {
    do { _ = try limits() } catch { throw ValidationError("--limit: \(error)") }
  }
}

/// `message_bytes=1024`.
struct LimitArgument: ExpressibleByArgument {
  let setting: LimitSetting
  /// Not looked at: it may be out of range.
  let value: Int

  init?(argument: String) {
    let parts = argument.split(separator: "=", omittingEmptySubsequences: false)
    guard parts.count == 2, let value = Int(parts[1]),
      let setting = ServerLimits.settings.first(where: { $0.name == parts[0] })
    else { return nil }
    self.setting = setting
    self.value = value
  }
}

/// The limits of TLS, a flag for each: `maximumIntermediates` is `--max-intermediates`.
struct TLSLimitOptions: ParsableArguments {
  @Option(help: "How long a handshake may take.")
  var handshakeTimeout: DurationArgument?
  @Option(help: "Certificates between a peer's own and the CA's.")
  var maxIntermediates: Limit?
  @Option(help: "How long a session may be resumed; 0s: not at all.")
  var sessionLifetime: DurationArgument?
  @Option(help: "Sessions kept for resumption.")
  var maxSessions: Limit?
  @Option(help: "Peers whose verified chains are remembered.")
  var maxVerifiedPeers: Limit?
  @Option(help: "KeyUpdates that a peer may send at once.")
  var maxKeyUpdateBurst: Limit?
  @Option(help: "KeyUpdates that a peer may send for each MiB of data after that.")
  var keyUpdatesPerMebibyte: Limit?
  @Option(help: "Records too small for a frame's header that a peer may send at once.")
  var maxSmallRecordBurst: Limit?
  @Option(help: "Such records that a peer may send for each second after that.")
  var smallRecordsPerSecond: Limit?

  var limits: TLSLimits {
    var limits = TLSLimits()
    handshakeTimeout?.set(&limits.handshakeTimeout)
    maxIntermediates?.set(&limits.maximumIntermediates)
    sessionLifetime?.set(&limits.sessionLifetime)
    maxSessions?.set(&limits.maximumSessions)
    maxVerifiedPeers?.set(&limits.maximumVerifiedPeers)
    maxKeyUpdateBurst?.set(&limits.maximumKeyUpdateBurst)
    keyUpdatesPerMebibyte?.set(&limits.keyUpdatesPerMebibyte)
    maxSmallRecordBurst?.set(&limits.maximumSmallRecordBurst)
    smallRecordsPerSecond?.set(&limits.smallRecordsPerSecond)
    return limits
  }
}

/// A number greater than 0.
struct Limit: ExpressibleByArgument, Hashable {
  let number: Int

  init?(argument: String) {
    guard let number = Int(argument), number > 0 else { return nil }
    self.number = number
  }

  func set(_ limit: inout Int) { limit = number }
}
