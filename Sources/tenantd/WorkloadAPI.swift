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
  /// Nil where no master key is configured: tokens are signed by keys in files, or not at all.
  private let storedKeys: StoredTokenKeys?
  private let files: Files
  let server: Server
  private let logger: Logger

  /// The CA and the keys of tokens whose files are configured, as they were last read.
  private final class Files: Sendable {
    let current: Mutex<(authority: WorkloadAuthority?, tokens: TokenAuthority?)>

    init(_ settings: WorkloadAPISettings) throws {
      current = Mutex((try settings.authority(), try settings.tokenAuthority()))
    }

    func read(_ settings: WorkloadAPISettings) throws {
      let read = (try settings.authority(), try settings.tokenAuthority())
      current.withLock { $0 = read }
    }
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
    let reports = Reports(report)
    stored = StoredAuthorities(
      plane, vault, trustDomain: settings.trustDomain, report: reports.tell)
    storedKeys = vault.map {
      StoredTokenKeys(plane, $0, trustDomain: settings.trustDomain, report: reports.tell)
    }
    files = try Files(settings)
    let (authority, tokens) = files.current.withLock { $0 }
    service = WorkloadService(
      plane: plane, terms: settings.terms,
      authority: await stored.read(files: authority).authorities,
      tokens: await storedKeys?.read(files: tokens).authority ?? tokens, report: report)
    server = try await Server(
      settings.server, methods: service.methods,
      delegate: WorkloadDelegate(settings.terms) { event in
        logger.log(
          level: event.kind == .listening ? .info : .warning, "\(event.kind.rawValue)",
          metadata: ["connection": "\(event.connection)", "detail": "\(event.detail)"])
      })
  }

  var report: WorkloadReport { WorkloadReport(service) }

  /// Has streams told of what changes, until cancelled.
  func run() async { await service.run() }

  /// Uses the store's authorities as they are now, and reads the CA and keys again if their files have changed. For one
  /// task at a time.
  /// - Parameter tellingAgain: whether a failure of files goes to the log.
  /// - Returns: whether that has failed.
  func refresh(tellingAgain: Bool = true) async -> Bool {
    var hasFailed = false
    do {
      try files.read(settings)
    } catch {
      hasFailed = true
      if tellingAgain {
        logger.error("CA or keys of the workload API not reloaded", metadata: ["error": "\(error)"])
      }
    }
    let (authority, tokens) = files.current.withLock { $0 }
    if let tokens = await storedKeys?.read(files: tokens).authority ?? tokens,
      service.replace(tokens)
    {
      logger.notice("keys of the workload API reloaded")
    }
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
