internal import Glibc

/// Where lines go: a file that is opened anew when it is rotated, or standard error. Confined to the writer.
struct LogFile: ~Copyable {
  /// The mode of a file that is made.
  private static let mode: mode_t = 0o640

  private var descriptor: Int32
  /// Nil: standard error, or what a test has opened.
  private let path: String?
  private let isOwned: Bool
  /// A line was written in part: the next begins on a new one.
  private var isTorn = false

  /// - Parameter path: nil for standard error.
  /// - Throws: `LogFileError`.
  init(_ path: String?) throws(LogFileError) {
    self.path = path
    isOwned = path != nil
    descriptor = if let path { try Self.open(path) } else { STDERR_FILENO }
  }

  /// - Parameter descriptor: closed with the log.
  init(owning descriptor: Int32) {
    path = nil
    isOwned = true
    self.descriptor = descriptor
  }

  deinit { if isOwned { close(descriptor) } }

  /// Whether a person reads it.
  static var standardErrorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  /// Opens the path anew. When that fails, the file that is open stays in use.
  mutating func reopen() throws(LogFileError) {
    guard let path else { return }
    let fresh = try Self.open(path)
    close(descriptor)
    descriptor = fresh
    isTorn = false
  }

  /// Neither waits for who reads a pipe, nor writes to what can't be a log.
  private static func open(_ path: String) throws(LogFileError) -> Int32 {
    let flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
    let descriptor = Glibc.open(path, flags, mode)
    guard descriptor >= 0 else { throw LogFileError(path, errno) }
    var info = stat()
    guard fstat(descriptor, &info) == 0 else {
      defer { close(descriptor) }
      throw LogFileError(path, errno)
    }
    guard [S_IFREG, S_IFCHR].contains(info.st_mode & S_IFMT) else {
      close(descriptor)
      throw LogFileError(description: "\(path) is no plain file")
    }
    // A disk that is slow is waited for, by the writer.
    guard fcntl(descriptor, F_SETFL, O_APPEND) == 0 else {
      defer { close(descriptor) }
      throw LogFileError(path, errno)
    }
    return descriptor
  }

  /// Writes whole lines.
  ///
  /// - Returns: how many of them were written: all, unless there is an error.
  mutating func write(_ lines: [UInt8]) -> (count: Int, error: LogFileError?) {
    var (start, count) = (0, 0)
    while start < lines.count {
      let end = path == nil ? Self.end(ofChunkAt: start, in: lines) : lines.count
      let (written, code) = write(lines, start..<end)
      count += lines[start..<start + written].reduce(0) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
      if code != 0 { return (count, LogFileError(path ?? "standard error", code)) }
      start = end
    }
    return (count, nil)
  }

  /// Others write to standard error too: what a pipe takes at once is not torn by them.
  static func end(ofChunkAt start: Int, in lines: [UInt8]) -> Int {
    let limit = min(lines.count, start + LogLine.maximumBytes)
    if limit == lines.count { return limit }
    return lines[start..<limit].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? limit
  }

  private mutating func write(
    _ lines: [UInt8], _ range: Range<Int>
  ) -> (count: Int, code: Int32) {
    if isTorn {
      guard Glibc.write(descriptor, "\n", 1) == 1 else { return (0, errno) }
      isTorn = false
    }
    var at = range.lowerBound
    while at < range.upperBound {
      let written = lines.withUnsafeBytes { bytes in
        Glibc.write(descriptor, bytes.baseAddress.map { $0 + at }, range.upperBound - at)
      }
      if written < 0 {
        if errno == EINTR { continue }
        let code = errno
        isTorn = at > range.lowerBound && lines[at - 1] != UInt8(ascii: "\n")
        return (at - range.lowerBound, code)
      }
      at += written
    }
    return (range.count, 0)
  }
}

/// What is wrong with the file of a log.
public struct LogFileError: Error, Sendable, CustomStringConvertible {
  public let description: String

  init(description: String) { self.description = description }

  init(_ path: String, _ code: Int32) {
    description = "\(path): \(String(cString: strerror(code)))"
  }
}
