internal import Glibc

/// Small text files, written so that a reader sees the old content or the new, never a part.
enum PEMFile {
  /// A larger file is not one of ours.
  static let maximumSize = 1 << 20

  /// Whether anything is there, be it a dangling link.
  static func exists(_ path: String) -> Bool {
    var info = stat()
    return lstat(path, &info) == 0
  }

  static func read(_ path: String) throws(PKIError) -> String {
    let file = try Descriptor(path, O_RDONLY, mode: 0)
    var content: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 * 1024)
    while true {
      let count = Glibc.read(file.number, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure("cannot read", path) }
      if count == 0 { return String(decoding: content, as: UTF8.self) }
      content += chunk.prefix(count)
      guard content.count <= maximumSize else {
        throw PKIError(.file, "\(path) is larger than \(maximumSize) bytes")
      }
    }
  }

  static func write(
    _ text: String, to path: String, mode: mode_t, replacing: Bool
  ) throws(PKIError) {
    let temporary = "\(path).\(UInt64.random(in: .min ... .max)).tmp"
    defer { unlink(temporary) }  // Gone already, unless something failed or a link was made.
    do {
      // O_EXCL: nobody else's file or link is followed. The mode holds from the first byte.
      let file = try Descriptor(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: mode)
      try file.write(Array(text.utf8), path: temporary)
      guard fsync(file.number) == 0 else { throw failure("cannot write", temporary) }
    }
    // rename() replaces, link() refuses to.
    guard (replacing ? rename(temporary, path) : link(temporary, path)) == 0 else {
      if errno == EEXIST { throw PKIError(.exists, "\(path) is there already") }
      throw failure("cannot write", path)
    }
  }

  /// Makes a directory for its owner only, and those above it that are missing.
  static func makeDirectory(_ path: String) throws(PKIError) {
    if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw failure("cannot make", path)
    }
    try makeDirectory(String(path[..<slash]))
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw failure("cannot make", path) }
  }

  private static func failure(_ what: String, _ path: String) -> PKIError {
    let reason = String(cString: strerror(errno))
    return PKIError(.file, "\(what) \(path): \(reason)")
  }

  /// Owns an open file.
  private final class Descriptor {
    let number: Int32

    init(_ path: String, _ flags: Int32, mode: mode_t) throws(PKIError) {
      number = open(path, flags | O_CLOEXEC, mode)
      if number < 0 { throw PEMFile.failure("cannot open", path) }
    }

    deinit { if number >= 0 { close(number) } }

    func write(_ bytes: [UInt8], path: String) throws(PKIError) {
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.write(number, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw PEMFile.failure("cannot write", path) }
        rest = rest.dropFirst(count)
      }
    }
  }
}

/// Seconds since 1970.
enum Clock {
  static func now() -> Int64 { Int64(time(nil)) }
}

extension Certificate {
  convenience init(file path: String) throws(PKIError) {
    do throws(PKIError) {
      try self.init(pem: try PEMFile.read(path))
    } catch {
      throw PKIError(error.code, error.code == .file ? error.description : "\(path): \(error)")
    }
  }
}

extension PrivateKey {
  convenience init(file path: String) throws(PKIError) {
    do throws(PKIError) {
      try self.init(pem: try PEMFile.read(path))
    } catch {
      throw PKIError(error.code, error.code == .file ? error.description : "\(path): \(error)")
    }
  }
}
