import FoundationEssentials
import Glibc
import TenancyCrypto
import TenancyRPC
import TenancySecrets
import TenancyServer

/// `--dev`: everything in one directory, made when missing.
struct Development {
  static let trustDomain = "dev.tenancy.internal"

  let configuration: Configuration
  private let directory: String

  init(directory: String, port: Int) throws {
    let path = URL(filePath: directory).standardized.path
    self.directory = path
    try DataDirectory.prepare(path)
    // Whoever made this CA names operators.
    try OwnFiles.checkDirectory("\(path)/pki")
    for name in ["ca.key", "server.key", "operator.key"] {
      try OwnFiles.check("\(path)/pki/\(name)")
    }
    _ = try DevelopmentPKI.ensure(
      directory: "\(path)/pki", trustDomain: Self.trustDomain, tenants: ["acme", "globex"])
    var identity = IdentityRules(trustDomains: [Self.trustDomain])
    identity.registeredDomains = [Self.trustDomain]
    identity.unixUsers = [getuid(): ["admin"]]
    var configuration = Configuration(
      dataDirectory: "\(path)/data",
      listeners: [
        ListenerSettings(.unix(path: "\(path)/tenantd.sock", mode: 0o600)),
        ListenerSettings(.tcp(host: "127.0.0.1", port: port)),
      ],
      identity: identity)
    configuration.trustDomain = Self.trustDomain
    configuration.tls = TLSSettings(
      TLSContext.Configuration(
        certificateChain: "\(path)/pki/server.pem", privateKey: "\(path)/pki/server.key",
        trust: .domains([
          TrustBundle(domain: Self.trustDomain, authorities: "\(path)/pki/ca.pem")
        ])))
    try MasterKey.makeFile("\(path)/master.key")
    configuration.secrets = SecretSettings(masterKey: .file("\(path)/master.key"))
    configuration.tokens = TokenTerms(
      issuer: "https://\(Self.trustDomain)", audience: "https://\(Self.trustDomain)")
    try OwnFiles.check("\(path)/audit.key")
    try SigningKey.ensure(private: "\(path)/audit.key", public: "\(path)/audit.pub")
    configuration.audit.checkpoints = AuditSettings.Checkpoints(
      key: "\(path)/audit.key", file: AuditSettings.file(in: configuration.dataDirectory),
      interval: .seconds(5))
    configuration.http = HTTPSettings(listen: .unix(path: "\(path)/http.sock", mode: 0o600))
    configuration.domains = DomainSettings()
    configuration.resolution.baseDomains = ["example.com", "localhost"]
    self.configuration = configuration
  }

  /// How to call it.
  func guide(_ addresses: [ListenAddress]) -> String {
    let port = addresses.compactMap { address -> Int? in
      if case .tcp(_, let port, _, _) = address { port } else { nil }
    }.first
    return """
      tenantd is ready (development mode; data and certificates in \(directory)).

      Over the Unix socket, as an operator:
        tenantctl whoami --address unix:\(directory)/tenantd.sock
      Over mutual TLS, as an operator:
        tenantctl whoami --address 127.0.0.1:\(port ?? 0) --ca \(directory)/pki/ca.pem \\
          --cert \(directory)/pki/operator.pem --key \(directory)/pki/operator.key
      Metrics and probes:
        curl --unix-socket \(directory)/http.sock http://localhost/metrics
      """
  }
}
