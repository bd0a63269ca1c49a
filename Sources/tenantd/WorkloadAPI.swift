import Logging
import Tenancy
import TenancyCrypto
import TenancyRPC
import TenancyWorkload

/// The SPIFFE Workload API, on a socket of its own. Thread-safe.
struct WorkloadAPI: Sendable {
  /// Between looks at the CA's files.
  private static let interval = Duration.seconds(5)

  private let settings: WorkloadAPISettings
  private let service: WorkloadService
  let server: Server
  private let logger: Logger

  /// Nothing listens yet.
  /// - Throws: `ConfigurationError` if the CA can't be used.
  init(_ settings: WorkloadAPISettings, _ plane: ControlPlane, _ logger: Logger) async throws {
    self.settings = settings
    self.logger = logger
    service = WorkloadService(
      plane: plane, terms: settings.terms, authority: try settings.authority(),
      tokens: try settings.tokenAuthority()
    ) { what in
      logger.error("workload API", metadata: ["reason": "\(what)"])
    }
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

  /// Reads the CA again when its files have changed, until cancelled.
  func watch() async {
    var told = false
    while !Task.isCancelled {
      do { try await Task.sleep(for: Self.interval) } catch { return }
      told = reload(tellingAgain: !told)
    }
  }

  /// - Parameter tellingAgain: whether a failure goes to the log.
  /// - Returns: whether it has failed.
  @discardableResult
  func reload(tellingAgain: Bool = true) -> Bool {
    do {
      if service.replace(try settings.authority()) {
        logger.notice("CA of the workload API reloaded")
      }
      if let tokens = try settings.tokenAuthority(), service.replace(tokens) {
        logger.notice("keys of the workload API reloaded")
      }
      return false
    } catch {
      if tellingAgain {
        logger.error("CA or keys of the workload API not reloaded", metadata: ["error": "\(error)"])
      }
      return true
    }
  }
}
