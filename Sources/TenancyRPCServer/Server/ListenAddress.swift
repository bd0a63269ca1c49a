/// Where a server listens.
public enum ListenAddress: Sendable, Hashable, CustomStringConvertible {
  /// A Unix socket. `mode` are its permission bits, `group` the id of the group that they are for, by
  /// default the process'.
  case unix(path: String, mode: UInt16, group: UInt32? = nil)
  /// TCP. Plain text only where `insecure`, for debugging on loopback; else by `Server.Configuration.tls`, or by
  /// `uncertifiedTLS` where clients need not have a certificate.
  case tcp(host: String, port: Int, insecure: Bool = false, certified: Bool = true)

  public var description: String {
    switch self {
    case .unix(let path, _, _): "unix:\(path)"
    case .tcp(let host, let port, _, _):
      host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
  }
}
