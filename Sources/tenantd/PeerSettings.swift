import Logging
import TenancyRPC

/// A server that this one calls: where it is, and by what TLS it is reached.
struct PeerSettings: Sendable {
  let target: RPCChannel.Target
  /// Nil: it is reached in plain text.
  private let files: TLSContext.Files?

  /// Mutual TLS to it.
  struct TLS: Sendable {
    let files: TLSContext.Files
    /// What its certificate is for; nil: its host.
    let serverName: String?

    init(_ settings: inout SettingsReader) throws {
      files = TLSContext.Files(
        certificateChain: try settings.string("certificate"),
        privateKey: try settings.string("private_key"),
        peerAuthorities: try settings.string("ca"))
      serverName = try settings.optionalString("server_name")
    }
  }

  /// - Parameters:
  ///   - text: where it is.
  ///   - name: of the setting that says so.
  ///   - local: why it must be on this host where there is no TLS.
  init(
    _ text: String, _ tls: TLS?, _ name: String, in settings: SettingsReader, local why: String
  ) throws {
    files = tls?.files
    let found = tls.map { Self.remote(text, $0.serverName) } ?? Self.local(text)
    guard let found else {
      throw settings.error(
        tls == nil
          ? "\(name): unix:/PATH, 127.0.0.1:PORT or localhost:PORT: \(why)"
          : "\(name): HOST:PORT, as it is reached by TLS")
    }
    target = found
  }

  /// - Throws: `ConfigurationError` when the files can't be used.
  func context(for section: String) throws -> TLSContext? {
    guard let files else { return nil }
    var context = TLSContext.Configuration(files)
    context.refuseExposedKeys()
    do {
      return try TLSContext(.client, context)
    } catch {
      throw ConfigurationError(description: "\(section): \(error)")
    }
  }

  private static func remote(_ text: String, _ serverName: String?) -> RPCChannel.Target? {
    guard !text.hasPrefix("unix:"), let colon = text.lastIndex(of: ":"), colon != text.startIndex,
      let port = UInt16(text[text.index(after: colon)...]), port > 0,
      let host = host(text[..<colon])
    else { return nil }
    return .tcp(host: host, port: Int(port), serverName: serverName)
  }

  /// A name, an IPv4 address, or an IPv6 address in brackets.
  private static func host(_ text: Substring) -> String? {
    let isBracketed = text.hasPrefix("[") && text.hasSuffix("]")
    let host = isBracketed ? text.dropFirst().dropLast() : text
    guard !host.isEmpty, host.contains(":") == isBracketed,
      !host.utf8.contains(where: { $0 <= 0x20 || $0 == UInt8(ascii: "/") })
    else { return nil }
    return String(host)
  }

  private static func local(_ text: String) -> RPCChannel.Target? {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst("unix:".count))
      if path.hasPrefix("/"), path.utf8.count <= Configuration.maximumSocketPath {
        return .unix(path: path)
      }
    }
    for host in ["127.0.0.1:", "localhost:"] where text.hasPrefix(host) {
      if let port = UInt16(text.dropFirst(host.count)), port > 0 {
        return .loopback(port: Int(port))
      }
    }
    return nil
  }
}

/// Certificate, key and CAs for TLS to a server that this one calls, read again when they change. A connection that is
/// open goes on.
struct PeerFiles: Sendable {
  private static let interval = Duration.seconds(2)

  let tls: TLSContext
  /// How it is counted and told.
  let part: ReloadCounters.Part
  let reloads: ReloadCounters
  let logger: Logger

  func watch() async { await tls.watch(every: Self.interval, report: report) }

  func reload() {
    do throws(TLSError) {
      try tls.reload()
      report(nil)
    } catch {
      report(error)
    }
  }

  private func report(_ error: TLSError?) {
    reloads.ended(part, succeeded: error == nil)
    if let error {
      logger.error("the \(part)'s TLS files not reloaded", metadata: ["error": "\(error)"])
    } else {
      logger.notice("the \(part)'s TLS files reloaded")
    }
  }
}

extension TLSContext.Configuration {
  /// Has files refused, whenever they are read, whose key others can read.
  mutating func refuseExposedKeys() {
    let files = self
    fileRule = {
      do {
        try OwnFiles.check(files)
        return nil
      } catch {
        return "\(error)"
      }
    }
  }
}
