import Foundation
import Synchronization

/// A server of its own for tests, which goes when the process does. What it is asked for waits its turn.
package final class PostgreSQLServer: Sendable {
  package let directory: String
  package let port: UInt16
  private let pipes: Mutex<(input: FileHandle, output: LineReader)>

  package struct Failure: Error {
    package let what: String
    package init(what: String) { self.what = what }
  }

  /// For tests that leave the server as it is, each in a schema of its own.
  package static let shared = Result { try PostgreSQLServer() }

  package static var isInstalled: Bool {
    let versions = try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")
    return (versions ?? []).contains {
      FileManager.default.isExecutableFile(atPath: "/usr/lib/postgresql/\($0)/bin/initdb")
    }
  }
  package static let whySkipped = "PostgreSQL's server is not installed: tools/install --tests"

  package init() throws {
    // A socket's path is short.
    directory = "/tmp/tenancy-pg-\(UUID().uuidString.prefix(8))"
    let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "postgresql/server").path()
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["bash", script, directory]
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    let reader = LineReader(output.fileHandleForReading)
    guard let line = reader.next(), line.hasPrefix("ready "), let port = UInt16(line.dropFirst(6))
    else { throw Failure(what: "the server did not start") }
    self.port = port
    pipes = Mutex((input.fileHandleForWriting, reader))
  }

  deinit {
    // The end of its input ends it.
    pipes.withLock { try? $0.input.close() }
  }

  /// Has it do something: the script says what there is.
  package func tell(_ command: String) throws {
    let answer = try pipes.withLock { pipes in
      try pipes.input.write(contentsOf: Data("\(command)\n".utf8))
      return pipes.output.next()
    }
    guard answer == "done" else { throw Failure(what: "\(command): \(answer ?? "it has ended")") }
  }
}

/// Lines of a pipe. Confined to whoever holds the lock.
private final class LineReader {
  private let file: FileHandle
  private var buffer = Data()

  init(_ file: FileHandle) { self.file = file }

  func next() -> String? {
    while true {
      if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
        defer { buffer = Data(buffer[buffer.index(after: end)...]) }
        return String(decoding: buffer[..<end], as: UTF8.self)
      }
      let more = file.availableData
      if more.isEmpty { return nil }
      buffer += more
    }
  }
}
