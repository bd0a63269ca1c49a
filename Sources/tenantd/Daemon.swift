import FoundationEssentials
import Glibc
import Logging
import RPC
import Tenancy
import TenancyServer
import TenancyStore

/// Puts the parts together, runs them until a signal, and takes them apart again.
struct Daemon {
  private let configuration: Configuration
  private let logger: Logger

  init(_ configuration: Configuration) {
    self.configuration = configuration
    var logger = Logger(label: "tenantd") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = configuration.logLevel
    self.logger = logger
  }

  /// Serves until SIGTERM or SIGINT.
  /// - Parameter onStart: called with the addresses in use.
  func run(onStart: ([ListenAddress]) -> Void) async throws {
    signal(SIGPIPE, SIG_IGN)
    let stop = StopSignals()
    try DataDirectory.prepare(configuration.dataDirectory)
    let store = try SQLiteStore(path: "\(configuration.dataDirectory)/tenancy.sqlite")
    let plane = try ControlPlane(store: store, clock: SystemClock.now)
    let dataPlane = try SQLiteDataPlane(directory: "\(configuration.dataDirectory)/tenants")
    let provisioner = Provisioner(plane, dataPlane)
    let server = try await makeServer(plane, provisioner)
    onStart(try await server.start())
    let resumption = Task { await provisioner.resume() }
    let trimming = Task { await MemoryTrimmer.run(plane) }
    logger.info(
      "serving",
      metadata: ["revision": "\(plane.state.revision)", "tenants": "\(plane.state.tenants.count)"])

    let arrivals = stop.arrivals
    var name = "none"
    for await signal in arrivals {
      name = signal
      break
    }
    logger.info("stopping", metadata: ["signal": "\(name)"])
    await server.stop(within: .seconds(configuration.drainSeconds))
    resumption.cancel()
    trimming.cancel()
    await plane.close()
    logger.info("stopped")
  }

  private func makeServer(_ plane: ControlPlane, _ provisioner: Provisioner) async throws -> Server
  {
    let identity = configuration.identity
    let tls = try configuration.tls.map { files in
      try TLSContext(.server, files, peerRule: { identity.refusal(of: $0) })
    }
    var server = Server.Configuration(listeners: configuration.listeners, tls: tls)
    server.limits = configuration.limits
    server.eventLoops = configuration.eventLoops
    return try await Server(
      server,
      methods: TenancyService.methods(
        plane: plane, provisioner: provisioner, rules: configuration.resolution),
      delegate: TenancyDelegate(plane: plane, rules: identity, logger: logger))
  }
}

/// The real clock.
enum SystemClock {
  @Sendable
  static func now() -> Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }
}

enum DataDirectory {
  /// Makes the directory (mode 0700) when it is missing, durably.
  static func prepare(_ path: String) throws {
    if mkdir(path, 0o700) != 0 {
      guard errno == EEXIST else {
        throw ConfigurationError(
          description: "cannot make the data directory \(path): \(String(cString: strerror(errno)))"
        )
      }
      return
    }
    // The new name must survive a power cut as well as what is in it.
    let parent = URL(filePath: path).standardized.deletingLastPathComponent().path
    let descriptor = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
  }
}
