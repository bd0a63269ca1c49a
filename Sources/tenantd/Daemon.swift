import FoundationEssentials
import Glibc
import Logging
import TenancyRPCServices
import Tenancy
import TenancyRPC
import TenancySecrets
import TenancyServer
import TenancyStore
import TenancyWire

/// Puts the parts together, runs them until a signal, and takes them apart again.
struct Daemon {
  private let configuration: Configuration
  private let logger: Logger
  private let acceptsRestored: Bool
  private let manager = ServiceManager()
  private let watch: ConfigurationWatch

  /// - Parameters:
  ///   - file: where the configuration is from, if from a file.
  ///   - acceptsRestored: whether a store that was restored from a backup is served.
  init(_ configuration: Configuration, file: String? = nil, acceptsRestored: Bool) {
    self.configuration = configuration
    self.acceptsRestored = acceptsRestored
    let level = LogLevel(configuration.logLevel)
    watch = ConfigurationWatch(file: file, started: configuration, level: level)
    logger = level.logger(label: "tenantd")
  }

  /// Serves until SIGTERM or SIGINT.
  /// - Parameter onStart: called with the addresses in use.
  func run(onStart: ([ListenAddress]) -> Void) async throws {
    defer { watch.level.finish() }
    signal(SIGPIPE, SIG_IGN)
    // A file that may not grow is an error of that write, which the store reports.
    signal(SIGXFSZ, SIG_IGN)
    let stops = Signals.arrivals([SIGTERM: "SIGTERM", SIGINT: "SIGINT"])
    // From the start: by default a hangup would end the process.
    let hangups = Signals.arrivals([SIGHUP: "SIGHUP"])
    let keyring = try configuration.secrets.map { settings in
      let keys = try settings.read()
      return Keyring(master: keys.master, previous: keys.previous)
    }
    try DataDirectory.prepare(configuration.dataDirectory)
    let resources = "\(configuration.dataDirectory)/tenants"
    try OwnFiles.checkTree(resources)
    if let tls = configuration.tls { try OwnFiles.check(tls.context) }
    let nodes = Nodes(configuration.nodes, on: configuration.store)
    let terms = nodes.terms
    let store = try configuration.store.open(
      dataDirectory: configuration.dataDirectory, sealer: keyring,
      acceptsRestored: acceptsRestored)
    let plane = try ControlPlane(
      auditing: store, hash: SHA256Digest.bytes, sealer: keyring, clock: SystemClock.now,
      quotas: configuration.quotas, retention: configuration.logRetention,
      maximumStaleness: nodes.maximumStaleness)
    let audit = try await AuditTrail(
      plane, configuration.audit, as: terms.holder, isShared: configuration.store.isShared,
      self.logger)
    let logger = logger
    let follower = try nodes.follow(store, plane, logger)
    let secrets = prepare(keyring, plane, terms)
    try await secrets?.vault.prepareKeys()
    let dataPlane = try nodes.dataPlane(resources)
    let provisioner = Provisioner(plane, dataPlane, terms: terms) { tenant, why in
      logger.error("tenant's resources", metadata: ["tenant": "\(tenant)", "reason": "\(why)"])
    }
    try await provisioner.checkData()
    reportLeftovers(in: plane.state)
    let tls = try makeTLS()
    let service = TenancyService(
      plane: plane, provisioner: provisioner, rules: configuration.resolution,
      vault: secrets?.vault)
    let health = HealthStatus(serving: service.methods.map(\.service))
    let observation = try Observation(configuration, logger)
    let server = try await makeServer(
      plane, try Self.described(service, health), tls, observation.observer)
    let monitor = try await Monitor.start(configuration.http, plane, observation.metrics, logger)
    let judging = Task { await service.run() }
    await service.untilStreamsAreServed()
    onStart(try await server.start())
    monitor?.isServing(true)
    let resumption = Task {
      await provisioner.resume()
      await provisioner.takeOver()
    }
    let watching = Task { await StoreHealth.follow(plane, health, logger) }
    let compacting = Task { await LogCompaction.run(plane, logger) }
    let reloading = Task { await reload(tls, secrets, service, observation, on: hangups) }
    let auditing = Task { await audit.run() }
    let tracing = Task { await observation.run() }
    let sealing = Task { await secrets?.vault.keepSealed() }
    let reporting = Task { await nodes.report(plane, follower, as: terms, logger) }
    let manager = manager
    let living = Task { await manager.keepAlive { await server.turnLoops() } }
    manager.ready("serving")
    logger.info(
      "serving",
      metadata: [
        "revision": "\(plane.state.revision)", "tenants": "\(plane.state.tenantCount)",
        "incarnation": "\((store as? SQLiteStore)?.incarnation.id ?? "none")",
      ])

    var name = "none"
    for await signal in stops {
      name = signal
      break
    }
    manager.stopping()
    logger.info("stopping", metadata: ["signal": "\(name)"])
    monitor?.isServing(false)
    health.shutDown()
    await server.stop(within: .seconds(configuration.drainSeconds))
    await observation.finish()
    tracing.cancel()
    await tracing.value
    living.cancel()
    judging.cancel()
    resumption.cancel()
    watching.cancel()
    compacting.cancel()
    reloading.cancel()
    sealing.cancel()
    reporting.cancel()
    auditing.cancel()
    await audit.finish()
    await follower?.stop()
    await plane.close()
    await monitor?.stop()
    logger.info("stopped")
  }

