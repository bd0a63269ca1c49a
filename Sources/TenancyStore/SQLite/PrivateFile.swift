internal import Glibc
internal import Tenancy
internal import TenancyCrypto

/// A file that is being made, for its owner only, under a name that nobody takes for a finished one. It is
/// removed again unless it is given its real name.
final class PrivateFile {
  let path: String
  private let descriptor: Int32
  private var isKept = false

  /// - Parameter target: what it will be: it is made beside it.
  init(beside target: String, _ purpose: String) throws(StoreError) {
    let number = UInt64.random(in: .min ... .max)
    path = "\(target).\(purpose)-\(String(number, radix: 16))"
    descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else {
      throw StoreError(.unavailable, "cannot make \(path): \(errorText(errno))")
    }
  }

  deinit {
    close(descriptor)
    // What SQLite may have made beside it goes as well. What can't be removed is left, under its odd name.
    if !isKept { for suffix in ["", "-journal"] { unlink(path + suffix) } }
  }

  /// Bytes.
  func size() throws(StoreError) -> UInt64 {
    var info = stat()
    guard fstat(descriptor, &info) == 0 else { throw failure("look at") }
    return UInt64(info.st_size)
  }

  /// Behind what is there.
  func append(_ bytes: [UInt8]) throws(StoreError) {
    try write(bytes[...], at: off_t(try size()))
  }

  func write(_ bytes: ArraySlice<UInt8>, at offset: off_t) throws(StoreError) {
    var (rest, offset) = (bytes, offset)
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, offset) }
      guard count > 0 else {
        if count < 0, errno == EINTR { continue }
        throw failure("write")
      }
      rest = rest.dropFirst(count)
      offset += off_t(count)
    }
  }

  func truncate(to size: UInt64) throws(StoreError) {
    guard ftruncate(descriptor, off_t(size)) == 0 else { throw failure("shorten") }
  }

  /// Gives it to the owner of its directory, where whoever runs this may do so.
  func giveToDirectoryOwner() throws(StoreError) {
    var info = stat()
    guard geteuid() == 0 else { return }
    guard stat(FileSystem.parent(of: path), &info) == 0,
      fchown(descriptor, info.st_uid, info.st_gid) == 0
    else { throw failure("change the owner of") }
  }

  func sync() throws(StoreError) {
    guard fsync(descriptor) == 0 else { throw failure("sync") }
  }

  /// Gives it its real name, durably, at once or not at all.
  /// - Parameter replaces: what has this name already; else that is an error (`.conflict`).
  func rename(to target: String, replaces: Bool) throws(StoreError) {
    try sync()
    // A rename would replace what is there; a second name is refused, and the first one then goes.
    let isDone =
      replaces ? Glibc.rename(path, target) == 0 : link(path, target) == 0
    guard isDone else {
      throw errno == EEXIST
        ? StoreError(.conflict, "\(target) exists")
        : StoreError(.unavailable, "cannot rename \(path) to \(target): \(errorText(errno))")
    }
    // Killed here, it leaves a backup with two names.
    if !replaces { unlink(path) }
    isKept = true
    try FileSystem.syncDirectory(of: target)
  }

  private func failure(_ what: String) -> StoreError {
    StoreError(.unavailable, "cannot \(what) \(path): \(errorText(errno))")
  }
}

/// A file that is read from its start to its end.
final class FileBytes {
  /// Bytes taken in one go.
  static let portion = 1 << 20

  private let path: String
  private let descriptor: Int32
  let size: UInt64

  init(_ path: String) throws(StoreError) {
    self.path = path
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw StoreError(.unavailable, "cannot open \(path): \(errorText(errno))")
    }
    var info = stat()
    guard fstat(descriptor, &info) == 0, info.st_mode & S_IFMT == S_IFREG else {
      Glibc.close(descriptor)
      throw StoreError(.unavailable, "\(path) is no plain file")
    }
    size = UInt64(info.st_size)
  }

  deinit { Glibc.close(descriptor) }

  /// Fewer only at the end of the file.
  func read(at offset: UInt64, count: Int) throws(StoreError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let got = bytes.withUnsafeMutableBytes { buffer in
        pread(
          descriptor, buffer.baseAddress?.advanced(by: filled), count - filled,
          off_t(offset) + off_t(filled))
      }
      if got == 0 { break }
      guard got > 0 || errno == EINTR else {
        throw StoreError(.unavailable, "cannot read \(path): \(errorText(errno))")
      }
      filled += max(0, got)
    }
    return Array(bytes.prefix(filled))
  }

  /// Gives everything before `end`, in portions.
  func forEach(
    upTo end: UInt64, _ body: ([UInt8]) throws(StoreError) -> Void
  ) throws(StoreError) {
    var offset: UInt64 = 0
    while offset < end {
      let bytes = try read(at: offset, count: Int(min(UInt64(Self.portion), end - offset)))
      guard !bytes.isEmpty else { throw StoreError(.corrupt, "\(path) became shorter") }
      try body(bytes)
      offset += UInt64(bytes.count)
    }
  }

  /// SHA-256 of everything before `end`: lower-case hex.
  func digest(upTo end: UInt64) throws(StoreError) -> String {
    let hasher = SHA256Hasher()
    try forEach(upTo: end) { (bytes) throws(StoreError) in hasher.update(bytes) }
    guard let digest = hasher.finish() else { throw StoreError(.unavailable, "SHA-256 fails") }
    return digest
  }
}
