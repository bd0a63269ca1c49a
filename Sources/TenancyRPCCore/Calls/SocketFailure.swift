internal import Glibc
internal import NIOCore
internal import NIOPosix

/// Why a socket did not connect or listen, in words for people: NIO's speak of its functions and types.
public enum SocketFailure {
  /// One line, without a full stop; for other errors, their own description.
  public static func reason(_ error: any Error) -> String {
    switch error {
    case let error as IOError: String(cString: strerror(error.errnoCode))
    case let error as SocketAddressError.UnknownHost: error.errorDescription
    case SocketAddressError.unixDomainSocketPathTooLong: "the path is longer than 107 bytes"
    default: "\(error)"
    }
  }
}
