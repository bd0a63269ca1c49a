import ArgumentParser
import Tenancy

/// `tenantctl envoy …`.
struct EnvoyGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "envoy", abstract: "Helps to put Envoy in front of services.",
    subcommands: [EnvoyConfigCommand.self])
}

struct EnvoyConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "Prints a configuration for Envoy, as JSON.",
    discussion: """
      Envoy listens, has every request judged by tenantd, and passes on those that may go on, with the headers \
      x-tenant-id, x-tenant-slug, x-tenant-subject and x-tenant-actor set or removed, as long as their tenants are \
      within their limits. Where tenantd does not answer in time nothing goes on: the answer is 503. Nothing is asked of the server; the files are Envoy's to read.

        tenantctl envoy config --upstream 127.0.0.1:9000 --tenantd unix:/run/tenancy/socket > envoy.json
        envoy -c envoy.json
      """)

  @Option(
    help: ArgumentHelp("Where requests go that may: HOST:PORT or unix:PATH.", valueName: "address"))
  var upstream: String
  @Option(
    help: ArgumentHelp("Where Envoy listens: an IP address and a port.", valueName: "address"))
  var listen = "127.0.0.1:8080"
  @Option(
    help: ArgumentHelp(
      "PEM: Envoy's certificate; without it, it listens without TLS.", valueName: "file"))
  var cert: String?
  @Option(help: ArgumentHelp("PEM: its private key.", valueName: "file"))
  var key: String?
  @Option(
    help: ArgumentHelp("PEM: who vouches for clients that show a certificate.", valueName: "file"))
  var clientCa: String?
  @Flag(help: "Clients have to show one.") var requireClientCertificate = false

  @Option(help: ArgumentHelp("The server: HOST:PORT or unix:PATH.", valueName: "address"))
  var tenantd: String
  @Option(help: ArgumentHelp("PEM: who vouches for tenantd.", valueName: "file"))
  var tenantdCa: String?
  @Option(help: ArgumentHelp("PEM: what Envoy shows to tenantd.", valueName: "file"))
  var tenantdCert: String?
  @Option(help: ArgumentHelp("PEM: the private key for that.", valueName: "file"))
  var tenantdKey: String?
  @Option(
    help: ArgumentHelp("What tenantd's certificate is for, if not HOST.", valueName: "name"))
  var tenantdName: String?
  @Option(help: "How long Envoy waits for tenantd.") var timeoutMilliseconds = 200
  @Option(help: "How long a client may take to send all of a request; 0: as long as it likes.")
  var requestSeconds = 60
  @Option(
    help: ArgumentHelp(
      "Which of the tenants' limits all requests count for, if not 'requests'. May be repeated.",
      valueName: "name"))
  var limit: [String] = []
  @Option(help: ArgumentHelp("The domain of rate_limits.", valueName: "name"))
  var limitDomain = "tenancy"
  @Flag(help: "Requests are not limited.") var noLimits = false
  @Option(help: "Memory, beyond which Envoy takes no more requests.") var heapMebibytes = 512
  @Option(help: ArgumentHelp("Where Envoy's own administration listens.", valueName: "address"))
  var admin: String?

  func run() throws { print(try plan().json.text(pretty: true)) }

  func plan() throws(UsageError) -> EnvoyPlan {
    guard (1...60_000).contains(timeoutMilliseconds) else {
      throw UsageError("--timeout-milliseconds: 1 to 60000")
    }
    var plan = EnvoyPlan(
      listen: try EnvoyAddress(parsing: listen, option: "--listen"),
      upstream: try EnvoyAddress(parsing: upstream, option: "--upstream"),
      tenantd: try EnvoyAddress(parsing: tenantd, option: "--tenantd"))
    guard (0...86_400).contains(requestSeconds), (64...1_048_576).contains(heapMebibytes) else {
      throw UsageError("--request-seconds: 0 to 86400; --heap-mebibytes: 64 to 1048576")
    }
    plan.timeoutMilliseconds = timeoutMilliseconds
    guard !noLimits || limit.isEmpty else {
      throw UsageError("--limit and --no-limits contradict each other")
    }
    if let wrong = limit.first(where: { !RequestLimit.isName($0) }) {
      throw UsageError("--limit: '\(wrong)' is no name of limits")
    }
    plan.limits = noLimits ? nil : EnvoyPlan.RateLimits(domain: limitDomain, names: limit)
    plan.requestSeconds = requestSeconds
    plan.heapMebibytes = heapMebibytes
    plan.admin = try admin.map { text throws(UsageError) in
      try EnvoyAddress(parsing: text, option: "--admin")
    }
    guard plan.admin?.isLocal ?? true else {
      throw UsageError("--admin: on loopback or a Unix socket only: it may do everything")
    }
    let places = [plan.listen, plan.upstream, plan.tenantd] + [plan.admin].compactMap(\.self)
    guard Set(places).count == places.count else {
      throw UsageError("--listen, --upstream, --tenantd and --admin are different places")
    }
    plan.server = try Self.pair(cert, key, "--cert", "--key")
    guard plan.server != nil || (clientCa == nil && !requireClientCertificate) else {
      throw UsageError("clients show certificates over TLS only: give --cert and --key")
    }
    guard !requireClientCertificate || clientCa != nil else {
      throw UsageError("--require-client-certificate needs --client-ca")
    }
    plan.clientAuthorities = clientCa
    plan.requiresClientCertificate = requireClientCertificate
    plan.client = try Self.pair(tenantdCert, tenantdKey, "--tenantd-cert", "--tenantd-key")
    switch plan.tenantd {
    case .unix:
      guard plan.client == nil, tenantdCa == nil, tenantdName == nil else {
        throw UsageError("over a Unix socket tenantd knows the user: there are no certificates")
      }
    case .tcp(let host, _):
      guard plan.client != nil, let tenantdCa else {
        throw UsageError("tenantd on TCP needs --tenantd-ca, --tenantd-cert and --tenantd-key")
      }
      plan.serverAuthorities = tenantdCa
      plan.serverName = tenantdName ?? host
    }
    return plan
  }

  private static func pair(
    _ certificate: String?, _ key: String?, _ one: String, _ other: String
  ) throws(UsageError) -> EnvoyPlan.Credential? {
    switch (certificate, key) {
    case (nil, nil): return nil
    case (let certificate?, let key?):
      return EnvoyPlan.Credential(certificate: certificate, key: key)
    default: throw UsageError("\(one) and \(other) belong together")
    }
  }
}
