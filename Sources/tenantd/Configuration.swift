import FoundationEssentials
import Glibc
import Logging
import Tenancy
import TenancyRPC
import TenancyServer
import TenancyTelemetry

/// What `tenantd serve` is told. One JSON5 object; an unknown setting is an error.
struct Configuration: Sendable {
  var dataDirectory: String
  var store = StoreSettings.embedded
  var nodes = NodeSettings()
  /// None: tenants' data is made in the data directory.
  var clusters: [ClusterSettings] = []
  var listeners: [ListenerSettings]
  var tls: TLSSettings?
  var identity: IdentityRules
  /// Nil: no secrets are taken.
  var secrets: SecretSettings?
  /// Nil: no tokens are issued or taken.
  var tokens: TokenTerms?
  /// Nil: HTTP requests that come through Envoy are not judged.
  var envoy: EnvoyTerms?
  var rateLimits = RateLimitSettings()
  /// Whose tokens are accepted for all tenants.
  var issuers: [IssuerSettings] = []
  /// Nil: no keys of token issuers are fetched.
  var keySets: KeySetSettings?
  /// Nil: no domains of tenants' own are claimed.
  var domains: DomainSettings?
  /// Nil: no processes are told who they are.
  var workloadAPI: WorkloadAPISettings?
  /// The server's own trust domain; nil where none is given.
  var trustDomain: String?
  var resolution = ResolutionRules()
  var limits = ServerLimits()
  var quotas = TenantQuotas()
  var usage = UsageSettings()
  var decisions = DecisionTerms()
  var lifecycle = LifecycleSettings()
  var logRetention = LogRetention()
  var audit = AuditSettings()
  /// Nil: no metrics, and nobody to ask for them.
  var http: HTTPSettings?
  /// Nil: calls are not logged.
  var accessLog: AccessLog.Settings?
  /// Nil: calls are not traced.
  var tracing: TracingSettings?
  /// 0: one for each core.
  var eventLoops = 0
  /// How long calls in flight may take after SIGTERM.
  var drainSeconds = 30
  var logLevel = Logger.Level.info
  /// All of the file, to tell what has changed in it.
  var settings: Settings = [:]

  /// Whether a listener takes clients without certificates, who make calls with tokens.
  var takesBearers: Bool {
    listeners.contains { listener in
      if case .tcp(_, _, _, certified: false) = listener.address { true } else { false }
    }
  }

  typealias Settings = [String: JSONValue]
}

