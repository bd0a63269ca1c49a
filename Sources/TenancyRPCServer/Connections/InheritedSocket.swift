#if canImport(Glibc)
  import Glibc
#endif

/// A descriptor that a service manager has opened for this process: socket activation, by the protocol of
/// sd_listen_fds(3).
public struct InheritedSocket: Sendable, Hashable {
  /// Of `FileDescriptorName=`; what has none is called `unknown`.
  public let name: String
  /// Of this process.
  public let descriptor: Int32

  /// The descriptors begin behind standard error.
  static let first = 3

  /// More than any manager passes on.
  static let maximumCount = 4096

  /// For tests: `InheritedSocket` else comes from the service manager.
  public init(name: String, descriptor: Int32) {
    self.name = name
    self.descriptor = descriptor
  }

  /// Whether it can be served as what an address says, of whichever kind: a socket that listens.
  public func fits(_ address: ListenAddress) -> Bool {
    switch (address, SocketKind(descriptor)) {
    case (.unix, .unix), (.tcp, .tcp): true
    case (_, _): false
    }
  }

  /// Those that are meant for this process, which from then on owns them: programs that it starts don't get them, nor
  /// do they find the variables. A second call finds none. Not thread-safe, as the environment: for executables, before
  /// they start threads that read it.
  /// - Throws: `ServerStartError`: what is passed on can't be understood, or is not there.
  public static func take() throws(ServerStartError) -> [InheritedSocket] {
    defer { for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsetenv(name) } }
    let sockets = try parse(process: getpid()) { getenv($0).map { String(cString: $0) } }
    for socket in sockets {
      let flags = fcntl(socket.descriptor, F_GETFD)
      guard flags >= 0, fcntl(socket.descriptor, F_SETFD, flags | FD_CLOEXEC) == 0 else {
        throw ServerStartError(
          description: "LISTEN_FDS: descriptor \(socket.descriptor) is not open")
      }
    }
    return sockets
  }

  /// - Parameter environment: finds a variable.
  static func parse(
    process: Int32, environment: (String) -> String?
  ) throws(ServerStartError) -> [InheritedSocket] {
    // They may be meant for the process that has started this one.
    guard let owner = environment("LISTEN_PID") else { return [] }
    guard let owner = Int(owner), owner > 0 else {
      throw ServerStartError(description: "LISTEN_PID: \"\(owner)\" is no process")
    }
    guard owner == Int(process), let text = environment("LISTEN_FDS") else { return [] }
    guard let count = Int(text), (0...maximumCount).contains(count) else {
      throw ServerStartError(
        description: "LISTEN_FDS: a number from 0 to \(maximumCount) is expected, not \"\(text)\"")
    }
    let descriptors = (0..<count).map { Int32(clamping: first + $0) }
    guard let text = environment("LISTEN_FDNAMES") else {
      return descriptors.map { InheritedSocket(name: "unknown", descriptor: $0) }
    }
    let names = text.split(separator: ":", omittingEmptySubsequences: false)
    guard names.count == descriptors.count || descriptors.isEmpty else {
      throw ServerStartError(
        description: "LISTEN_FDNAMES: \(names.count) names for \(count) descriptors")
    }
    return zip(names, descriptors).map { InheritedSocket(name: String($0), descriptor: $1) }
  }
}
