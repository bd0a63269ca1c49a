import Glibc
package import Tenancy
import TenancyCrypto

/// Fetches small documents from servers that others have named: over TLS only, from addresses that were looked at, once
/// each, and never from where an answer says that it is. Blocks whoever asks. Thread-safe.
package struct HTTPSFetcher: Sendable {
  /// How long all of a fetch may take: looking up the name included.
  package static let timeout = Duration.seconds(5)
  /// Addresses of a name that are tried.
  private static let maximumAddresses = 4
  /// Milliseconds for which one of them is waited for, at most, so that one that nobody answers at is not all there is.
  private static let longestConnecting = 2000
  /// Where systems have the CAs that they trust.
  private static let usualAuthorities = [
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
  ]

  private let tls: TLSContext

  /// - Parameters:
  ///   - authorities: PEM file with the CAs that servers' certificates are verified by; nil: those of the system. It is
  ///     read again when it has changed.
  ///   - fileRule: asked each time before it is read; returns why it is not to be used, or nil.
  /// - Throws: `TLSError` where they can't be read.
  package init(
    authorities: String?, fileRule: @escaping @Sendable (_ path: String) -> String? = { _ in nil }
  ) throws {
    let places = Self.usualAuthorities
    let path = authorities ?? places.first { access($0, R_OK) == 0 } ?? places[0]
    var configuration = TLSContext.Configuration(
      certificateChain: nil, privateKey: nil, trust: .authorities(path), applicationProtocols: [])
    configuration.requiresApplicationProtocol = false
    configuration.pinsKeys = true
    configuration.fileRule = { fileRule(path) }
    // Each fetch judges the server anew.
    configuration.limits.sessionLifetime = .zero
    tls = try TLSContext(.client, configuration)
  }

  /// - Parameters:
  ///   - owner: on whose behalf; nil: the platform's.
  ///   - pins: SHA-256 of keys of which one has to be in the server's chain; empty: any may be there.
  ///   - allowsInside: whether the server may be on this machine or its own network.
  /// - Throws: why there is no document.
  package func get(
    _ url: HTTPSURL, for owner: TenantID?, pins: [[UInt8]], allowsInside: Bool
  ) throws(FetchFailure) -> HTTPDocument {
    let deadline = FetchDeadline(in: Self.timeout)
    reloadAuthorities()
    let found = try NameLookup.addresses(of: url.host, for: owner, until: deadline)
    let socket = try Self.connect(
      Self.allowed(found, allowsInside: allowsInside, url.host), url.port, deadline)
    return try exchange(url, pins, socket)
  }

  private func reloadAuthorities() {
    // What was read before goes on to count where the files are not to be used now.
    _ = try? tls.reloadIfChanged()
  }

  /// - Throws: `.address` where there is none.
  static func allowed(
    _ addresses: [NetworkAddress], allowsInside: Bool, _ host: String
  ) throws(FetchFailure) -> [NetworkAddress] {
    let allowed = addresses.filter { address in
      switch address.reach {
      case .anybody: true
      case .inside: allowsInside
      case .nobody: false
      }
    }
    guard !allowed.isEmpty else {
      throw FetchFailure(
        .address,
        "\(host) has no address that may be asked: "
          + addresses.prefix(maximumAddresses).map(\.description).joined(separator: " "))
    }
    return Array(allowed.prefix(maximumAddresses))
  }

  /// To the first that takes the connection.
  static func connect(
    _ addresses: [NetworkAddress], _ port: Int, _ deadline: FetchDeadline
  ) throws(FetchFailure) -> FetchSocket {
    var last = FetchFailure(.connection, "there is no address")
    for (at, address) in addresses.enumerated() where deadline.milliseconds > 0 {
      // In range: this one is left. Each of those that follow is left as much.
      let share = deadline.milliseconds / (addresses.count - at)
      do throws(FetchFailure) {
        return try FetchSocket(
          address, port: port, connecting: deadline.sooner(in: min(share, longestConnecting)),
          until: deadline)
      } catch {
        last = error
      }
    }
    throw last
  }

  private func exchange(
    _ url: HTTPSURL, _ pins: [[UInt8]], _ socket: FetchSocket
  ) throws(FetchFailure) -> HTTPDocument {
    let connection = FetchConnection(
      socket,
      try Self.tls { () throws(TLSError) in
        try TLSExchange(tls, serverName: url.host, pins: pins)
      })
    try connection.handshake()
    try connection.send(Self.request(url))
    var reader = HTTPResponseReader()
    while true {
      let (bytes, isAll) = try connection.receive()
      try reader.receive(bytes[...])
      if let document = reader.document { return document }
      if isAll { return try reader.end() }
    }
  }

  static func request(_ url: HTTPSURL) -> [UInt8] {
    let lines = [
      "GET \(url.target) HTTP/1.1", "Host: \(url.authority)",
      "Accept: application/jwk-set+json, application/json", "Accept-Encoding: identity",
      "User-Agent: tenantd", "Connection: close", "", "",
    ]
    return Array(lines.joined(separator: "\r\n").utf8)
  }

  static func tls<Value>(_ body: () throws(TLSError) -> Value) throws(FetchFailure) -> Value {
    do throws(TLSError) { return try body() } catch {
      throw FetchFailure(.tls, error.description)
    }
  }
}

/// TLS over a socket.
private struct FetchConnection {
  let socket: FetchSocket
  let tls: TLSExchange

  init(_ socket: FetchSocket, _ tls: TLSExchange) {
    self.socket = socket
    self.tls = tls
  }

  func handshake() throws(FetchFailure) {
    while true {
      let isDone: Bool
      do throws(FetchFailure) {
        isDone = try HTTPSFetcher.tls { () throws(TLSError) in try tls.handshake() }
      } catch {
        // The alert; whether it arrives changes nothing.
        try? socket.write(tls.takeOutput())
        throw error
      }
      try socket.write(tls.takeOutput())
      if isDone { return }
      let bytes = try socket.read()
      guard !bytes.isEmpty else {
        throw FetchFailure(.tls, "the server ends the connection in the handshake")
      }
      tls.receive(bytes[...])
    }
  }

  func send(_ bytes: [UInt8]) throws(FetchFailure) {
    try HTTPSFetcher.tls { () throws(TLSError) in try tls.write(bytes) }
    try socket.write(tls.takeOutput())
  }

  /// Waits for some bytes.
  func receive() throws(FetchFailure) -> (bytes: [UInt8], isAll: Bool) {
    while true {
      let (plain, isAll) = try HTTPSFetcher.tls { () throws(TLSError) in try tls.read() }
      try socket.write(tls.takeOutput())
      if !plain.isEmpty || isAll { return (plain, isAll) }
      let bytes = try socket.read()
      if bytes.isEmpty { return ([], true) }
      tls.receive(bytes[...])
    }
  }
}