  /// Once: none of it comes to be any more.
  private func reportLeftovers(in state: ControlState) {
    let leftovers = Leftovers(in: state)
    for (message, found) in [
      (
        "roles assigned to workloads of other tenants grant nothing: delete the assignments",
        leftovers.foreignAssignments
      ),
      ("tenants have the database and user of another tenant", leftovers.sharedDatabases),
    ] where found.count > 0 {
      logger.warning(
        "\(message)",
        metadata: [
          "count": "\(found.count)", "first": "\(found.examples.joined(separator: "; "))",
        ])
    }
  }

  /// The methods, and those that every gRPC server is expected to have beside its own: they disclose
  /// nothing of any tenant, so whoever may connect may call them.
  private static func described(
    _ service: TenancyService, _ health: HealthStatus
  ) throws -> [TenancyMethod] {
    let served = service.methods + service.alongside(HealthService(health).methods())
    let reflection = try ReflectionService(
      serving: served, descriptorSets: [TenancyDescriptors.fileDescriptorSet])
    return served + service.alongside(reflection.methods())
  }

  private func prepare(
    _ keyring: Keyring?, _ plane: ControlPlane, _ terms: Provisioner.Terms
  ) -> Secrets? {
    guard let keyring, let settings = configuration.secrets else { return nil }
    return Secrets(settings, keyring, plane, terms, logger)
  }

  private func makeTLS() throws -> TLSContext? {
    let identity = configuration.identity
    return try configuration.tls.map { settings in
      var context = settings.context
      context.peerRule = { identity.refusal(of: $0) }
      context.fileRule = {
        do {
          try OwnFiles.check(settings.context)
          return nil
        } catch {
          return "\(error)"
        }
      }
      return try TLSContext(.server, context)
    }
  }

  /// Reads certificates, keys, CAs and CRLs again when they change, and these, master keys and the log level on
  /// SIGHUP, which also has logs opened anew, until cancelled.
  private func reload(
    _ tls: TLSContext?, _ secrets: Secrets?, _ service: TenancyService,
    _ observation: Observation, on hangups: AsyncStream<String>
  ) async {
    let logger = logger
    let report: @Sendable (TLSError?) -> Void = { error in
      if let error {
        logger.error("TLS files not reloaded", metadata: ["error": "\(error)"])
      } else {
        logger.notice("TLS files reloaded")
        service.reviewStreams()
      }
    }
    await withTaskGroup { group in
      if let tls, let interval = configuration.tls?.reloadInterval {
        group.addTask { await tls.watch(every: interval, report: report) }
      }
      for await _ in hangups {
        manager.reloading()
        defer { manager.ready("serving") }
        watch.reload(logger)
        observation.reopen()
        do throws(TLSError) {
          if let tls {
            try tls.reload()
            report(nil)
          }
        } catch {
          report(error)
        }
        await secrets?.reload()
      }
    }
  }

  private func makeServer(
    _ plane: ControlPlane, _ methods: [TenancyMethod], _ tls: TLSContext?,
    _ observer: (any ServerObserver)?
  ) async throws -> Server {
    let identity = configuration.identity
    var server = Server.Configuration(listeners: configuration.listeners, tls: tls)
    server.limits = configuration.limits
    server.eventLoops = configuration.eventLoops
    return try await Server(
      server, methods: methods,
      delegate: TenancyDelegate(
        plane: plane, rules: identity, logger: logger, observer: observer))
  }
}

/// The real clock.
enum SystemClock {
  @Sendable
  static func now() -> Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(seconds: Int64(time.tv_sec), subsecondNanoseconds: Int64(time.tv_nsec))
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
      try OwnFiles.checkDirectory(path)
      return
    }
    // The new name must survive a power cut as well as what is in it.
    try FileSystem.syncDirectory(of: URL(filePath: path).standardized.path)
  }
}
