import ArgumentParser
import Foundation
import Synchronization
import TenancyClient
import TenancyRPC

/// Where the server is and who we are.
struct ServerOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The server: unix:PATH or HOST:PORT (TENANCY_ADDRESS).", valueName: "address"))
  var address: String?

  @Option(help: ArgumentHelp("PEM: who vouches for the server (TENANCY_CA).", valueName: "file"))
  var ca: String?

  @Option(help: ArgumentHelp("PEM: our certificate (TENANCY_CERT).", valueName: "file"))
  var cert: String?

  @Option(help: ArgumentHelp("PEM: our private key (TENANCY_KEY).", valueName: "file"))
  var key: String?

  @Option(
    help: ArgumentHelp(
      "A token that every call carries; - for stdin (TENANCY_TOKEN_FILE).", valueName: "file"))
  var token: String?

  @Option(
    help: ArgumentHelp(
      "The name the server's certificate must have, if it is not HOST.", valueName: "name"))
  var serverName: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("How long to wait for each answer.", valueName: "seconds"))
  var timeout = 10.0

  @Option(
    help: ArgumentHelp(
      "Answer from a state that is at least as fresh as this token says.", valueName: "token"))
  var consistencyToken: String?

  @Flag(help: "Say on stderr which token reads elsewhere need to see what this command has done.")
  var printConsistencyToken = false

  /// Runs `body` on a connection, which is closed whatever happens.
  /// - Throws: `UsageError`, `TLSError`, `CallFailure`, and what `body` throws.
  func connected<Answer>(
    _ body: (Connection) async throws -> Answer
  ) async throws -> Answer {
    let plan = try ConnectionPlan(self, environment: ProcessInfo.processInfo.environment)
    let last = LastToken()
    let options = try callOptions(plan, last)
    let channel = try plan.channel()
    let connection = Connection(channel: channel, options: options)
    do {
      let answer = try await body(connection)
      await channel.close()
      if printConsistencyToken { last.report() }
      return answer
    } catch {
      await channel.close()
      guard let status = error as? RPCStatus else { throw error }
      throw CallFailure(status: status, endpoint: plan.endpoint, timeout: plan.timeout)
    }
  }
}

extension ServerOptions {
  private func callOptions(
    _ plan: ConnectionPlan, _ last: LastToken
  ) throws(UsageError) -> RPCCallOptions {
    var options = try plan.callOptions()
    if let consistencyToken { options.require(consistencyToken: consistencyToken) }
    options.onMetadata = { last.note($0) }
    return options
  }
}

/// The consistency token of the last response that had one.
private final class LastToken: Sendable {
  private let token = Mutex<String?>(nil)

  func note(_ metadata: ResponseMetadata) {
    guard let found = metadata.consistencyToken else { return }
    token.withLock { $0 = found }
  }

  func report() {
    guard let token = token.withLock(\.self) else { return }
    FileHandle.standardError.write(Data("consistency token: \(Printable.text(token))\n".utf8))
  }
}

/// An open connection, and what each call says.
struct Connection {
  let channel: any CallChannel
  let options: RPCCallOptions

  var tenants: TenantManagerClient { TenantManagerClient(channel) }
  var resolver: TenantResolverClient { TenantResolverClient(channel) }
  var authorization: AuthorizationClient { AuthorizationClient(channel) }
  var secrets: SecretsClient { SecretsClient(channel) }
  var audit: AuditClient { AuditClient(channel) }
  var identity: IdentityClient { IdentityClient(channel) }
  var tokens: TokensClient { TokensClient(channel) }
  var authorities: CertificateAuthoritiesClient { CertificateAuthoritiesClient(channel) }
  var data: TenantDataClient { TenantDataClient(channel) }
  var clusters: ClustersClient { ClustersClient(channel) }
  var operations: TenantOperationsClient { TenantOperationsClient(channel) }
  var domains: TenantDomainsClient { TenantDomainsClient(channel) }
  var plans: PlansClient { PlansClient(channel) }
  var flags: FeatureFlagsClient { FeatureFlagsClient(channel) }
  var configurations: TenantConfigurationsClient { TenantConfigurationsClient(channel) }
  var settings: SettingDefinitionsClient { SettingDefinitionsClient(channel) }
  var workloads: WorkloadEntriesClient { WorkloadEntriesClient(channel) }
}

/// An address of the server.
enum Endpoint: Hashable, CustomStringConvertible {
  case unix(path: String)
  case tcp(host: String, port: Int)

  /// Bytes of a Unix socket's path that the system takes.
  private static let maximumSocketPath = 107