extension Configuration {
  /// - Throws: `ConfigurationError`, which says where.
  init(json5: Data, file: String) throws {
    var root = try SettingsReader(json5: json5, file: file)
    settings = root.unread
    dataDirectory = try root.string("data_directory")
    store = try root.section("store") { try StoreSettings(&$0) } ?? .embedded
    if let nodes = try root.section("nodes", { try NodeSettings(&$0) }) {
      guard store.isShared else {
        throw root.error("nodes: only one can be on a store in a file: set store.postgresql")
      }
      self.nodes = nodes
    }
    listeners = try root.list("listeners") { try ListenerSettings(&$0) }
    tls = try root.section("tls") { try TLSSettings(&$0) }
    secrets = try root.section("secrets") { try SecretSettings(&$0) }
    clusters = try root.list("clusters") { try ClusterSettings(&$0) }
    try ClusterSettings.check(clusters, hasSecrets: secrets != nil, root)
    var issuers: [IssuerSettings] = []
    var keySets: KeySetSettings?
    tokens = try root.section("tokens") { try TokenTerms(&$0, &issuers, &keySets) }
    (self.issuers, self.keySets) = (issuers, keySets)
    envoy = try root.section("envoy") { try EnvoyTerms(&$0) }
    rateLimits = try root.section("rate_limits") { try RateLimitSettings(&$0) } ?? rateLimits
    guard tokens == nil || secrets != nil else {
      throw root.error("tokens: needs secrets.master_key, which keys are sealed with")
    }
    let rules = try root.section("identity") { settings in
      let domains = try Self.trustDomains(&settings)
      return (domains, try Self.identity(&settings, domains))
    }
    guard let rules else { throw root.error("identity is required") }
    identity = rules.1
    try bindTrustDomains(rules.0, root)
    let own = rules.0.first
    trustDomain = own
    workloadAPI = try root.section("workload_api") { try WorkloadAPISettings(&$0, own: own) }
    identity.registeredDomains.formUnion([own, workloadAPI?.trustDomain].compactMap(\.self))
    resolution = try root.section("resolution") { try ResolutionRules(&$0) } ?? ResolutionRules()
    domains = try root.section("domains") { try DomainSettings(&$0) }
    limits = try root.section("limits") { try Self.limits(&$0) } ?? ServerLimits()
    quotas = try root.section("quotas") { try TenantQuotas(&$0) } ?? TenantQuotas()
    usage = try root.section("usage") { try UsageSettings(&$0) } ?? UsageSettings()
    decisions = try root.section("decisions") { try DecisionTerms(&$0) } ?? DecisionTerms()
    lifecycle = try root.section("lifecycle") { try LifecycleSettings(&$0) } ?? LifecycleSettings()
    logRetention = try root.section("log") { try Self.retention(&$0) } ?? LogRetention()
    let directory = dataDirectory
    audit =
      try root.section("audit") { try AuditSettings(&$0, dataDirectory: directory) }
      ?? AuditSettings()
    http = try root.section("http") { try HTTPSettings(&$0) }
    if let authZEN = http?.authZEN {
      guard !authZEN.isSecure || tls != nil else {
        throw root.error("http.authzen.listen: needs tls, or is a Unix socket")
      }
      guard authZEN.isSecure || tokens != nil else {
        throw root.error("http.authzen: without tls of its own it takes tokens: there are none")
      }
    }
    accessLog = try root.section("access_log") { try AccessLog.Settings(&$0) }
    tracing = try root.section("tracing") { try TracingSettings(&$0) }
    eventLoops = try root.integer("event_loops", in: 0...256) ?? 0
    drainSeconds = try root.integer("drain_seconds", in: 0...3600) ?? 30
    if let name = try root.optionalString("log_level") {
      guard let level = Logger.Level(rawValue: name) else {
        throw root.error("log_level: one of \(Logger.Level.allCases.map(\.rawValue))")
      }
      logLevel = level
    }
    try root.finish()
    let isInsecure = listeners.contains { listener in
      if case .tcp(_, _, insecure: true, _) = listener.address { true } else { false }
    }
    guard !isInsecure || !identity.insecureRoles.isEmpty else {
      throw root.error("listeners: an insecure one needs identity.insecure_roles")
    }
    guard !listeners.isEmpty else { throw root.error("listeners: at least one is needed") }
    if let workloadAPI, workloadAPI.files == nil, secrets == nil {
      throw root.error(
        "workload_api.ca_certificate: needed where there is no secrets.master_key to seal authorities' keys"
      )
    }
    if let socket = workloadAPI?.socket, listeners.contains(where: { $0.address.place == socket }) {
      throw root.error("workload_api.socket: one of the listeners has it: it is for nothing else")
    }
    for (index, listener) in listeners.enumerated() {
      switch listener.address {
      case .tcp(_, _, insecure: false, _) where tls == nil:
        throw root.error("listeners[\(index)]: needs tls, or on loopback insecure: true")
      case .tcp(_, _, _, certified: false) where tokens == nil:
        throw root.error(
          "listeners[\(index)]: where client certificates are optional, tokens are needed: there are none"
        )
      case .tcp(_, 0, _, _): break
      case let address
      where listeners[..<index].contains { $0.address.place == address.place }:
        throw root.error("listeners[\(index)]: the address is there twice")
      default: break
      }
    }
  }

  /// With bundles, their trust domains are those that are accepted, and they say what these may name. The
  /// server's own, the one that `identity` names or the first bundle's, may name everything.
  private mutating func bindTrustDomains(_ named: [String], _ root: SettingsReader) throws {
    guard case .domains(let bundles) = tls?.context.trust, let tls else {
      guard named.count <= 1 else {
        throw root.error(
          "identity.trust_domains: client_ca vouches for one trust domain; for others say in "
            + "tls.trust_bundles what they may name")
      }
      guard tls == nil || named.count == 1 else {
        throw root.error("identity.trust_domain is required with tls.client_ca")
      }
      return
    }
    guard named.allSatisfy({ name in bundles.contains { $0.domain == name } }) else {
      throw root.error("identity.trust_domains: not those of tls.trust_bundles")
    }
    let own = named.first ?? bundles.first?.domain ?? ""
    identity.trustDomains = [:]
    identity.registeredDomains = [own]
    for (domain, grant) in tls.grants {
      identity.trustDomains[domain] = grant ?? (domain == own ? .everything : .nothing)
      for role in grant?.platformRoles ?? []
      where role != TrustDomainGrant.all && identity.platformRoles[role] == nil {
        throw root.error(
          "tls.trust_bundles: \(domain): platform_roles: there is no platform role \(role)")
      }
    }
  }

