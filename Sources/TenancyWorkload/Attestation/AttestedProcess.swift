internal import Tenancy

/// A program, by its name and by what it is: in another mount namespace, any file can have any name.
struct Program: Sendable, Hashable {
  /// As the kernel has it.
  let path: String
  let file: FileIdentity
}

/// Tells a file from all others that there are now.
struct FileIdentity: Sendable, Hashable {
  let device, inode: UInt64
}

/// What a process is, found out while it could not be mistaken for another.
struct AttestedProcess: Sendable, Hashable {
  let userID, groupID: UInt32
  /// Nil where that is not known, or no entry asks for it: no selector for it matches.
  let program: Program?
  /// Of the system's systemd; nil where that is not known.
  let unit: String?

  /// Whether it is what an entry asks for.
  /// - Parameters:
  ///   - node: what entries call this one.
  ///   - file: what is at a path, without following a link at its end.
  func matches(
    _ selectors: WorkloadEntry.Selectors, node: String?, file: (String) -> FileIdentity?
  ) -> Bool {
    // One that matches everybody is not registered; should there be one, it is nobody's.
    guard selectors.userID != nil || selectors.binaryPath != nil else { return false }
    if let wanted = selectors.userID, wanted != userID { return false }
    if let wanted = selectors.groupID, wanted != groupID { return false }
    if let wanted = selectors.node, wanted != node { return false }
    if let wanted = selectors.systemdUnit, wanted != unit { return false }
    if let wanted = selectors.binaryPath {
      guard let program, program.path.utf8.elementsEqual(wanted.utf8),
        file(wanted) == program.file
      else { return false }
    }
    return true
  }
}

/// Where it is found out what one process is. Questions may block for a moment.
protocol ProcessSource: Sendable {
  /// Whether it is still the process that has opened the connection.
  func isSame() -> Bool
  /// The path of its program, as the kernel has it.
  func programPath() -> String?
  /// The file of its program.
  func programFile() -> FileIdentity?
  func unit() -> String?
}

extension ProcessSource {
  /// What the process is; nil if it has ended, or can't be told from others any more.
  /// - Parameter isWanted: whether an entry asks for the program of a path. Others are not looked at: their files may
  ///   be on a file system that does not answer.
  func attest(
    userID: UInt32, groupID: UInt32, isWanted: (_ path: String) -> Bool
  ) -> AttestedProcess? {
    guard isSame() else { return nil }
    var program: Program?
    if let path = programPath(), isWanted(path), let file = programFile() {
      program = Program(path: path, file: file)
    }
    let found = AttestedProcess(
      userID: userID, groupID: groupID, program: program, unit: unit())
    // All of it was that process's: its number was not another's meanwhile.
    return isSame() ? found : nil
  }
}

/// The unit of systemd in the text of `/proc/{pid}/cgroup`.
enum ControlGroup {
  /// The one of the system's manager: what users' own managers make below it, they name as they like.
  static func unit(in text: String) -> String? {
    for line in text.split(separator: "\n") {
      // `0::/system.slice/web.service`, and before version 2 `1:name=systemd:/…`.
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3, parts[0] == "0" && parts[1].isEmpty || parts[1] == "name=systemd"
      else { continue }
      let names = parts[2].split(separator: "/").drop { $0.hasSuffix(".slice") }
      guard let name = names.first.map(String.init), WorkloadEntry.isUnit(name) else { continue }
      return name
    }
    return nil
  }
}
