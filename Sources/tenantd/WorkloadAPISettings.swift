import Glibc
import Synchronization
import Tenancy
import TenancyCrypto
import TenancyRPC
import TenancyWorkload

/// The `workload_api` section of the configuration.
struct WorkloadAPISettings: Sendable {
  var socket: String
  var mode: UInt16 = 0o666
  var trustDomain: String
  /// The files of a CA; nil: what signs is in the store only.
  var files: CredentialPaths?
  /// Where the key of the CA in files is, if it is in a token.
  var token: TokenSource?
  /// Empty: the JWT-SVID profile is not served.
  var tokenKeys: [String] = []
  var terms = WorkloadTerms()

  /// - Parameter own: the server's own trust domain.
  init(_ settings: inout SettingsReader, own: String?) throws {
    socket = try settings.string("socket")
    guard socket.hasPrefix("/"), socket.utf8.count <= Configuration.maximumSocketPath else {
      throw settings.error(
        "socket: an absolute path of at most \(Configuration.maximumSocketPath) bytes")
    }
    if let text = try settings.optionalString("mode") {
      guard let bits = UInt16(text, radix: 8), bits <= 0o777 else {
        throw settings.error("mode: octal permission bits such as 0666")
      }
      mode = bits
    }
    let domain = try settings.optionalString("trust_domain").map { domain in
      try settings.trustDomain(domain, "trust_domain")
    }
    guard let domain = domain ?? own else {
      throw settings.error("trust_domain is required where identity.trust_domain is not given")
    }
    trustDomain = domain
    let certificate = try settings.optionalString("ca_certificate")
    let key = try settings.optionalString("ca_key")
    switch (certificate, key) {
    case (let certificate?, let key?):
      files = CredentialPaths(certificates: certificate, key: key)
      if key.hasPrefix(HardwareKey.scheme) { token = try TokenSource(key, &settings) }
    case (nil, nil): break
    default: throw settings.error("ca_certificate and ca_key: give both, or none")
    }
    tokenKeys = try settings.strings("jwt_keys") ?? []
    guard tokenKeys.count <= TokenAuthority.maximumKeys else {
      throw settings.error("jwt_keys: at most \(TokenAuthority.maximumKeys)")
    }
    terms.maximumLife =
      try settings.integer("maximum_life_seconds", in: 60...86_400) ?? terms.maximumLife
    terms.streamsPerUser =
      try settings.integer("streams_per_user", in: 1...4_096) ?? terms.streamsPerUser
    if let node = try settings.optionalString("node") {
      guard WorkloadEntry.isNode(node) else {
        throw settings.error("node: 1 to \(WorkloadEntry.maximumNodeLength) of a-z A-Z 0-9 . - _")
      }
      terms.node = node
    }
  }

  /// Where the certificates of a CA and its key are.
  struct CredentialPaths: Sendable {
    let certificates, key: String
  }

  /// Reads the CA; nil where no files are configured.
  /// - Throws: `ConfigurationError` if it can't be used, or others could have put it there.
  func authority() throws -> WorkloadAuthority? {
    guard let files else { return nil }
    try OwnFiles.checkTrusted(files.certificates)
    if let token {
      let key = try token.key()
      return try Self.usable {
        try WorkloadAuthority(
          certificates: files.certificates, key: key, trustDomain: trustDomain)
      }
    }
    try OwnFiles.checkSecret(files.key, "private key of the Workload API's CA")
    return try Self.usable {
      try WorkloadAuthority(
        certificates: files.certificates, key: files.key, trustDomain: trustDomain)
    }
  }

  private static func usable<Value>(_ body: () throws -> Value) throws -> Value {
    do {
      return try body()
    } catch {
      throw ConfigurationError(description: "workload_api: \(error)")
    }
  }

  /// Reads the keys of tokens; nil if there are none.
  /// - Throws: as `authority`.
  func tokenAuthority() throws -> TokenAuthority? {
    guard !tokenKeys.isEmpty else { return nil }
    for key in tokenKeys {
      try OwnFiles.checkSecret(key, "private key of the Workload API's tokens")
    }
    do {
      return try TokenAuthority(keys: tokenKeys, trustDomain: trustDomain)
    } catch {
      throw ConfigurationError(description: "workload_api.jwt_keys: \(error)")
    }
  }

  /// What is served there, and how much: processes of one machine, which ask for little.
  var server: Server.Configuration {
    var server = Server.Configuration(listeners: [.unix(path: socket, mode: mode, group: nil)])
    server.holdsPeerProcesses = true
    server.eventLoops = 1
    // Each takes three descriptors, and the API's own listeners need most of them.
    server.limits.maximumConnections = min(4_096, max(16, Descriptors.limit / 8))
    // Nor does one user take all.
    server.limits.maximumConnectionsPerPeer = min(
      terms.streamsPerUser, max(8, server.limits.maximumConnections / 4))
    // Whoever was told that it has no identity can ask again: it need not stay for that.
    server.limits.idleTimeout = .seconds(60)
    server.limits.maximumConcurrentStreams = 16
    // An Envoy tells of all its extensions when it asks first.
    server.limits.maximumMessageBytes = 256 * 1024
    server.limits.maximumBufferedBytes = 512 * 1024
    server.limits.maximumTotalBufferedBytes = 4 * 1024 * 1024
    return server
  }
}

/// A CA's key in a PKCS #11 token. Opened once, whatever comes of it: a token counts PINs that are wrong, and locks.
final class TokenSource: Sendable {
  private let uri, module, pinFile: String
  private let opened = Mutex<Result<HardwareKey, ConfigurationError>?>(nil)

  init(_ uri: String, _ settings: inout SettingsReader) throws {
    guard HardwareKey.isURI(uri) else {
      throw settings.error("ca_key: a PKCS #11 URI without a PIN, which is in pkcs11_pin_file")
    }
    self.uri = uri
    guard let module = try settings.optionalString("pkcs11_module"), module.hasPrefix("/"),
      let pin = try settings.optionalString("pkcs11_pin_file")
    else {
      throw settings.error(
        "ca_key: a key in a token needs pkcs11_module, an absolute path, and pkcs11_pin_file")
    }
    self.module = module
    pinFile = pin
  }

  /// - Throws: `ConfigurationError` if it can't be used: the same each time.
  func key() throws -> HardwareKey {
    try opened.withLock { opened in
      if let opened { return opened }
      let outcome = Result { () throws(ConfigurationError) in try open() }
      opened = outcome
      return outcome
    }.get()
  }

  private func open() throws(ConfigurationError) -> HardwareKey {
    do {
      try OwnFiles.checkTrusted(module)
      try OwnFiles.checkSecret(pinFile, "PIN of the Workload API's CA")
      return try HardwareKey(uri: uri, module: module, pinFile: pinFile)
    } catch let error as ConfigurationError {
      throw error
    } catch {
      throw ConfigurationError(description: "workload_api.ca_key: \(error)")
    }
  }
}
