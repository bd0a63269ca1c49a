import Glibc

/// Asks resolvers, which find out the rest. Blocks whoever asks. Thread-safe.
package struct DNSClient: Sendable {
  /// A resolver.
  package struct Server: Hashable, Sendable, CustomStringConvertible {
    package let address: NetworkAddress
    package let port: Int

    package init(_ address: NetworkAddress, port: Int = 53) {
      self.address = address
      self.port = port
    }

    /// An address, with a port maybe: `127.0.0.1`, `127.0.0.1:5353`, `::1`, `[::1]:5353`.
    /// - Returns: nil for a name, and for all else.
    package init?(parsing text: String) {
      var (host, port) = (text[...], 53)
      if text.hasPrefix("[") || text.count(where: { $0 == ":" }) == 1 {
        guard let colon = text.lastIndex(of: ":"),
          let number = HTTPResponseReader.decimal(String(text[text.index(after: colon)...])),
          (1...65_535).contains(number)
        else { return nil }
        port = number
        host = text[..<colon]
        if host.hasPrefix("[") {
          guard host.hasSuffix("]"), host.contains(":") else { return nil }
          host = host.dropFirst().dropLast()
        }
      }
      guard let address = NetworkAddress(parsing: String(host)) else { return nil }
      self.init(address, port: port)
    }

    package var description: String { "\(address) port \(port)" }
  }

  /// Resolvers that are asked, one after the other.
  package static let maximumServers = 3
  /// How often all of them are asked.
  private static let rounds = 2
  /// Milliseconds for which one of them is waited for.
  private static let patience = 1500
  private static let systemFile = "/etc/resolv.conf"

  private let servers: [Server]

  /// - Parameter servers: empty: those of the system, as its file has them at each question.
  package init(servers: [Server]) { self.servers = Array(servers.prefix(Self.maximumServers)) }

  /// - Returns: the data of the records; nil: there is no such name.
  /// - Throws: `.time`; `.connection`; `.response` where no resolver can say.
  func ask(
    _ question: DNSQuestion, until deadline: FetchDeadline
  ) throws(FetchFailure) -> [[UInt8]]? {
    let servers = servers.isEmpty ? Self.system() : servers
    var last = FetchFailure(.time, "no resolver answers in time")
    for _ in 0..<Self.rounds {
      for server in servers where deadline.milliseconds > 0 {
        do throws(FetchFailure) {
          switch try exchange(question, server, deadline) {
          case .records(let records): return records
          case .noName: return nil
          case .failed(let code):
            last = FetchFailure(.response, "the resolver answers with the error \(code)")
          case .truncated:
            last = FetchFailure(.response, "the resolver's answer has no end")
          }
        } catch {
          last = error
        }
      }
    }
    throw last
  }

  private func exchange(
    _ question: DNSQuestion, _ server: Server, _ deadline: FetchDeadline
  ) throws(FetchFailure) -> DNSAnswer {
    let deadline = deadline.sooner(in: Self.patience)
    // Whoever does not see the question has to guess this and the port that it comes from.
    let id = UInt16.random(in: 0...(.max))
    let message = question.message(id: id)
    let socket = try FetchSocket(
      server.address, port: server.port, isDatagram: true, connecting: deadline, until: deadline)
    try socket.write(message)
    while true {
      let answer = try DNSMessage.read(try socket.read(), to: question, id: id)
      guard let answer else { continue }
      return answer == .truncated
        ? try exchangeAll(question, message, id, server, deadline) : answer
    }
  }

  /// Over TCP, where there is room for all of it (RFC 1035 §4.2.2).
  private func exchangeAll(
    _ question: DNSQuestion, _ message: [UInt8], _ id: UInt16, _ server: Server,
    _ deadline: FetchDeadline
  ) throws(FetchFailure) -> DNSAnswer {
    let socket = try FetchSocket(
      server.address, port: server.port, connecting: deadline, until: deadline)
    try socket.write([UInt8(message.count >> 8), UInt8(message.count & 0xFF)] + message)
    var bytes: [UInt8] = []
    while true {
      if bytes.count >= 2 {
        let length = Int(bytes[0]) << 8 | Int(bytes[1])
        if bytes.count >= length + 2 {
          let answer = try DNSMessage.read(
            Array(bytes[2..<length + 2]), to: question, id: id)
          guard let answer else {
            throw FetchFailure(.response, "the resolver answers something else")
          }
          return answer
        }
      }
      let more = try socket.read()
      guard !more.isEmpty else {
        throw FetchFailure(.response, "the resolver's answer ends before its end")
      }
      bytes += more
    }
  }

  // MARK: The system's

  private static func system() -> [Server] {
    let found = servers(in: read(systemFile))
    // As the C library has it.
    return found.isEmpty
      ? [NetworkAddress([127, 0, 0, 1])].compactMap(\.self).map { Server($0) } : found
  }

  /// Those of the lines `nameserver {address}`.
  static func servers(in text: String) -> [Server] {
    var servers: [Server] = []
    for line in text.split(separator: "\n") {
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
      guard words.count >= 2, words[0] == "nameserver",
        let address = NetworkAddress(parsing: String(words[1]))
      else { continue }
      servers.append(Server(address))
    }
    return Array(servers.prefix(maximumServers))
  }

  /// Its begin: where it can't be read, nothing.
  private static func read(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    let bytes = [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, filled in
      filled = max(0, Glibc.read(descriptor, buffer.baseAddress, buffer.count))
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension NetworkAddress {
  /// Of IPv4 with four numbers, or of IPv6; no names, and none of the older notations.
  package init?(parsing text: String) {
    var bytes = [UInt8](repeating: 0, count: 16)
    if inet_pton(AF_INET, text, &bytes) == 1 {
      self.init(Array(bytes.prefix(4)))
    } else if inet_pton(AF_INET6, text, &bytes) == 1 {
      self.init(bytes)
    } else {
      return nil
    }
  }
}
