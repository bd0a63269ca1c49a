import Glibc
import Synchronization
import TenancyRPC

/// Tells the service manager how things are, where it wants to know: the protocol of sd_notify(3), which others
/// than systemd speak too. Thread-safe.
///
/// A unit has `Type=notify` and, with `WatchdogSec`, is restarted when the event loops do not turn any more.
final class ServiceManager: Sendable {
  /// Of NOTIFY_SOCKET; nil: nobody listens.
  private let socket: NotifySocket?
  /// Between two signs of life: half of what the manager waits for; nil: it does not.
  let watchdogInterval: Duration?
  private let isStopping = Mutex(false)

  /// - Parameters:
  ///   - environment: finds a variable.
  ///   - process: the id of this process: signs of life may be wanted of another.
  init(
    process: Int32 = getpid(),
    environment: (String) -> String? = { unsafe getenv($0).map { unsafe String(cString: $0) } }
  ) {
    socket = environment("NOTIFY_SOCKET").flatMap(NotifySocket.init)
    let isMeant = environment("WATCHDOG_PID").map { $0 == "\(process)" } ?? true
    let microseconds = environment("WATCHDOG_USEC").flatMap(Int64.init) ?? 0
    watchdogInterval =
      socket != nil && isMeant && microseconds > 0
      ? .microseconds(max(1, microseconds / 2)) : nil
  }

  /// Calls are taken. Without effect once it stops: a reload may end in that moment.
  func ready(_ status: String) {
    tellUnlessStopping("READY=1\nSTATUS=\(status)")
  }

  /// Files are being read anew; `ready` follows.
  func reloading() {
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    let microseconds = Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
    tellUnlessStopping("RELOADING=1\nMONOTONIC_USEC=\(microseconds)")
  }

  /// No more calls are taken.
  func stopping() {
    isStopping.withLock { isStopping in
      isStopping = true
      tell("STOPPING=1\nSTATUS=stopping")
    }
  }

  /// Gives a sign of life again and again, each when `isAlive` has returned; until cancelled.
  func keepAlive(_ isAlive: () async -> Void) async {
    guard let watchdogInterval else { return }
    while !Task.isCancelled {
      await isAlive()
      tell("WATCHDOG=1")
      do { try await Task.sleep(for: watchdogInterval) } catch { return }
    }
  }

  private func tellUnlessStopping(_ text: String) {
    isStopping.withLock { isStopping in
      if !isStopping { tell(text) }
    }
  }

  private func tell(_ text: String) { socket?.send(text) }
}

/// A datagram socket's address: a path, or a name of the abstract namespace, which begins with `@`.
private struct NotifySocket: Sendable {
  private let name: [UInt8]

  /// - Returns: nil for what is none.
  init?(_ text: String) {
    var name = Array(text.utf8)
    guard name.first == UInt8(ascii: "/") || name.first == UInt8(ascii: "@"), name.count > 1,
      name.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path)
    else { return nil }
    if name[0] == UInt8(ascii: "@") { name[0] = 0 }
    self.name = name
  }

  /// Nobody is helped by a service that fails because its manager does not listen.
  func send(_ text: String) {
    let type = SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue
    let descriptor = Glibc.socket(AF_UNIX, Int32(type), 0)  // In range: constants of C.
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: name) }
    // The abstract namespace counts all bytes, so no more than there are.
    let length = MemoryLayout.offset(of: \sockaddr_un.sun_path) ?? 2
    let size = socklen_t(length + name.count)
    let bytes = Array(text.utf8)
    _ = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, size)
      }
    }
  }
}
