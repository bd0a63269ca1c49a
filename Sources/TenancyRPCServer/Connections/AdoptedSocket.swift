internal import NIOCore
internal import NIOPosix
internal import TenancyRPCCore

#if canImport(Glibc)
  import Glibc
#endif

/// A socket that listens already, as a service manager passes it on; see `InheritedSocket`.
///
/// From its start on it is the server's, which closes it when it stops, also when the start fails. The file of a Unix
/// socket stays: it belongs to whoever has bound it, and connects to it wait until the socket is served again.
public struct AdoptedSocket: Sendable {
  /// What it is served as: a Unix socket, whose mode and group are not touched, or TCP, whose port is that of the
  /// socket.
  public let address: ListenAddress
  /// A socket that listens, of this process.
  public let descriptor: Int32

  /// Checks nothing: what is no such socket shows at the server's start.
  public init(_ address: ListenAddress, descriptor: Int32) {
    self.address = address
    self.descriptor = descriptor
  }

  func close() {
    #if canImport(Glibc)
      _ = Glibc.close(descriptor)  // It is gone in any case.
    #endif
  }
}

/// What a descriptor is.
enum SocketKind: Equatable {
  case unix
  case tcp(port: Int, isLoopback: Bool)

  /// - Returns: nil for what is no socket of a stream that listens.
  init?(_ descriptor: Int32) {
    guard Self.option(SO_TYPE, descriptor) == Int32(bitPattern: SOCK_STREAM.rawValue),
      Self.option(SO_ACCEPTCONN, descriptor) == 1
    else { return nil }
    switch Self.option(SO_DOMAIN, descriptor) {
    case AF_UNIX: self = .unix
    case AF_INET:
      guard let address: sockaddr_in = Self.name(descriptor, sockaddr_in()) else { return nil }
      let host = UInt32(bigEndian: address.sin_addr.s_addr)
      self = .tcp(port: Int(UInt16(bigEndian: address.sin_port)), isLoopback: host >> 24 == 127)
    case AF_INET6:
      guard let address: sockaddr_in6 = Self.name(descriptor, sockaddr_in6()) else { return nil }
      let host = withUnsafeBytes(of: address.sin6_addr) { Array($0) }
      self = .tcp(
        port: Int(UInt16(bigEndian: address.sin6_port)),
        isLoopback: host == [UInt8](repeating: 0, count: 15) + [1])
    default: return nil
    }
  }

  private static func option(_ name: Int32, _ descriptor: Int32) -> Int32? {
    var (value, size): (Int32, socklen_t) = (0, 4)
    return getsockopt(descriptor, SOL_SOCKET, name, &value, &size) == 0 ? value : nil
  }

  private static func name<Address>(_ descriptor: Int32, _ empty: Address) -> Address? {
    var (address, size) = (empty, socklen_t(MemoryLayout<Address>.size))
    let isThere = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        getsockname(descriptor, $0, &size) == 0
      }
    }
    return isThere ? address : nil
  }
}

extension Server {
  /// Serves a socket that listens already. Returns the address in use.
  func adopt(_ socket: AdoptedSocket) async throws(ServerStartError) -> ListenAddress {
    let address: ListenAddress
    do throws(ServerStartError) {
      address = try check(socket)
    } catch {
      socket.close()
      throw error
    }
    do {
      // From here on NIO closes it.
      let channel = try await bootstrap(for: address).withBoundSocket(socket.descriptor).get()
      try await add(Listening(address: address, channel: channel))
      return address
    } catch let error as ServerStartError {
      throw error
    } catch {
      throw ServerStartError(
        description: "cannot listen on \(address): \(SocketFailure.reason(error))")
    }
  }

  private func check(_ socket: AdoptedSocket) throws(ServerStartError) -> ListenAddress {
    try checkTLS(for: socket.address)
    switch (socket.address, SocketKind(socket.descriptor)) {
    case (.unix, .unix): return socket.address
    case (.tcp(_, _, insecure: true, _), .tcp(_, isLoopback: false)):
      throw ServerStartError(
        description: "\(socket.address): the socket is not on loopback, and has no TLS")
    case (.tcp(let host, _, let insecure, let certified), .tcp(let port, _)):
      return .tcp(host: host, port: port, insecure: insecure, certified: certified)
    case (.unix, _):
      throw ServerStartError(
        description:
          "\(socket.address): descriptor \(socket.descriptor) is no Unix socket that listens")
    case (.tcp, _):
      throw ServerStartError(
        description:
          "\(socket.address): descriptor \(socket.descriptor) is no TCP socket that listens")
    }
  }
}
