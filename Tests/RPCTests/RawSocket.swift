import Foundation

/// A Unix socket for bytes that no client of ours would send.
struct RawSocket {
  struct Failure: Error {}
  private let descriptor: Int32

  init(_ path: String) throws {
    descriptor = try Self.open(path) { connect($0, $1, $2) }
  }

  init(listeningOn path: String) throws {
    descriptor = try Self.open(path) { bind($0, $1, $2) }
    guard listen(descriptor, 8) == 0 else { throw Failure() }
  }

  func send(_ bytes: [UInt8]) throws {
    guard write(descriptor, bytes, bytes.count) == bytes.count else { throw Failure() }
  }

  func close() { Glibc.close(descriptor) }

  private static func open(
    _ path: String, _ use: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard descriptor >= 0, path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
      throw Failure()
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        use(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard result == 0 else { throw Failure() }
    return descriptor
  }
}
