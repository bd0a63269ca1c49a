internal import NIOCore
internal import NIOPosix
import Synchronization

#if canImport(Glibc)
  internal import Glibc
#endif

/// Finds the IP addresses of a host.
public protocol RPCNameResolver: Sendable {
  /// All addresses of `host`, in text, in the order in which they should be tried.
  ///
  /// - Throws: an error whose description says in words what is wrong.
  func addresses(of host: String) async throws -> [String]
}

/// Asks the system (`getaddrinfo`): A and AAAA, `/etc/hosts`, and whatever else it is set up for.
public struct SystemNameResolver: RPCNameResolver {
  /// Remembers nothing between look-ups.
  public init() {}

  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  public func addresses(of host: String) async throws -> [String] {
    try await NIOThreadPool.singleton.runIfActive { try Self.lookUp(host) }
  }

  private static func lookUp(_ host: String) throws -> [String] {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, nil, &hints, &list)
    guard code == 0 else {
      throw Failure(description: "\(host): \(String(cString: gai_strerror(code)))")
    }
    defer { freeaddrinfo(list) }
    var found: [String] = []
    var entry = list
    while let current = entry {
      if let text = text(current.pointee), !found.contains(text) { found.append(text) }
      entry = current.pointee.ai_next
    }
    return found
  }

  private static func text(_ entry: addrinfo) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let code = getnameinfo(
      entry.ai_addr, entry.ai_addrlen, &buffer, socklen_t(buffer.count), nil, 0, NI_NUMERICHOST)
    guard code == 0 else { return nil }
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
