import Foundation
import Logging
import Synchronization
import Tenancy
import TenancyClient
import TenancyCrypto
import TenancyRPC
import TenancySecrets
import TenancyServer
import TenancyStore
import TenancyTestSupport
import Testing

/// How a client reaches the server.
enum Transport: String, CaseIterable, Sendable {
  case unix, mutualTLS
}

/// Everything that `tenantd` is made of, in this process: SQLite in a directory of its own, a Unix
/// socket, and TCP with mutual TLS.
struct LiveServer {
  static let baseDomain = "example.com"
  static let defaultTenant = "acme"
  static let tokens = TokenTerms(issuer: "https://example.com", audience: "tenancy")

  let certificates: Certificates
  let plane: ControlPlane
  let clock: SteppedClock
  let events: RecordedEvents
  private let directory: String
  private let port: Int
  private let server: Server
  private let judging: Task<Void, Never>

  private var socket: String { "\(directory)/s" }

  fileprivate init(eventLoops: Int, clusters: [DataCluster]) async throws {
    directory = freePath()
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    certificates = try Certificates(directory: directory)
    let clock = SteppedClock()
    self.clock = clock
    let keyring = Keyring(master: try MasterKey())
    plane = try ControlPlane(
      auditing: try SQLiteStore(path: "\(directory)/tenancy.sqlite", sealer: keyring),
      hash: SHA256Digest.bytes, sealer: keyring, clock: { clock.now })
    let vault = SecretVault(plane, keyring)
    try await vault.prepareKeys()
    var identity = IdentityRules(trustDomains: [Certificates.trustDomain])
    identity.unixUsers = [getuid(): ["admin"]]
    var resolution = ResolutionRules()
    resolution.baseDomains = [Self.baseDomain]
    resolution.defaultTenant = Self.defaultTenant
    events = RecordedEvents()

    let rules = identity
    var configuration = Server.Configuration(
      listeners: [
        .unix(path: "\(directory)/s", mode: 0o600), .tcp(host: "127.0.0.1", port: 0),
      ],
      tls: try TLSContext(
        .server, try certificates.issue(.localServer, trusting: "trusted.pem"),
        peerRule: { rules.refusal(of: $0) }))
    configuration.eventLoops = eventLoops
    let provisioner = Provisioner(
      plane, try SQLiteDataPlane(directory: "\(directory)/tenants"), clusters: clusters,
      vault: vault)
    let counters = TenantCallCounters()
    let service = TenancyService(
      plane: plane, provisioner: provisioner,
      rules: resolution, tokens: Self.tokens,
      domains: DomainTerms(checker: WrittenDomains(proven: DomainStory.proven)), vault: vault,
      usage: UsageTerms(counters: counters, meter: DataMeter(provisioner)))
    judging = Task { await service.run() }
    await service.untilStreamsAreServed()
    server = try await Server(
      configuration,
      methods: service.methods,
      delegate: TenancyDelegate(
        plane: plane, rules: identity, tokens: Self.tokens, logger: events.logger,
        observer: counters))
    let ports = try await server.start().compactMap { address -> Int? in
      if case .tcp(_, let port, _, _) = address { port } else { nil }
    }
    port = try #require(ports.first)
  }

  fileprivate func stop() async throws {
    await server.stop(within: .seconds(5))
    judging.cancel()
    await judging.value
    await plane.close()
    try FileManager.default.removeItem(atPath: directory)
  }

  // MARK: Reaching it

  func target(serverName: String? = nil) -> RPCChannel.Target {
    .tcp(host: "127.0.0.1", port: port, serverName: serverName)
  }

  /// An operator's of the platform.
  var operatorTarget: RPCChannel.Target { .unix(path: socket) }

  /// As an operator of the platform.
  func asOperator<Answer>(
    over transport: Transport, _ body: (Stubs) async throws -> Answer
  ) async throws -> Answer {
    switch transport {
    case .unix: try await Stubs.run(RPCChannel(.unix(path: socket), tls: nil), body)
    case .mutualTLS: try await over(try certificates.issue(.operatorProfile), body)
    }
  }

  /// As a tenant's workload.
  func asWorkload<Answer>(
    of tenant: String, named workload: String = "console", _ body: (Stubs) async throws -> Answer
  ) async throws -> Answer {
    try await over(
      try certificates.issue(.workload(tenant: tenant, workload: workload)), body)
  }

  /// With any certificate.
  func over<Answer>(
    _ files: TLSContext.Files, serverName: String? = nil,
    _ body: (Stubs) async throws -> Answer
  ) async throws -> Answer {
    let tls = try TLSContext(.client, files)
    return try await Stubs.run(RPCChannel(target(serverName: serverName), tls: tls), body)
  }
}

/// Runs `body` with a server of its own, and stops that whatever happens.
func withLiveServer(
  eventLoops: Int = 1, clusters: [DataCluster] = [], _ body: (LiveServer) async throws -> Void
) async throws {
  let server = try await LiveServer(eventLoops: eventLoops, clusters: clusters)
  do {
    try await body(server)
  } catch {
    try await server.stop()
    throw error
  }
  try await server.stop()
}

/// The real time, and on demand a later one.
final class SteppedClock: Sendable {
  private let offset = Mutex(Days(0))

  var now: Timestamp {
    Timestamp(nanoseconds: Int64(Date.now.timeIntervalSince1970 * 1e9)) + offset.withLock { $0 }
  }

  func advance(by days: Days) { offset.withLock { $0 = Days($0.count + days.count) } }
}

/// Keeps what the server logs.
final class RecordedEvents: Sendable {
  private struct Handler: LogHandler {
    let continuation: AsyncStream<Event>.Continuation
    var metadata = Logger.Metadata()
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      continuation.yield(
        Event(kind: event.message.description, detail: event.metadata?["detail"]?.description))
    }
  }

  private struct Event {
    let kind: String
    let detail: String?
  }

  private let stream: AsyncStream<Event>
  let logger: Logger

  init() {
    let (stream, continuation) = AsyncStream<Event>.makeStream()
    self.stream = stream
    logger = Logger(label: "test") { _ in Handler(continuation: continuation) }
  }

  /// Why the next peer to be turned away was turned away.
  func nextRefusal() async -> String? {
    for await event in stream
    where [ServerEvent.Kind.handshakeFailed, .peerRefused].map(\.rawValue).contains(event.kind) {
      return event.detail
    }
    return nil
  }
}
