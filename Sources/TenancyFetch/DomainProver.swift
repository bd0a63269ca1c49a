package import Tenancy

/// Looks for the challenges of domains, in the DNS and on their web servers. Blocks whoever asks, for `timeout` at most.
/// Thread-safe.
package struct DomainProver: Sendable {
  /// How long all of it may take.
  package static let timeout = Duration.seconds(5)
  /// Of what is there instead of a challenge: texts that are told, and the bytes of each.
  private static let maximumTold = (texts: 3, bytes: 64)

  private let client: DNSClient
  private let httpPort: Int
  private let allowsInside: Bool

  /// - Parameters:
  ///   - client: also for the addresses of web servers: what is only in files of this machine is no domain.
  ///   - httpPort: of web servers.
  ///   - allowsInside: whether these may be on this machine or its own network.
  package init(_ client: DNSClient, httpPort: Int, allowsInside: Bool) {
    self.client = client
    self.httpPort = httpPort
    self.allowsInside = allowsInside
  }

  package func look(_ check: DomainCheck) -> DomainFinding {
    let deadline = FetchDeadline(in: Self.timeout)
    do throws(FetchFailure) {
      switch check.method {
      case .dns: return try lookInDNS(check, deadline)
      case .http: return try lookOnServer(check, deadline)
      }
    } catch {
      switch error.stage {
      case .busy: return .busy
      case .address, .tls: return .notProven(seen: error.description)
      // The rest would tell addresses, those of this network's resolvers among them, and what answers there.
      case .connection, .time:
        return .unreachable(
          why: check.method == .dns ? "the DNS does not answer" : "the server does not answer")
      case .response: return .unreachable(why: error.description)
      }
    }
  }

  // MARK: The DNS

  private func lookInDNS(
    _ check: DomainCheck, _ deadline: FetchDeadline
  ) throws(FetchFailure) -> DomainFinding {
    guard let question = DNSQuestion(check.recordName, .text) else {
      return .notProven(seen: "\(check.recordName) can't be asked for")
    }
    let texts = (try client.ask(question, until: deadline) ?? []).compactMap(DNSMessage.text)
    if texts.contains(where: { $0.elementsEqual(check.content.utf8) }) { return .proven }
    if texts.isEmpty { return .notProven(seen: "\(check.recordName) has no TXT record") }
    let told = texts.prefix(Self.maximumTold.texts).map { "\"\(Self.printable($0))\"" }
    return .notProven(
      seen: "TXT of \(check.recordName): \(told.joined(separator: ", "))"
        + (texts.count > told.count ? " and \(texts.count - told.count) more" : ""))
  }

  /// What others have written, without what means something to terminals.
  static func printable(_ bytes: [UInt8]) -> String {
    let few = bytes.prefix(maximumTold.bytes).map { byte in
      (0x20...0x7E).contains(byte) && byte != UInt8(ascii: "\"") ? byte : UInt8(ascii: "?")
    }
    return String(decoding: few, as: UTF8.self) + (bytes.count > few.count ? "…" : "")
  }

  // MARK: Web servers

  private func lookOnServer(
    _ check: DomainCheck, _ deadline: FetchDeadline
  ) throws(FetchFailure) -> DomainFinding {
    let found = try addresses(of: check.name.text, deadline)
    // Which they are, and whether there are any, is told nobody: they may be known within this network alone.
    guard !found.isEmpty,
      let allowed = try? HTTPSFetcher.allowed(
        found, allowsInside: allowsInside, check.name.text)
    else { return .notProven(seen: "\(check.name) has no public address") }
    let socket = try HTTPSFetcher.connect(allowed, httpPort, deadline)
    try socket.write(request(check))
    let body: [UInt8]
    do throws(FetchFailure) {
      body = try Self.answer(socket).body
    } catch {
      // Who answers so is there, and says something else.
      guard error.stage == .response else { throw error }
      return .notProven(seen: error.description)
    }
    var content = body[...]
    while let last = content.last, [0x20, 0x09, 0x0D, 0x0A].contains(last) {
      content = content.dropLast()
    }
    // What it says instead may be for those alone who reach that server as we do.
    return content.elementsEqual(check.content.utf8)
      ? .proven : .notProven(seen: "the document at \(check.path) says something else")
  }

  private func addresses(
    of host: String, _ deadline: FetchDeadline
  ) throws(FetchFailure) -> [NetworkAddress] {
    var found: [NetworkAddress] = []
    for kind in [DNSQuestion.Kind.ipv4, .ipv6] {
      guard let question = DNSQuestion(host, kind) else { continue }
      let records = try client.ask(question, until: deadline)
      // There is none of any kind then.
      guard let records else { break }
      found += records.compactMap { NetworkAddress($0) }
    }
    return found
  }

  private static func answer(_ socket: FetchSocket) throws(FetchFailure) -> HTTPDocument {
    var reader = HTTPResponseReader()
    while true {
      let bytes = try socket.read()
      if bytes.isEmpty { return try reader.end() }
      try reader.receive(bytes[...])
      if let document = reader.document { return document }
    }
  }

  private func request(_ check: DomainCheck) -> [UInt8] {
    let host = httpPort == 80 ? check.name.text : "\(check.name):\(httpPort)"
    let lines = [
      "GET \(check.path) HTTP/1.1", "Host: \(host)", "Accept: text/plain, */*",
      "Accept-Encoding: identity", "User-Agent: tenantd", "Connection: close", "", "",
    ]
    return Array(lines.joined(separator: "\r\n").utf8)
  }
}
