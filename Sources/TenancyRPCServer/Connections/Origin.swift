internal import NIOCore

#if canImport(Glibc)
  import Glibc
#endif

/// Where a connection comes from: all that is known of it before it has proven anything.
enum Origin: Hashable, Sendable {
  /// A user of a Unix socket, as the kernel says.
  case user(UInt32)
  case ipv4(UInt32)
  /// The first half of an IPv6 address: a host has as many second halves as it likes (RFC 4291 §2.5.4).
  case ipv6(UInt64)
  case unknown

  init(_ address: SocketAddress?) {
    switch address {
    case .v4(let address): self = .ipv4(address.address.sin_addr.s_addr)
    case .v6(let address):
      self = withUnsafeBytes(of: address.address.sin6_addr) { Self.ipv6(of: $0) }
    case .unixDomainSocket, nil: self = .unknown
    }
  }

  private static func ipv6(of bytes: UnsafeRawBufferPointer) -> Origin {
    let network = bytes.loadUnaligned(as: UInt64.self)
    let isMapped = network == 0 && bytes[8..<12].elementsEqual([0, 0, 0xFF, 0xFF])  // §2.5.5.2
    return isMapped
      ? .ipv4(bytes.loadUnaligned(fromByteOffset: 12, as: UInt32.self)) : .ipv6(network)
  }
}
