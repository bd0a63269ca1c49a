internal import NIOCore

#if canImport(Glibc)
  import Glibc
#endif

/// The process that has opened a connection, held so that no other can be taken for it: its number may be given to
/// another process once it has ended, and this says that it has. Thread-safe.
public final class PeerProcess: Sendable {
  /// What it had when it opened the connection.
  public let processID: Int32
  /// Whether the kernel has told which process it is (SO_PEERPIDFD, Linux 6.5). Elsewhere only its number is known.
  public var isProven: Bool { descriptor != nil }
  /// A descriptor of the process, closed with this.
  private let descriptor: Int32?

  /// - Parameter descriptor: taken over; nil: the kernel gives none.
  init(processID: Int32, descriptor: Int32?) {
    self.processID = processID
    self.descriptor = descriptor
  }

  deinit { if let descriptor { close(descriptor) } }

  /// Whether the process has not ended. Without proof it is not known, and false is answered.
  public func isRunning() -> Bool {
    guard let descriptor else { return false }
    // In range: a constant of C.
    var question = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    // Readable once it has ended (pidfd_open(2)).
    return poll(&question, 1, 0) == 0
  }
}

extension PeerProcess {
  /// SO_PEERPIDFD of the kernel (asm-generic/socket.h), which Glibc does not declare yet.
  private static let option: CInt = 77

  /// The process at the other end.
  /// - Parameter number: its number; nil: it is not asked for.
  static func holding(
    _ number: Int32?, of socket: any SocketOptionProvider
  ) -> EventLoopFuture<PeerProcess?> {
    guard let number else { return socket.eventLoop.makeSucceededFuture(nil) }
    let descriptor: EventLoopFuture<CInt> = socket.unsafeGetSocketOption(
      level: .init(rawValue: SOL_SOCKET), name: .init(rawValue: option))
    return descriptor.map { PeerProcess(processID: number, descriptor: $0) }
      .flatMapErrorThrowing { error in
        // An older kernel. Any other failure means that there is no telling any more, also not by the number.
        guard (error as? IOError)?.errnoCode == ENOPROTOOPT else { return nil }
        return PeerProcess(processID: number, descriptor: nil)
      }
  }
}