  /// Bytes of `sun_path`, without the NUL behind it.
  static let maximumSocketPath = 107

  /// The server's own first.
  private static func trustDomains(_ settings: inout SettingsReader) throws -> [String] {
    let one = try settings.optionalString("trust_domain").map { domain in
      try settings.trustDomain(domain, "trust_domain")
    }
    let several = try settings.strings("trust_domains")?.map { domain in
      try settings.trustDomain(domain, "trust_domains")
    }
    guard one == nil || several == nil else {
      throw settings.error("trust_domain and trust_domains: give one of them")
    }
    let domains = several ?? one.map { [$0] } ?? []
    guard Set(domains).count == domains.count else {
      throw settings.error("trust_domains: each at most once")
    }
    return domains
  }

  private static func identity(
    _ settings: inout SettingsReader, _ domains: [String]
  ) throws -> IdentityRules {
    var rules = IdentityRules(trustDomains: domains)
    let users = try settings.list("unix_users") { user in
      (try user.integer("uid", in: 0...Int(UInt32.max)), try user.strings("roles"))
    }
    for (uid, roles) in users {
      guard let uid, let roles else { throw settings.error("unix_users: uid and roles") }
      guard rules.unixUsers.updateValue(roles, forKey: UInt32(uid)) == nil else {
        throw settings.error("unix_users: uid \(uid) is there twice")
      }
    }
    for (role, permissions) in try settings.stringLists("platform_roles") ?? [] {
      rules.platformRoles[role] = try permissions.map { try settings.permission($0) }
    }
    if let permissions = try settings.strings("workload_permissions") {
      rules.workloadPermissions = try permissions.map { try settings.permission($0) }
    }
    rules.insecureRoles = try settings.strings("insecure_roles") ?? []
    for role in rules.unixUsers.values.joined() + rules.insecureRoles
    where rules.platformRoles[role] == nil {
      throw settings.error("there is no platform role \(role)")
    }
    return rules
  }

  private static func limits(_ settings: inout SettingsReader) throws -> ServerLimits {
    var limits = ServerLimits()
    do {
      for setting in ServerLimits.settings {
        guard let value = try settings.integer(setting.name, in: setting.range) else { continue }
        try setting.set(value, in: &limits)
      }
      try limits.check()
    } catch let error as LimitError {
      throw settings.error(error.description)
    }
    return limits
  }

  private static func retention(_ settings: inout SettingsReader) throws -> LogRetention {
    var retention = LogRetention()
    retention.days =
      try settings.integer("retention_days", in: 1...36_500).map { Days(Int64($0)) }
      ?? retention.days
    retention.entries =
      try settings.integer(
        "retention_entries", in: LogRetention.minimumEntries...1_000_000_000) ?? retention.entries
    return retention
  }
}

extension ListenAddress {
  fileprivate var place: String {
    switch self {
    case .tcp(let host, let port, _, _): "\(host):\(port)"
    case .unix(let path, _, _): path
    }
  }
}

extension Substring {
  var trimmingBrackets: String {
    hasPrefix("[") && hasSuffix("]") ? String(dropFirst().dropLast()) : String(self)
  }
}

extension SettingsReader {
  func trustDomain(_ text: String, _ name: String) throws -> String {
    guard SPIFFEID(parsing: "spiffe://\(text)/x")?.trustDomain == text else {
      throw error("\(name): \"\(text)\" is not a SPIFFE trust domain such as example.org")
    }
    return text
  }

  fileprivate func permission(_ text: String) throws -> Permission {
    guard let permission = Permission(parsing: text) else {
      throw error("\"\(text)\" is not a permission (resource:action)")
    }
    guard IdentityRules.isUsed(permission) else {
      throw error("no method of the API needs the permission \(text)")
    }
    return permission
  }
}
