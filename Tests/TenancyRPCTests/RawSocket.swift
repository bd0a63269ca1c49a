import Dispatch
import Foundation

/// A Unix socket for bytes that no client of ours would send.
struct RawSocket: Sendable {
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

  /// Sends all of `bytes`, or says no when the peer has not read for 300 ms.
  func trySend(_ bytes: [UInt8]) async throws -> Bool {
    try await waiting {
      var rest = bytes[...]
      while !rest.isEmpty {
        guard try wait(POLLOUT, milliseconds: 300) else { return false }
        let count = rest.withUnsafeBytes {
          Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
        }
        if count < 0, errno == EAGAIN { continue }
        guard count > 0 else { throw Failure() }
        rest = rest.dropFirst(count)
      }
      return true
    }
  }

  /// Waits for `count` bytes.
  func receive(exactly count: Int) async throws -> [UInt8] {
    try await waiting {
      var bytes = [UInt8](repeating: 0, count: count)
      var have = 0
      while have < count {
        guard try wait(POLLIN, milliseconds: 30_000) else { throw Failure() }
        let got = bytes.withUnsafeMutableBytes { buffer in
          buffer.baseAddress.map { recv(descriptor, $0 + have, count - have, 0) } ?? 0
        }
        guard got > 0 else { throw Failure() }
        have += got
      }
      return bytes
    }
  }

  /// Waits until the peer has closed its side; false if it sends something instead.
  func isAtEnd() async throws -> Bool {
    try await waiting {
      guard try wait(POLLIN, milliseconds: 30_000) else { throw Failure() }
      var byte: UInt8 = 0
      return recv(descriptor, &byte, 1, 0) == 0
    }
  }

  /// On a thread that may block: those of tasks are few, and handlers need them.
  private func waiting<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
    try await withCheckedThrowingContinuation { continuation in
      DispatchQueue.global().async { continuation.resume(with: Result { try body() }) }
    }
  }

  private func wait(_ events: Int32, milliseconds: Int32) throws -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    let result = poll(&entry, 1, milliseconds)
    guard result >= 0 else { throw Failure() }
    return result == 1
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
