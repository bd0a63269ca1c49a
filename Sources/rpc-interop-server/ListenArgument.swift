import ArgumentParser
import TenancyRPC

/// `unix:PATH` or `tcp:HOST:PORT`.
struct ListenArgument: ExpressibleByArgument, Hashable {
  enum Place: Hashable {
    case unix(path: String)
    case tcp(host: String, port: UInt16)
  }

  let place: Place

  init?(argument: String) {
    if let path = argument.suffix(after: "unix:"), !path.isEmpty {
      place = .unix(path: String(path))
    } else if let address = argument.suffix(after: "tcp:"),
      let colon = address.lastIndex(of: ":"),
      let port = UInt16(address[address.index(after: colon)...])
    {
      let host = address[..<colon]
      let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
      guard !host.isEmpty else { return nil }
      place = .tcp(host: String(isBracketed ? host.dropFirst().dropLast() : host), port: port)
    } else {
      return nil
    }
  }

  /// - Parameter isSecure: whether TCP takes TLS, and nothing else then.
  func address(isSecure: Bool) -> ListenAddress {
    switch place {
    case .unix(let path): .unix(path: path, mode: 0o600)
    case .tcp(let host, let port): .tcp(host: host, port: Int(port), insecure: !isSecure)
    }
  }
}

extension String {
  fileprivate func suffix(after prefix: String) -> Substring? {
    hasPrefix(prefix) ? dropFirst(prefix.count) : nil
  }
}