  /// `unix:PATH`, `HOST:PORT` or `[IPv6]:PORT`.
  init(parsing text: String) throws(UsageError) {
    let scheme = "unix:"
    if text.hasPrefix(scheme), text.utf8.count > scheme.utf8.count {
      let path = String(text.dropFirst(scheme.count))
      guard path.utf8.count <= Self.maximumSocketPath else {
        throw UsageError(
          "the path of a Unix socket has at most \(Self.maximumSocketPath) bytes: '\(path)'")
      }
      self = .unix(path: path)
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
      (1...65_535).contains(port)
    else { throw UsageError("the address '\(text)' is neither unix:PATH nor HOST:PORT") }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":"), !host.contains("["), !host.contains("]") {
      throw UsageError("an IPv6 address stands in brackets: [\(host)]:\(port)")
    }
    guard !host.contains("["), !host.contains("]") else {
      throw UsageError("the address '\(text)' is neither unix:PATH nor [IPv6]:PORT")
    }
    guard !host.isEmpty else { throw UsageError("the address '\(text)' has no host") }
    self = .tcp(host: String(host), port: port)
  }

  var description: String {
    switch self {
    case .unix(let path): "unix:\(path)"
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
  }
}

/// Options, completed from the environment and checked.
struct ConnectionPlan: Equatable {
  /// Longest that a call may take.
  static let maximumTimeout = 3_600.0

  let endpoint: Endpoint
  let serverName: String?
  /// Nil for Unix sockets.
  let files: TLSContext.Files?
  let timeout: Double
  /// Where the token of every call is.
  let token: String?

  init(_ options: ServerOptions, environment: [String: String]) throws(UsageError) {
    func setting(_ option: String?, _ variable: String) -> String? {
      if let option { return option }
      // An empty variable is as good as none.
      return environment[variable].flatMap { $0.isEmpty ? nil : $0 }
    }
    guard let address = setting(options.address, "TENANCY_ADDRESS") else {
      throw UsageError("which server? Give --address, or set TENANCY_ADDRESS")
    }
    guard options.timeout > 0, options.timeout <= Self.maximumTimeout else {
      throw UsageError("--timeout is more than 0 and at most \(Int(Self.maximumTimeout)) seconds")
    }
    endpoint = try Endpoint(parsing: address)
    timeout = options.timeout
    serverName = options.serverName
    token = setting(options.token, "TENANCY_TOKEN_FILE")
    guard case .tcp = endpoint else {
      files = nil
      return
    }
    guard let ca = setting(options.ca, "TENANCY_CA"),
      let certificate = setting(options.cert, "TENANCY_CERT"),
      let key = setting(options.key, "TENANCY_KEY")
    else {
      throw UsageError(
        "\(endpoint) is reached by TLS: give --ca, --cert and --key, "
          + "or set TENANCY_CA, TENANCY_CERT and TENANCY_KEY")
    }
    files = TLSContext.Files(certificateChain: certificate, privateKey: key, peerAuthorities: ca)
  }

  /// What every call says. The token goes to a Unix socket or through TLS: there is no other way here.
  func callOptions() throws(UsageError) -> RPCCallOptions {
    var options = RPCCallOptions(timeout: .seconds(timeout))
    guard let token else { return options }
    let text = try InputFile.secret(token)
    guard text.utf8.count <= InputFile.maximumTokenBytes,
      text.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
    else { throw UsageError("what is in \(token) can't be a token") }
    options.metadata.add("authorization", "Bearer \(text)")
    return options
  }

  func channel() throws -> RPCChannel { channel(tls: try tls()) }

  /// What several connections can share; nil for Unix sockets.
  func tls(speaking wireProtocol: WireProtocol = .grpc) throws -> TLSContext? {
    guard let files else { return nil }
    var configuration = TLSContext.Configuration(files)
    configuration.applicationProtocols = wireProtocol == .ttrpc ? [.ttrpc] : [.http2]
    return try TLSContext(.client, configuration)
  }

  /// - Parameter tls: made for the same protocol.
  func channel(tls: TLSContext?, speaking wireProtocol: WireProtocol = .grpc) -> RPCChannel {
    var configuration = RPCChannel.Configuration()
    configuration.wireProtocol = wireProtocol
    let target: RPCChannel.Target =
      switch endpoint {
      case .unix(let path): .unix(path: path)
      case .tcp(let host, let port): .tcp(host: host, port: port, serverName: serverName)
      }
    return RPCChannel(target, tls: tls, configuration: configuration)
  }
}
