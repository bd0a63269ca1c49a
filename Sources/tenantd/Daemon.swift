import FoundationEssentials
import Glibc
import Logging
import Synchronization
import Tenancy
import TenancyRPC
import TenancyRPCServices
import TenancySecrets
import TenancyServer
import TenancyStore
import TenancySwiftMetrics
import TenancyWire

/// Puts the parts together, runs them until a signal, and takes them apart again.
struct Daemon {
  let configuration: Configuration
  let logger: Logger
  private let acceptsRestored: Bool
  private let listeners: Listeners
  private let manager = ServiceManager()
  private let watch: ConfigurationWatch
  private let recorded: MetricsRegistry?
  private let reloads = ReloadCounters()

  /// - Parameters:
  ///   - file: where the configuration is from, if from a file.
  ///   - acceptsRestored: whether a store that was restored from a backup is served.
  ///   - sockets: those that the service manager has bound.
  ///   - recorded: what is recorded through swift-metrics, for who asks for metrics.
  /// - Throws: `ConfigurationError` when they are not those that the listeners are to have.
  init(
    _ configuration: Configuration, file: String? = nil, acceptsRestored: Bool,
    sockets: [InheritedSocket], recorded: MetricsRegistry?
  ) throws {
    listeners = try Listeners(configuration.listeners, sockets: sockets)
    self.configuration = configuration
    self.acceptsRestored = acceptsRestored
    self.recorded = recorded
    let level = LogLevel(configuration.logLevel)
    watch = ConfigurationWatch(file: file, started: configuration, level: level, reloads: reloads)
    logger = level.logger(label: "tenantd")
  }

  /// Serves until SIGTERM or SIGINT.
  /// - Parameter onStart: called with the addresses in use.
  /// - Throws: why it could not start, or which part of it has failed. It has ended all the same.
  func run(onStart: @escaping @Sendable ([ListenAddress]) -> Void) async throws {
    defer { watch.level.finish() }
    signal(SIGPIPE, SIG_IGN)
    // A file that may not grow is an error of that write, which the store reports.
    signal(SIGXFSZ, SIG_IGN)
    // From the start, not only once the parts run, as a service group would take them: until then they would end
    // the process in the middle of what it writes. And the group does not tell which signal it was.
    let stops = Signals.arrivals([SIGTERM: "SIGTERM", SIGINT: "SIGINT"])
    // By default a hangup would end the process.
    let hangups = Signals.arrivals([SIGHUP: "SIGHUP"])
    var opened = OpenedParts()
    do {
      let assembly = try await assemble(&opened)
      try await parts(of: assembly, stops, hangups, onStart).run()
    } catch {
      await opened.close()
      throw error
    }
    await opened.close()
    logger.info("stopped")
  }

