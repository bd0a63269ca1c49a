public import Dispatch
internal import Glibc
import Synchronization

/// Standard error for a log whose writers must not wait: lines are kept until whoever reads has taken them, and where
/// there is no room for more they are left out, and counted. Thread-safe; copies share what waits.
public struct UnhurriedStream: TextOutputStream, Sendable {
  /// Of text that waits.
  static let maximumWaitingBytes = 256 * 1024

  private let lines: WaitingLines

  public init() { self.init(STDERR_FILENO) }

  /// - Parameter descriptor: stays the caller's.
  init(_ descriptor: Int32) { lines = WaitingLines(descriptor) }

  /// - Parameter text: whole lines.
  public mutating func write(_ text: String) { lines.add(text) }

  /// Waits until all is written that was said before, but no longer than `limit`.
  public func finish(within limit: DispatchTimeInterval) { lines.finish(within: limit) }
}

private final class WaitingLines: Sendable {
  private struct State {
    var bytes: [UInt8] = []
    var left: UInt64 = 0
    /// The queue will look at what waits.
    var isScheduled = false
  }

  private let state = Mutex(State())
  private let queue = DispatchQueue(label: "tenancy.server-log")
  private let descriptor: Int32

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  func add(_ text: String) {
    let isFirst = state.withLock { state in
      if state.bytes.count + text.utf8.count > UnhurriedStream.maximumWaitingBytes {
        state.left &+= 1
      } else {
        state.bytes += text.utf8
      }
      defer { state.isScheduled = true }
      return !state.isScheduled
    }
    if isFirst { queue.async { [self] in drain() } }
  }

  func finish(within limit: DispatchTimeInterval) {
    let isDone = DispatchSemaphore(value: 0)
    queue.async { [self] in
      drain()
      isDone.signal()
    }
    _ = isDone.wait(timeout: .now() + limit)
  }

  private func drain() {
    let (bytes, left) = state.withLock { state in
      defer { state = State() }
      return (state.bytes, state.left)
    }
    var start = 0
    while start < bytes.count {
      let end = LogFile.end(ofChunkAt: start, in: bytes)
      write(bytes[start..<end])
      start = end
    }
    if left > 0 {
      write(
        Array("\(left) lines of this log were left out: they were not read in time\n".utf8)[...])
    }
  }

  /// Waits for who reads. What can't be written nobody can be told of.
  /// - Parameter chunk: whole lines, as many as a pipe takes at once: others write to it too.
  private func write(_ chunk: ArraySlice<UInt8>) {
    var rest = chunk
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written > 0 {
        rest = rest.dropFirst(written)
      } else if errno == EAGAIN {
        // Whoever has opened it wants it so, for all who have it.
        var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        poll(&ready, 1, -1)
      } else if errno != EINTR {
        return
      }
    }
  }
}
