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
    // does not keep out a second store in the same process. An initializer that throws when all properties
    // are set runs `deinit`, which closes the descriptor: closed here as well, it could be another's by then.
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let reason = errno
      throw reason == EWOULDBLOCK
        ? StoreError(.unavailable, "another process uses this store: \(path) is locked")
        : StoreError(.unavailable, "cannot lock \(path): \(errorText(reason))")
    }
  }

  deinit {
    guard descriptor >= 0 else { return }
    // Nothing was written: there is no error worth knowing.
    Glibc.close(descriptor)
  }
}