  /// Opens and makes what the parts work with. Nothing of it listens to clients or runs yet.
  private func assemble(_ opened: inout OpenedParts) async throws -> Assembly {
    let keyring = try configuration.secrets.map { settings in
      let keys = try settings.read()
      return Keyring(master: keys.master, previous: keys.previous)
    }
    if let tokens = configuration.tokens {
      try configuration.issuers.loadKeys(into: tokens.outside)
    }
    let keySets = try configuration.tokens.flatMap { tokens in
      try configuration.keySets.map { try KeySetFetching($0, tokens.outside.fetched, self.logger) }
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
    opened.store = store
    let plane = try ControlPlane(
      auditing: store, hash: SHA256Digest.bytes, sealer: keyring, clock: SystemClock.now,
      quotas: configuration.quotas, retention: configuration.logRetention,
      maximumStaleness: nodes.maximumStaleness, lifecycle: configuration.lifecycle.terms)
    opened.plane = plane
    let audit = try await AuditTrail(
      plane, configuration.audit, as: terms.holder, isShared: configuration.store.isShared,
      self.logger)
    let logger = logger
    let follower = try nodes.follow(store, plane, logger)
    opened.follower = follower
    let secrets = prepare(keyring, plane, terms)
    try await secrets?.vault.prepareKeys()
    let provisioner = try makeProvisioner(
      try nodes.dataPlane(resources), plane, secrets?.vault, terms)
    try await provisioner.checkData()
    plane.state.reportLeftovers(to: logger)
    configuration.resolution.warn(logger)
    // Before contexts are made: what changes meanwhile is seen as a change.
    let trusted = AuthorityWatch.trusted(by: plane)
    let tls = try makeTLS(plane)
    let uncertifiedTLS = try configuration.takesBearers ? makeTLS(plane, .optional) : nil
    var envoy = configuration.envoy
    envoy?.certificates = tls
    let limits = try configuration.rateLimits.limiter(of: store, as: terms.holder)
    let approving = try configuration.lifecycle.approving(reloads, logger)
    let observation = try Observation(configuration, reloads, logger)
    let meter = DataMeter(provisioner, terms: configuration.usage.meter)
    let decisions = DecisionLog(
      configuration.decisions, start: plane.now, node: terms.holder)
    let service = TenancyService(
      plane: plane, provisioner: provisioner, rules: configuration.resolution,
      tokens: configuration.tokens, envoy: envoy, limits: limits,
      domains: configuration.domains?.terms, vault: secrets?.vault,
      trustDomain: configuration.workloadAPI?.trustDomain ?? configuration.trustDomain,
      approvals: approving.approvals,
      listener: tls,
      platformRoles: configuration.identity.platformRoles,
      usage: UsageTerms(counters: observation.counters, meter: meter, node: terms.holder),
      decisions: decisions)
    let health = HealthStatus(serving: service.methods.map(\.service))
    let server = try await makeServer(
      plane, try Self.described(service, health), tls, uncertifiedTLS, envoy, decisions,
      observation.observer)
    opened.server = server
    var workloadAPI: WorkloadAPI?
    if let settings = configuration.workloadAPI {
      workloadAPI = try await WorkloadAPI(settings, plane, secrets?.vault, logger)
    }
    opened.workloadServer = workloadAPI?.server
    let authZEN = try AuthZENServing(configuration, plane, observation.counters, decisions) {
      try makeTLS(plane, .optional, for: [])
    }
    let monitor = try await Monitor.start(
      configuration.http, plane, observation.metrics, recorded,
      RequestMetrics(service.requests, limits?.limiter), workloadAPI?.report,
      configuration.http.map { UsageReport(observation.counters, meter, limit: $0.tenants) },
      authZEN, publishesKeys: configuration.tokens != nil, logger)
    opened.monitor = monitor
    try await monitor?.startAuthZEN(logger)
    let contexts = [tls, uncertifiedTLS, authZEN?.tls].compactMap(\.self)
    let authorities = AuthorityWatch(
      plane, workloadAPI, contexts, trusting: trusted, service, logger)
    return Assembly(
      plane: plane, incarnation: (store as? SQLiteStore)?.incarnation.id, audit: audit,
      nodes: nodes, terms: terms, follower: follower, secrets: secrets, provisioner: provisioner,
      meter: meter,
      limiter: limits?.limiter, approving: approving, tls: contexts, authorities: authorities,
      keySets: keySets, service: service, health: health, observation: observation, server: server,
      workloadAPI: workloadAPI, monitor: monitor)
  }

  /// What runs, in the order in which it starts, and in reverse that in which it ends: first the service manager
  /// and whoever asks hear that it stops, then calls are drained, and who watches or writes on their behalf goes
  /// after them.
  private func parts(
    of made: Assembly, _ stops: AsyncStream<String>, _ hangups: AsyncStream<String>,
    _ onStart: @escaping @Sendable ([ListenAddress]) -> Void
  ) -> Parts {
    let (plane, logger) = (made.plane, logger)
    // Work in the background begins when it serves: a start that fails has changed nothing.
    let serving = Opening()
    var parts = Parts(serving: serving, logger)
    func addInBackground(
      _ name: String, finish: @escaping @Sendable () async -> Void = {},
      _ operation: @escaping @Sendable () async -> Void
    ) {
      parts.add(
        Part(name, { if await serving.wait() { await operation() } }) {
          if serving.isOpen { await finish() }
        })
    }
    addInBackground("audit", finish: { await made.audit.finish() }) { await made.audit.run() }
    if let follower = made.follower {
      addInBackground("node report") {
        await made.nodes.report(plane, follower, as: made.terms, logger)
      }
    }
    if let vault = made.secrets?.vault {
      addInBackground("secrets") { await vault.keepSealed() }
    }
    addInBackground("reload") {
      await reload(made, on: hangups)
    }
    addInBackground("certificate authorities") { await made.authorities.run() }
    addInBackground("registrations") { [service = made.service, tls = made.tls] in
      await RegistrationWatch.run(plane, tls, service)
    }
    if let keySets = made.keySets {
      configuration.tokens?.outside.prepare()
      addInBackground("issuer keys") {
        await keySets.run(plane) { tenant in
          if let tenant {
            made.service.reviewStreams(of: tenant)
          } else {
            made.service.reviewStreams()
          }
        }
      }
    }
    addInBackground("compaction") { await LogCompaction.run(plane, logger) }
    addInBackground("store health") { await StoreHealth.follow(plane, made.health, logger) }
    addInBackground("provisioning") {
      await made.provisioner.resume()
      await made.provisioner.takeOver()
    }
    addInBackground("tenants' logins") { await made.provisioner.keepLogins() }
    if configuration.usage.measuresAll {
      addInBackground("data meter") { await made.meter.run() }
    }
    if let files = made.approving.files { addInBackground("approver") { await files.watch() } }
    addInBackground("lifecycle") {
      await LifecycleClock(plane, made.provisioner, approvals: made.approving.approvals) {
        logger.error("lifecycle: \($0)")
      }.run()
    }
    if let limiter = made.limiter { parts.add(.limits(limiter, logger)) }
    parts.add(Part("streams") { await made.service.run() })
    if manager.watchdogInterval != nil {
      addInBackground("watchdog") { [manager] in
        await manager.keepAlive { await made.server.turnLoops() }
      }
    }
    if made.observation.traces {
      addInBackground("tracing") { await made.observation.run() }
    }
    let told = Opening()
    if let api = made.workloadAPI {
      parts.add(Part("workload streams") { await api.run() })
      parts.add(
        Part("workload API") {
          try await api.server.run(drainingFor: .seconds(1)) { _ in told.open() }
        })
    } else {
      told.open()
    }
    parts.add(Part("access log", finish: { await made.observation.finish() }))
    let drain = Duration.seconds(configuration.drainSeconds)
    parts.add(
      Part("server") {
        // Otherwise the part that sees to it has failed, and all of them are ended.
        guard await made.service.untilStreamsAreServed(), await told.wait() else { return }
        try await made.server.run(drainingFor: drain) { addresses in
          onStart(addresses)
          made.monitor?.isServing(true)
          serving.open()
        }
      })
    parts.add(announcement(made, serving, stops))
    return parts
  }

  /// Tells the service manager, the log and whoever asks that it serves, waits for a signal, and tells them that it
  /// stops: the last part, so that this is the first to be said, also when another part has failed.
  private func announcement(
    _ made: Assembly, _ serving: Opening, _ stops: AsyncStream<String>
  ) -> Part {
    let (manager, logger) = (manager, logger)
    let cause = Mutex("none")
    return Part("signals", endsAll: true) {
      guard await serving.wait() else { return }
      manager.ready("serving")
      logger.info(
        "serving",
        metadata: [
          "revision": "\(made.plane.state.revision)",
          "tenants": "\(made.plane.state.tenantCount)",
          "incarnation": "\(made.incarnation ?? "none")", "node": "\(made.terms.holder)",
        ])
      for await signal in stops {
        cause.withLock { $0 = signal }
        break
      }
    } finish: {
      // A start that has failed was not told to be ready.
      guard serving.isOpen else { return }
      manager.stopping()
      logger.info("stopping", metadata: ["signal": "\(cause.withLock { $0 })"])
      made.monitor?.isServing(false)
      made.health.shutDown()
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
    return Secrets(settings, keyring, plane, terms, reloads, logger)
  }

  /// - Parameters:
  ///   - certificates: whether clients need one.
  ///   - protocols: nil: those of RPCs; none: nothing is negotiated.
  private func makeTLS(
    _ plane: ControlPlane, _ certificates: TLSContext.ClientAuthentication = .required,
    for protocols: [ApplicationProtocol]? = nil
  ) throws -> TLSContext? {
    let identity = configuration.identity
    return try configuration.tls.map { settings in
      var context = settings.context
      context.clientAuthentication = certificates
      context.applicationProtocols = protocols
      context.requiresApplicationProtocol = protocols?.isEmpty != true
      context.peerRule = { identity.refusal(of: $0) }
      context.registrationRule = { certificate in
        identity.registrationRefusal(of: certificate, in: plane.state)
      }
      context.addedAuthorities = { AuthorityWatch.trusted(by: plane).added }
      context.refusedAuthorities = { AuthorityWatch.trusted(by: plane).refused }
      context.refuseExposedKeys()
      return try TLSContext(.server, context)
    }
  }

  /// Reads certificates, keys, CAs and CRLs again when they change, and these, master keys, those of token
  /// issuers and the log level on SIGHUP, which also has logs opened anew, until cancelled.
  private func reload(
    _ made: Assembly, on hangups: AsyncStream<String>
  ) async {
    let (reloads, logger) = (reloads, logger)
    let (tls, service, observation) = (made.tls, made.service, made.observation)
    let report: @Sendable (TLSError?) -> Void = { error in
      reloads.ended(.tls, succeeded: error == nil)
      if let error {
        logger.error("TLS files not reloaded", metadata: ["error": "\(error)"])
      } else {
        logger.notice("TLS files reloaded")
        service.reviewStreams()
      }
    }
    await withTaskGroup { group in
      if let interval = configuration.tls?.reloadInterval {
        for context in tls {
          group.addTask { await context.watch(every: interval, report: report) }
        }
      }
      for await _ in hangups {
        manager.reloading()
        defer { manager.ready("serving") }
        watch.reload(logger)
        observation.reopen()
        observation.reload()
        made.approving.files?.reload()
        for context in tls {
          do throws(TLSError) {
            try context.reload()
            report(nil)
          } catch {
            report(error)
          }
        }
        await made.secrets?.reload()
        made.authorities.wake()
        configuration.issuers.reload(into: configuration.tokens?.outside, reloads, logger)
        made.service.reviewStreams()
      }
    }
  }

  private func makeServer(
    _ plane: ControlPlane, _ methods: [TenancyMethod], _ tls: TLSContext?,
    _ uncertifiedTLS: TLSContext?, _ envoy: EnvoyTerms?, _ decisions: DecisionLog,
    _ observer: (any ServerObserver)?
  ) async throws -> Server {
    let identity = configuration.identity
    var server = Server.Configuration(listeners: listeners.bound, tls: tls)
    server.uncertifiedTLS = uncertifiedTLS
    server.adopted = listeners.adopted
    server.limits = configuration.limits
    server.eventLoops = configuration.eventLoops
    return try await Server(
      server, methods: methods,
      delegate: TenancyDelegate(
        plane: plane, rules: identity, tokens: configuration.tokens, envoy: envoy,
        decisions: decisions, logger: logger, observer: observer))
  }
}
