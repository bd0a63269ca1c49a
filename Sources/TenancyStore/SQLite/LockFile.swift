internal import Glibc
internal import Tenancy

/// Keeps other processes away from a store while it is open. The kernel lets go of the lock when the
/// process ends in whatever way. The file itself stays: removing it would race with the next process.
final class LockFile {
  private let descriptor: Int32

  init(path: String) throws(StoreError) {
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else {
      throw StoreError(.unavailable, "cannot open \(path): \(errorText(errno))")
    }
    // flock, not fcntl: a lock of fcntl is lost when any other descriptor of the file is closed, and
    // does not keep out a second store in the same process. A throwing initializer runs no deinit.
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let reason = errno
      Glibc.close(descriptor)
      throw reason == EWOULDBLOCK
        ? StoreError(.unavailable, "another process uses this store: \(path) is locked")
        : StoreError(.unavailable, "cannot lock \(path): \(errorText(reason))")
    }
  }

  deinit {
    // Nothing was written: there is no error worth knowing.
    Glibc.close(descriptor)
  }
}

/// Files of which only existence and durability matter.
enum FileSystem {
  /// Creates an empty file that only its owner may read. One that exists is left as it is.
  static func createPrivateFile(path: String) throws(StoreError) {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw StoreError(.unavailable, "cannot open \(path): \(errorText(errno))")
    }
    // Nothing was written: there is no error worth knowing.
    Glibc.close(descriptor)
  }

  /// Makes the creation of files in a file's directory survive power loss.
  static func syncDirectory(of path: String) throws(StoreError) {
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
