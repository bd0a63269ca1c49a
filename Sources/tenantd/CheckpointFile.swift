import Glibc
import Tenancy
import TenancyStore

/// The file of checkpoints: whole lines only, whatever the disk does. Where a line can't be cut off, as in a file
/// that can only be appended to, what follows is added behind it: who verifies knows what that is.
struct CheckpointFile: AuditCheckpointLog {
  private let path: String

  /// A last line that has no end, as after a crash, is cut off.
  /// - Throws: `ConfigurationError`, also if the end is of no checkpoint.
  init(_ path: String) throws {
    self.path = path
    try OwnFiles.check(path)
    guard unsafe access(path, F_OK) == 0 else { return }
    try withFile { descriptor, size in
      let end = try endOfLines(descriptor, size)
      guard end < size else { return }
      guard try isBegin(descriptor, from: end, to: size) else {
        throw ConfigurationError(description: "\(path) does not hold audit checkpoints")
      }
      try? cut(descriptor, to: end)
    }
  }

  /// Adds lines durably, all of them or none.
  /// - Throws: `ConfigurationError`.
  func add(_ checkpoints: [AuditCheckpoint]) throws {
    try withFile { descriptor, size in
      // What another failure may have left.
      let end = try endOfLines(descriptor, size)
      if end < size { try? cut(descriptor, to: end) }
      do {
        try write(Array(checkpoints.map { $0.text + "\n" }.joined().utf8)[...], to: descriptor)
        guard fsync(descriptor) == 0 else { throw failure("cannot sync") }
        // Its name may be new.
        if size == 0 { try syncDirectory() }
      } catch {
        // What fails here is cut off the next time.
        try? cut(descriptor, to: end)
        throw error
      }
    }
  }

  /// Reads backwards.
  /// - Throws: `ConfigurationError`.
  func last(of chain: AuditChain) throws -> AuditCheckpoint? {
    guard unsafe access(path, F_OK) == 0 else { return nil }
    var found: AuditCheckpoint?
    try withFile { descriptor, size in
      var (position, rest) = (size, [UInt8]())
      while position > 0 {
        let start = max(0, position - 65_536)
        var bytes = [UInt8](repeating: 0, count: Int(position - start))
        guard unsafe pread(descriptor, &bytes, bytes.count, start) == bytes.count else {
          throw failure("cannot read")
        }
        bytes += rest
        position = start
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        // Its begin may be further ahead.
        rest = start > 0 ? Array(lines.removeFirst()) : []
        for line in lines.reversed() {
          guard let checkpoint = Self.checkpoint(line), checkpoint.chain == chain,
            checkpoint.kind == .end
          else { continue }
          found = checkpoint
          return
        }
      }
    }
    return found
  }

  private static let bytesOfPart = 262_144

  /// A line that is none is left to who verifies.
  /// - Throws: `ConfigurationError`.
  func read(after place: Int64) throws -> (checkpoints: [AuditCheckpoint], place: Int64)? {
    guard unsafe access(path, F_OK) == 0 else { return nil }
    var part: (checkpoints: [AuditCheckpoint], place: Int64)?
    try withFile { descriptor, _ in
      var bytes = [UInt8](repeating: 0, count: Self.bytesOfPart)
      let count = unsafe pread(descriptor, &bytes, bytes.count, off_t(place))
      guard count >= 0 else { throw failure("cannot read") }
      guard let end = bytes[..<count].lastIndex(of: UInt8(ascii: "\n")) else {
        // All that was written by us has an end within that.
        guard count < bytes.count else {
          throw ConfigurationError(description: "\(path): a line is too long")
        }
        return
      }
      part = (
        bytes[..<end].split(separator: UInt8(ascii: "\n")).compactMap(Self.checkpoint),
        place + Int64(end) + 1
      )
    }
    return part
  }

  private static func checkpoint(_ line: ArraySlice<UInt8>) -> AuditCheckpoint? {
    let text = String(decoding: line, as: UTF8.self)
    return AuditCheckpoint(parsing: text) ?? AuditCheckpoint(afterCutOff: text)
  }

  private func withFile(_ body: (_ descriptor: Int32, _ size: off_t) throws -> Void) throws {
    let descriptor = unsafe open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw failure("cannot open") }
    defer { close(descriptor) }
    var info = stat()
    guard unsafe fstat(descriptor, &info) == 0 else { throw failure("cannot look at") }
    try body(descriptor, info.st_size)
  }

  private func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) throws {
    var rest = bytes
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes {
        unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure("cannot write") }
      rest = rest.dropFirst(count)
    }
  }

  private func syncDirectory() throws {
    do {
      try FileSystem.syncDirectory(of: path)
    } catch {
      throw failure("cannot sync the directory of")
    }
  }

  private func cut(_ descriptor: Int32, to size: off_t) throws {
    guard ftruncate(descriptor, size) == 0, fsync(descriptor) == 0 else {
      throw failure("cannot cut the last line off")
    }
  }

  /// Behind the last line that has an end.
  private func endOfLines(_ descriptor: Int32, _ size: off_t) throws -> off_t {
    var end = size
    var buffer = [UInt8](repeating: 0, count: 4096)
    while end > 0 {
      let start = max(0, end - off_t(buffer.count))
      let count = unsafe pread(descriptor, &buffer, Int(end - start), start)
      guard count == Int(end - start) else { throw failure("cannot read") }
      if let newline = buffer[..<count].lastIndex(of: UInt8(ascii: "\n")) {
        return start + off_t(newline) + 1
      }
      end = start
    }
    return 0
  }

  /// Whether the bytes are the begin of a checkpoint, as far as they go.
  private func isBegin(_ descriptor: Int32, from start: off_t, to end: off_t) throws -> Bool {
    let begin = Array(AuditCheckpoint.start.utf8)
    var bytes = [UInt8](repeating: 0, count: min(begin.count, Int(end - start)))
    guard unsafe pread(descriptor, &bytes, bytes.count, start) == bytes.count else {
      throw failure("cannot read")
    }
    return begin.starts(with: bytes)
  }

  private func failure(_ what: String) -> ConfigurationError {
    ConfigurationError(description: unsafe "\(what) \(path): \(String(cString: strerror(errno)))")
  }
}
