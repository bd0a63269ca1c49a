internal import NIOCore

/// One address of a server, ready to connect to.
struct ServerAddress: Hashable, CustomStringConvertible {
  /// A Unix socket's path, or an IP address in text.
  enum Place: Hashable {
    case unix(path: String)
    case ip(String, port: Int)
    case loopback(port: Int)
  }

  let place: Place
  /// What calls name as their `:authority`.
  let authority: String
  /// What the server's certificate must be for.
  let serverName: String

  var description: String {
    switch place {
    case .unix(let path): "unix:\(path)"
    case .ip(let text, let port): text.contains(":") ? "[\(text)]:\(port)" : "\(text):\(port)"
    case .loopback(let port): "127.0.0.1:\(port)"
    }
  }

  var usesTLS: Bool {
    switch place {
    case .unix, .loopback: false
    case .ip: true
    }
  }

  func socketAddress() throws -> SocketAddress {
    switch place {
    case .unix(let path): try SocketAddress(unixDomainSocketPath: path)
    case .ip(let text, let port): try SocketAddress(ipAddress: text, port: port)
    case .loopback(let port): try SocketAddress(ipAddress: "127.0.0.1", port: port)
    }
  }
}

extension RPCChannel.Target {
  /// The host to look up; nil where there is nothing to.
  var hostToResolve: String? {
    switch self {
    case .unix, .loopback: nil
    case .tcp(let host, _, _): host
    }
  }

  /// The target at one of the IP addresses that its host has.
  func address(_ ip: String) -> ServerAddress {
    switch self {
    case .unix(let path):
      return ServerAddress(place: .unix(path: path), authority: "localhost", serverName: "")
    case .loopback(let port):
      return ServerAddress(
        place: .loopback(port: port), authority: "localhost:\(port)", serverName: "")
    case .tcp(let host, let port, let serverName):
      let name = serverName ?? host
      let authority = name.contains(":") ? "[\(name)]:\(port)" : "\(name):\(port)"
      return ServerAddress(place: .ip(ip, port: port), authority: authority, serverName: name)
    }
  }
}
