import Glibc
import TenancyRPC

/// One of the configuration's `listeners`.
struct ListenerSettings: Sendable {
  var address: ListenAddress
  /// The name of the socket that the service manager has bound for it; nil: it is bound here.
  var activation: String?

  init(_ address: ListenAddress, activation: String? = nil) {
    self.address = address
    self.activation = activation
  }
}

extension ListenerSettings {
  init(_ settings: inout SettingsReader) throws {
    activation = try settings.optionalString("activation")
    guard activation?.contains(":") != true else {
      throw settings.error("activation: a name, in which there is no colon")
    }
    address = try Self.address(&settings, isBoundHere: activation == nil)
  }

  private static func address(
    _ settings: inout SettingsReader, isBoundHere: Bool
  ) throws -> ListenAddress {
    if let path = try settings.optionalString("unix") {
      guard try settings.optionalString("tcp") == nil else {
        throw settings.error("unix and tcp: give one of them, and another listener for the other")
      }
      guard path.utf8.count <= Configuration.maximumSocketPath else {
        throw settings.error(
          "unix: longer than \(Configuration.maximumSocketPath) bytes, the system's limit")
      }
      let (mode, group) = (try settings.optionalString("mode"), try group(&settings))
      guard isBoundHere || mode == nil && group == nil else {
        throw settings.error("mode and group: with activation, the socket unit says them")
      }
      guard let bits = UInt16(mode ?? "0660", radix: 8), bits <= 0o777 else {
        throw settings.error("mode: octal permission bits such as 0660")
      }
      return .unix(path: path, mode: bits, group: group)
    }
    let address = try settings.string("tcp")
    guard let colon = address.lastIndex(of: ":"),
      let port = UInt16(address[address.index(after: colon)...]), colon != address.startIndex
    else { throw settings.error("tcp: HOST:PORT") }
    let host = address[..<colon].trimmingBrackets
    guard !host.contains("["), !host.contains("]") else {
      throw settings.error("tcp: HOST:PORT, or [IPv6]:PORT")
    }
    let insecure = try settings.boolean("insecure") ?? false
    guard !insecure || ["127.0.0.1", "::1", "localhost"].contains(host) else {
      throw settings.error("insecure: only on loopback")
    }
    let certificates = try settings.optionalString("client_certificates") ?? "required"
    guard ["required", "optional"].contains(certificates) else {
      throw settings.error("client_certificates: \"required\" or \"optional\"")
    }
    let certified = certificates == "required"
    guard certified || !insecure else {
      throw settings.error("client_certificates: an insecure listener has none")
    }
    return .tcp(host: host, port: Int(port), insecure: insecure, certified: certified)
  }

  /// Who may open a socket besides its owner, by name or number.
  private static func group(_ settings: inout SettingsReader) throws -> UInt32? {
    guard let name = try settings.optionalString("group") else { return nil }
    if let number = UInt32(name), number != .max { return number }
    guard let entry = unsafe getgrnam(name) else {
      throw settings.error("group: there is no group \(name)")
    }
    return unsafe entry.pointee.gr_gid
  }
}

/// Listeners, with the sockets that were passed on to this process.
struct Listeners: Sendable {
  var bound: [ListenAddress] = []
  var adopted: [AdoptedSocket] = []

  /// - Throws: `ConfigurationError` unless each socket has its listener, and each listener that waits for one its
  ///   socket.
  init(
    _ settings: [ListenerSettings], sockets: [InheritedSocket],
    fits: (InheritedSocket, ListenAddress) -> Bool = { $0.fits($1) }
  ) throws {
    var left = sockets
    for (index, listener) in settings.enumerated() {
      guard let name = listener.activation else {
        bound.append(listener.address)
        continue
      }
      func error(_ what: String) -> ConfigurationError {
        ConfigurationError(description: "listeners[\(index)]: activation: \(what)")
      }
      let named = left.filter { $0.name == name }
      guard !named.isEmpty else {
        throw error(
          "no socket named \(name) was passed to this process"
            + (sockets.isEmpty ? ": it is to be started by its socket unit" : ""))
      }
      // A socket unit gives all its sockets one name.
      let fitting = named.filter { fits($0, listener.address) }
      guard let socket = fitting.first else {
        throw error("what is named \(name) is no \(listener.address.family) socket that listens")
      }
      guard fitting.count == 1 else {
        throw error("\(fitting.count) \(listener.address.family) sockets are named \(name)")
      }
      left.removeAll { $0 == socket }
      adopted.append(AdoptedSocket(listener.address, descriptor: socket.descriptor))
    }
    if let socket = left.first {
      throw ConfigurationError(
        description:
          "a socket named \(socket.name) was passed to this process, and no listener has "
          + "activation: \"\(socket.name)\"")
    }
  }
}

extension ListenAddress {
  fileprivate var family: String {
    switch self {
    case .unix: "Unix"
    case .tcp: "TCP"
    }
  }
}
