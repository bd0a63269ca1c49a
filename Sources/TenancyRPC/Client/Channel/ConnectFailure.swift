internal import Glibc
internal import NIOCore
internal import NIOPosix

/// Why a socket did not connect, in words for people: NIO's speak of its functions and types.
enum ConnectFailure {
  static func reason(_ error: any Error) -> String {
    switch error {
    case let error as IOError: String(cString: strerror(error.errnoCode))
    default: "\(error)"
    }
  }
}
