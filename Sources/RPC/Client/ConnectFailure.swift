internal import Glibc
internal import NIOCore
internal import NIOPosix

/// Why a socket did not connect, in words for people: NIO's speak of its functions and types.
enum ConnectFailure {
  static func reason(_ error: any Error) -> String {
    switch error {
    case let error as IOError:
      return String(cString: strerror(error.errnoCode))
    case let error as SocketAddressError.UnknownHost:
      return error.errorDescription
    case let error as NIOConnectionError:
      var reasons: [String] = []
      for failure in error.connectionErrors.map({ reason($0.error) })
      where !reasons.contains(failure) {
        reasons.append(failure)
      }
      // A host may have addresses of one family only: what the lookups say counts when all fail.
      if reasons.isEmpty, let lookup = error.dnsAError ?? error.dnsAAAAError {
        reasons.append(reason(lookup))
      }
      return reasons.isEmpty ? "\(error)" : reasons.joined(separator: ", ")
    default:
      return "\(error)"
    }
  }
}
