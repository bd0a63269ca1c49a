import Foundation
import Synchronization
import Testing

/// A program of others that tests talk to, line by line.
final class ForeignProcess: Sendable {
  private let process: Process
  private let input = Pipe()
  private let lines: AsyncStream<String>

  /// The repository's.
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path

  init(_ program: String, _ arguments: [String], adding environment: [String: String] = [:]) throws
  {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = input
    process.standardOutput = output
    let (lines, sink) = AsyncStream<String>.makeStream()
    self.lines = lines
    let partial = Mutex("")
    output.fileHandleForReading.readabilityHandler = { handle in
      let data = handle.availableData
      if data.isEmpty {
        handle.readabilityHandler = nil
        return sink.finish()
      }
      partial.withLock { partial in
        let parts = (partial + String(decoding: data, as: UTF8.self)).components(separatedBy: "\n")
        for line in parts.dropLast() { sink.yield(line) }
        partial = parts.last ?? ""
      }
    }
    try process.run()
    self.process = process
  }

  /// The next line that it writes; nil: it writes no more.
  func line() async -> String? {
    var iterator = lines.makeAsyncIterator()
    return await iterator.next()
  }

  func expect(_ line: String) async throws { try #require(await self.line() == line) }

  func say(_ line: String) throws {
    try input.fileHandleForWriting.write(contentsOf: Data("\(line)\n".utf8))
  }

  /// By the signal that can't be blocked: others may be, as they are in who started it, and its input may be held
  /// open by who was started beside it. Nobody waits: Foundation's waiting has been seen to spin in a task for ever.
  func end() {
    try? input.fileHandleForWriting.close()  // Fails if it is closed: all the better.
    kill(process.processIdentifier, SIGKILL)
  }
}
