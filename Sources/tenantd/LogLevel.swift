import Logging
import Synchronization
import TenancyTelemetry

/// From which level on the daemon's log is written. All copies of its logger share it. Thread-safe.
final class LogLevel: Sendable {
  private let index: Atomic<Int>
  /// Event loops write to the log: they don't wait for who reads it.
  private let stream = UnhurriedStream()

  init(_ level: Logger.Level) { index = Atomic(Self.index(of: level)) }

  var level: Logger.Level {
    get { Logger.Level.allCases[index.load(ordering: .relaxed)] }  // In range: see `index(of:)`.
    set { index.store(Self.index(of: newValue), ordering: .relaxed) }
  }

  private static func index(of level: Logger.Level) -> Int {
    Logger.Level.allCases.firstIndex(of: level) ?? 0
  }

  /// A logger to standard error.
  func logger(label: String) -> Logger {
    Logger(label: label) { LeveledHandler(StreamLogHandler(label: $0, stream: stream), self) }
  }

  /// Before the process ends: what was logged is written, unless nobody reads it.
  func finish() { stream.finish(within: .seconds(2)) }
}

/// Writes what the shared level lets through.
private struct LeveledHandler: LogHandler {
  private var base: StreamLogHandler
  private let shared: LogLevel
  /// Of one copy of the logger that was given a level of its own.
  private var own: Logger.Level?

  init(_ base: StreamLogHandler, _ shared: LogLevel) {
    self.base = base
    self.shared = shared
  }

  var logLevel: Logger.Level {
    get { own ?? shared.level }
    set { own = newValue }
  }

  var metadata: Logger.Metadata {
    get { base.metadata }
    set { base.metadata = newValue }
  }

  var metadataProvider: Logger.MetadataProvider? {
    get { base.metadataProvider }
    set { base.metadataProvider = newValue }
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { base[metadataKey: key] }
    set { base[metadataKey: key] = newValue }
  }

  func log(event: LogEvent) { base.log(event: event) }
}

/// The configuration file, read again while the daemon runs: of its settings only `log_level` is applied then.
struct ConfigurationWatch: Sendable {
  /// Nil: there is none, as with `--dev`.
  let file: String?
  let started: Configuration
  let level: LogLevel
  let reloads: ReloadCounters

  /// A file that can't be read, or is wrong anywhere, changes nothing.
  func reload(_ logger: Logger) {
    guard let file else { return }
    let configuration: Configuration
    do {
      configuration = try Serve.read(file)
    } catch {
      reloads.ended(.configuration, succeeded: false)
      return logger.error(
        "configuration not read again: the log level stays",
        metadata: ["error": "\(error)", "log_level": "\(level.level)"])
    }
    reloads.ended(.configuration, succeeded: true)
    let before = level.level
    level.level = configuration.logLevel
    if before != configuration.logLevel {
      // Seen at whichever level: it may be the last line for long.
      var always = logger
      always.logLevel = .trace
      always.notice(
        "log level changed",
        metadata: ["from": "\(before)", "to": "\(configuration.logLevel)"])
    }
    let others = Self.differences(configuration.settings, started.settings)
    guard !others.isEmpty else { return }
    logger.warning(
      "settings that have changed in the file are not applied before a restart",
      metadata: ["settings": "\(others.joined(separator: ", "))"])
  }

  /// The sections and settings of the root that are not the same, but for the one that is applied.
  private static func differences(
    _ a: Configuration.Settings, _ b: Configuration.Settings
  ) -> [String] {
    Set(a.keys).union(b.keys).filter { $0 != "log_level" && a[$0] != b[$0] }.sorted()
  }
}
