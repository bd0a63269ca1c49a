internal import TenancyRPC

#if canImport(Glibc)
  internal import Glibc
#endif

/// `/proc/{pid}` of one process, held open: once that has ended, questions fail, whoever has its number then. Needs to
/// be root, or to have CAP_SYS_PTRACE, to tell the programs of others. Thread-safe.
final class ProcDirectory: ProcessSource {
  /// Of a file that is read, at most.
  private static let maximumBytes = 16 * 1024

  private let process: PeerProcess
  private let descriptor: Int32
  /// Clock ticks from the boot to its start.
  private let startTime: UInt64

  /// - Parameter age: what a process must have where the kernel does not prove which one has opened the connection: it
  ///   was there before that, then, unless accepting has taken so long.
  /// - Returns: nil if the process has ended, or is too young.
  init?(of process: PeerProcess, provenAge age: Duration) {
    let descriptor = open("/proc/\(process.processID)", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    self.descriptor = descriptor
    self.process = process
    guard let startTime = Self.startTime(descriptor) else {
      self.startTime = 0
      return nil
    }
    self.startTime = startTime
    if process.isProven {
      // Otherwise the directory may be another's.
      guard process.isRunning() else { return nil }
    } else {
      guard let now = Self.ticksSinceBoot(), Self.ticks(age) <= now,
        startTime <= now - Self.ticks(age)
      else { return nil }
    }
  }

  deinit { close(descriptor) }

  func isSame() -> Bool {
    if process.isProven, !process.isRunning() { return false }
    return Self.startTime(descriptor) == startTime
  }

  func programPath() -> String? {
    var path = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = path.withUnsafeMutableBytes { bytes in
      bytes.withMemoryRebound(to: CChar.self) { text in
        text.baseAddress.map { readlinkat(descriptor, "exe", $0, text.count) } ?? -1
      }
    }
    // A path that is cut short is another's.
    guard (1..<path.count).contains(count) else { return nil }
    return String(validating: path.prefix(count), as: UTF8.self)
  }

  func programFile() -> FileIdentity? {
    var info = stat()
    guard fstatat(descriptor, "exe", &info, 0) == 0 else { return nil }
    return FileIdentity(device: UInt64(info.st_dev), inode: UInt64(info.st_ino))
  }

  func unit() -> String? { Self.read("cgroup", of: descriptor).flatMap(ControlGroup.unit) }

  /// What is at a path, without following a link at its end.
  static func file(at path: String) -> FileIdentity? {
    var info = stat()
    guard lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFREG else { return nil }
    return FileIdentity(device: UInt64(info.st_dev), inode: UInt64(info.st_ino))
  }

  // MARK: Files

  private static func startTime(_ directory: Int32) -> UInt64? {
    read("stat", of: directory).flatMap(startTime(in:))
  }

  /// In the text of `/proc/{pid}/stat` (proc(5)), in which the name of the program comes second: in parentheses, and
  /// with whatever in it.
  static func startTime(in text: String) -> UInt64? {
    // By bytes: of some scripts a letter before the parenthesis makes one character with it.
    let bytes = text.utf8
    guard let end = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
    let fields = bytes[bytes.index(after: end)...].split(separator: UInt8(ascii: " "))
    // The 22nd, of which the first two are before the parenthesis' end.
    guard fields.count > 19 else { return nil }
    return UInt64(Substring(fields[19]))
  }

  private static func read(_ name: String, of directory: Int32) -> String? {
    let file = openat(directory, name, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var (content, chunk) = ([UInt8](), [UInt8](repeating: 0, count: 4_096))
    while content.count < maximumBytes {
      let count = Glibc.read(file, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return nil }
      if count == 0 { return String(decoding: content, as: UTF8.self) }
      content += chunk.prefix(count)
    }
    return nil
  }

  private static func ticksSinceBoot() -> UInt64? {
    var time = timespec()
    guard clock_gettime(CLOCK_BOOTTIME, &time) == 0 else { return nil }
    return ticks(.seconds(time.tv_sec) + .nanoseconds(time.tv_nsec))
  }

  private static func ticks(_ duration: Duration) -> UInt64 {
    let (seconds, attoseconds) = duration.components
    let perSecond = Int64(sysconf(Int32(_SC_CLK_TCK)))
    return UInt64(
      clamping: seconds * perSecond + attoseconds / (1_000_000_000_000_000_000 / max(1, perSecond)))
  }
}
