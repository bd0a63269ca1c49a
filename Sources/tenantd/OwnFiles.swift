import FoundationEssentials
import Glibc
import TenancyRPC

/// Files and directories that hold secrets, or from which trust comes: nobody else may have put them there
/// or be able to change them. What is not there is passed over.
enum OwnFiles {
  /// A directory of ours that nobody else can write to.
  static func checkDirectory(_ path: String) throws {
    guard let info = try status(path) else { return }
    guard info.st_mode & S_IFMT == S_IFDIR else {
      throw ConfigurationError(
        description: "\(path) is not a directory: put the directory itself there, not a link to it")
    }
    try checkOwner(path, info)
    guard info.st_mode & 0o022 == 0 else {
      throw ConfigurationError(
        description: "others can write to \(path): mend it with: chmod go-w '\(path)'")
    }
  }

  /// A file of ours that nobody else can read or write.
  static func check(_ path: String) throws {
    guard let info = try status(path) else { return }
    guard info.st_mode & S_IFMT == S_IFREG else {
      throw ConfigurationError(
        description:
          "\(path) is not a plain file: mend it with: rm '\(path)', or put the file itself there")
    }
    try checkOwner(path, info)
    guard info.st_mode & 0o077 == 0 else {
      throw ConfigurationError(
        description: "others can read or write \(path): mend it with: chmod 600 '\(path)'")
    }
  }

  /// A directory as above, and all that is in it.
  static func checkTree(_ path: String) throws {
    guard try status(path) != nil else { return }
    try checkDirectory(path)
    for name in try FileManager.default.contentsOfDirectory(atPath: path) {
      // A volume's own.
      if name == "lost+found" { continue }
      let entry = "\(path)/\(name)"
      // What is gone meanwhile is passed over by both.
      if try status(entry).map({ $0.st_mode & S_IFMT == S_IFDIR }) ?? false {
        try checkTree(entry)
      } else {
        try check(entry)
      }
    }
  }

  /// The files of TLS: from most of them comes trust, and one is a secret.
  static func check(_ tls: TLSContext.Configuration) throws {
    if let key = tls.privateKey { try checkSecret(key, "private key") }
    for path in tls.paths where path != tls.privateKey { try checkTrusted(path) }
  }

  /// A secret that not everybody can read, which may be a link: secrets are often mounted so.
  static func checkSecret(_ path: String, _ what: String) throws {
    guard let info = try checkTrusted(path) else { return }
    guard info.st_mode & 0o037 == 0 else {
      throw ConfigurationError(
        description: "others can read or write the \(what) \(path): mend it with: "
          + "chmod 600 '\(path)'")
    }
  }

  /// A file that says who is trusted, which may be a link: nobody but root or us can change it.
  @discardableResult
  static func checkTrusted(_ path: String) throws -> stat? {
    var info = stat()
    // Whoever reads it says why it can't be.
    guard unsafe stat(path, &info) == 0 else { return nil }
    guard info.st_uid == 0 || info.st_uid == geteuid() else {
      throw ConfigurationError(
        description:
          "\(path) belongs to the user \(info.st_uid), neither to root nor to \(geteuid()), "
          + "who runs this: mend it with: chown \(geteuid()) '\(path)'")
    }
    guard info.st_mode & 0o022 == 0 else {
      throw ConfigurationError(
        description: "others can write to \(path): mend it with: chmod go-w '\(path)'")
    }
    return info
  }

  private static func checkOwner(_ path: String, _ info: stat) throws {
    guard info.st_uid == geteuid() else {
      throw ConfigurationError(
        description:
          "\(path) belongs to the user \(info.st_uid), not to \(geteuid()), who runs this: "
          + "mend it with: chown \(geteuid()) '\(path)'")
    }
  }

  private static func status(_ path: String) throws -> stat? {
    var info = stat()
    if unsafe lstat(path, &info) == 0 { return info }
    guard errno == ENOENT else {
      throw ConfigurationError(
        description: unsafe "cannot look at \(path): \(String(cString: strerror(errno)))")
    }
    return nil
  }
}
