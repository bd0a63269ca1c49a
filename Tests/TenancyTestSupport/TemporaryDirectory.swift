import Foundation

/// A directory that is removed with its content at the end.
package final class TemporaryDirectory {
  package let path: String

  package init() throws {
    path = freePath()
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  }

  deinit {
    do {
      try FileManager.default.removeItem(atPath: path)
    } catch {
      print("cannot remove \(path): \(error)")
    }
  }

  package func file(_ name: String) -> String { path + "/" + name }
}

/// Where nothing is yet: short enough for a Unix socket, even in a directory of that name.
package func freePath() -> String {
  FileManager.default.temporaryDirectory
    .appending(path: "t-\(String(UInt64.random(in: 0...UInt64.max), radix: 36))").path
}
