import Logging
import Synchronization
import Tenancy
import TenancyCrypto
import TenancyRPC
import TenancyWorkload

/// The SPIFFE Workload API, on a socket of its own. Thread-safe.
struct WorkloadAPI: Sendable {
  private let settings: WorkloadAPISettings
  private let service: WorkloadService
  private let stored: StoredAuthorities
  private let files: FileAuthority
  let server: Server
  private let logger: Logger

  /// The CA whose files are configured, as they were last read.
  private final class FileAuthority: Sendable {
    let current: Mutex<WorkloadAuthority?>

    init(_ authority: WorkloadAuthority?) { current = Mutex(authority) }
  }

  /// Nothing listens yet.
  /// - Throws: `ConfigurationError` if the CA can't be used.
  init(
    _ settings: WorkloadAPISettings, _ plane: ControlPlane, _ vault: SecretVault?,
    _ logger: Logger
  ) async throws {
    self.settings = settings
    self.logger = logger
    let report: @Sendable (String) -> Void = { what in
      logger.error("workload API", metadata: ["reason": "\(what)"])
    }
    stored = StoredAuthorities(
      plane, vault, trustDomain: settings.trustDomain, report: Reports(report).tell)
    let authority = try settings.authority()
    files = FileAuthority(authority)
    service = WorkloadService(
      plane: plane, terms: settings.terms,
      authority: await stored.read(files: authority).authorities,
      tokens: try settings.tokenAuthority(), report: report)
    server = try await Server(
      settings.server, methods: service.methods,
      delegate: WorkloadDelegate(settings.terms) { event in
        logger.log(
          level: event.kind == .listening ? .info : .warning, "\(event.kind.rawValue)",
          metadata: ["connection": "\(event.connection)", "detail": "\(event.detail)"])
      })
  }

  /// Has streams told of what changes, until cancelled.
  func run() async { await service.run() }

  /// Uses the store's authorities as they are now, and reads the CA and keys again if their files have changed. For one
  /// task at a time.
  /// - Parameter tellingAgain: whether a failure of files goes to the log.
  /// - Returns: whether that has failed.
  func refresh(tellingAgain: Bool = true) async -> Bool {
    var hasFailed = false
    do {
      let read = try settings.authority()
      files.current.withLock { $0 = read }
      if let tokens = try settings.tokenAuthority(), service.replace(tokens) {
        logger.notice("keys of the workload API reloaded")
      }
    } catch {
      hasFailed = true
      if tellingAgain {
        logger.error("CA or keys of the workload API not reloaded", metadata: ["error": "\(error)"])
      }
    }
    let authority = files.current.withLock { $0 }
    if service.replace(await stored.read(files: authority).authorities) {
      logger.notice("CA of the workload API reloaded")
    }
    return hasFailed
  }
}

/// Tells each thing once in a while, if it is always the same. Thread-safe.
private final class Reports: Sendable {
  private static let quiet = Duration.seconds(60)
  private let report: @Sendable (String) -> Void
  private let last = Mutex<[String: ContinuousClock.Instant]>([:])

  init(_ report: @escaping @Sendable (String) -> Void) { self.report = report }

  func tell(_ what: String) {
    let now = ContinuousClock.now
    let isNews = last.withLock { last in
      last = last.filter { now < $0.value + Self.quiet }
      guard last[what] == nil else { return false }
      last[what] = now
      return true
    }
    if isNews { report(what) }
  }
}
