import Glibc

/// A TCP connection, or a place to exchange datagrams with one other, that waits for nothing longer than a deadline says. Owns its descriptor. Confined to one thread,
/// which it blocks.
final class FetchSocket {
  /// Taken at once.
  private static let readBytes = 16_384

  private let descriptor: Int32
  private let deadline: FetchDeadline

  /// Connects to this address and no other.
  /// - Parameters:
  ///   - isDatagram: over UDP: each write is one, and so is what each read gives.
  ///   - connecting: when it has to be connected.
  ///   - deadline: when all has to be over.
  /// - Throws: `.connection`; `.time`.
  init(
    _ address: NetworkAddress, port: Int, isDatagram: Bool = false, connecting: FetchDeadline,
    until deadline: FetchDeadline
  ) throws(FetchFailure) {
    let family = address.bytes.count == 4 ? AF_INET : AF_INET6
    let kind =
      Int32((isDatagram ? SOCK_DGRAM : SOCK_STREAM).rawValue) | Int32(SOCK_CLOEXEC.rawValue)
      | Int32(SOCK_NONBLOCK.rawValue)
    descriptor = socket(family, kind, 0)
    self.deadline = deadline
    guard descriptor >= 0 else { throw Self.failed("no socket", errno) }
    // From here on the descriptor is closed with the object, also where this throws.
    guard Self.connect(descriptor, address, port) != 0 else { return }
    guard errno == EINPROGRESS else { throw Self.failed("cannot connect to \(address)", errno) }
    try wait(for: POLLOUT, until: connecting)
    var code: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) == 0, code == 0 else {
      throw Self.failed("cannot connect to \(address)", code)
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  private static func connect(_ descriptor: Int32, _ address: NetworkAddress, _ port: Int) -> Int32
  {
    if address.bytes.count == 4 {
      var place = sockaddr_in()
      place.sin_family = sa_family_t(AF_INET)
      place.sin_port = in_port_t(truncatingIfNeeded: port).bigEndian
      withUnsafeMutableBytes(of: &place.sin_addr) { $0.copyBytes(from: address.bytes) }
      return connect(descriptor, &place)
    }
    var place = sockaddr_in6()
    place.sin6_family = sa_family_t(AF_INET6)
    place.sin6_port = in_port_t(truncatingIfNeeded: port).bigEndian
    withUnsafeMutableBytes(of: &place.sin6_addr) { $0.copyBytes(from: address.bytes) }
    return connect(descriptor, &place)
  }

  private static func connect<Place>(_ descriptor: Int32, _ place: inout Place) -> Int32 {
    withUnsafePointer(to: &place) { place in
      place.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Place>.size))
      }
    }
  }

  private func wait(for events: Int32) throws(FetchFailure) {
    try wait(for: events, until: deadline)
  }

  private func wait(for events: Int32, until deadline: FetchDeadline) throws(FetchFailure) {
    while true {
      let left = deadline.milliseconds
      guard left > 0 else { throw Self.late }
      var one = pollfd(fd: descriptor, events: Int16(events), revents: 0)
      let count = poll(&one, 1, Int32(clamping: left))
      if count > 0 { return }
      guard count == 0 || errno == EINTR else { throw Self.failed("cannot wait", errno) }
    }
  }

  /// Returns when all of it is with the system.
  func write(_ bytes: [UInt8]) throws(FetchFailure) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count > 0 {
        sent += count
      } else if errno == EAGAIN {
        try wait(for: POLLOUT)
      } else if errno != EINTR {
        throw Self.failed("cannot send", errno)
      }
    }
  }

  /// Waits for some bytes.
  /// - Returns: none where the other side sends no more.
  func read() throws(FetchFailure) -> [UInt8] {
    while true {
      // Also where there is always something to read.
      guard deadline.milliseconds > 0 else { throw Self.late }
      var count = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: Self.readBytes) { buffer, filled in
        count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        filled = max(0, count)
      }
      if count >= 0 { return bytes }
      guard errno == EAGAIN || errno == EINTR else { throw Self.failed("cannot receive", errno) }
      try wait(for: POLLIN)
    }
  }

  private static let late = FetchFailure(.time, "the server takes too long")

  private static func failed(_ what: String, _ code: Int32) -> FetchFailure {
    FetchFailure(.connection, "\(what): \(String(cString: strerror(code)))")
  }
}
