import FoundationEssentials
import Glibc
import Tenancy
import TenancyStore

/// The real clock.
enum SystemClock {
  @Sendable
  static func now() -> Timestamp {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(seconds: Int64(time.tv_sec), subsecondNanoseconds: Int64(time.tv_nsec))
  }
}

enum DataDirectory {
  /// Makes the directory (mode 0700) when it is missing, durably.
  static func prepare(_ path: String) throws {
    if unsafe mkdir(path, 0o700) != 0 {
      guard errno == EEXIST else {
        throw ConfigurationError(
          description:
            unsafe "cannot make the data directory \(path): \(String(cString: strerror(errno)))"
        )
      }
      try OwnFiles.checkDirectory(path)
      return
    }
    // The new name must survive a power cut as well as what is in it.
    try FileSystem.syncDirectory(of: URL(filePath: path).standardized.path)
  }
}
