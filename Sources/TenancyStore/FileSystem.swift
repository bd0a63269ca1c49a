internal import Glibc
public import Tenancy

/// Files of which only existence and durability matter.
public enum FileSystem {
  /// Creates an empty file that only its owner may read. One that exists is left as it is.
  static func createPrivateFile(path: String) throws(StoreError) {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw StoreError(.unavailable, "cannot open \(path): \(errorText(errno))")
    }
    // Nothing was written: there is no error worth knowing.
    Glibc.close(descriptor)
  }

  /// Makes the creation of a file, or of a directory, in its directory survive power loss.
  /// - Throws: `StoreError` if that can't be promised.
  public static func syncDirectory(of path: String) throws(StoreError) {
    let directory = parent(of: path)
    let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw StoreError(.unavailable, "cannot open \(directory): \(errorText(errno))")
    }
    defer { Glibc.close(descriptor) }
    guard fsync(descriptor) == 0 else {
      throw StoreError(.unavailable, "cannot sync \(directory): \(errorText(errno))")
    }
  }

  /// What is in a directory; nil: there is none.
  static func names(in path: String) throws(StoreError) -> [String]? {
    guard let directory = opendir(path) else {
      guard errno != ENOENT else { return nil }
      throw StoreError(.unavailable, "cannot open \(path): \(errorText(errno))")
    }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  /// Bytes of a file; nil: it can't be looked at, or there is none.
  static func size(_ path: String) -> Int64? {
    var status = stat()
    return stat(path, &status) == 0 ? Int64(status.st_size) : nil
  }

  static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}

func errorText(_ code: Int32) -> String {
  var text = [CChar](repeating: 0, count: 128)
  // An unknown code makes "Unknown error n": the result adds nothing.
  _ = strerror_r(code, &text, text.count)
  return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
