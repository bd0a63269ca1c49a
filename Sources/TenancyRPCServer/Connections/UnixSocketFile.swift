#if canImport(Glibc)
  import Glibc
#endif

/// The file of a Unix socket that this server has bound.
public struct UnixSocketFile: Sendable {
  private let path: String
  private let device: dev_t
  private let inode: ino_t

  /// - Parameter path: just bound; nil when it is gone already.
  public init?(_ path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return nil }
    self.path = path
    device = status.st_dev
    inode = status.st_ino
  }

  /// Removes the file, unless the path has become another's.
  public func remove() {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_dev == device, status.st_ino == inode else { return }
    unlink(path)
  }

  /// Removes what a dead server left behind. A path where a server still answers, or that is not a
  /// socket, is left alone and refused.
  public static func prepare(_ path: String) throws {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw ServerStartError(description: "\(path) exists and is not a socket")
    }
    guard !answers(path) else {
      throw ServerStartError(description: "another server is listening on \(path)")
    }
    unlink(path)
  }

  /// Only a refused connection proves that nobody listens: a full backlog, missing permission or a
  /// lack of descriptors do not.
  private static func answers(_ path: String) -> Bool {
    let type = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
    let descriptor = socket(AF_UNIX, Int32(type), 0)  // In range: constants of C.
    guard descriptor >= 0 else { return true }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let room = MemoryLayout.size(ofValue: address.sun_path)
    guard path.utf8.count < room else { return true }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
          || errno != ECONNREFUSED
      }
    }
  }
}
