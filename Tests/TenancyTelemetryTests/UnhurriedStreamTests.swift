import Dispatch
import Glibc
import Testing

@testable import TenancyTelemetry

@Suite("A log whose reader is slow", .timeLimit(.minutes(1)))
struct UnhurriedStreamTests {
  private let (reader, writer): (Int32, Int32)

  init() throws {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    (reader, writer) = (ends[0], ends[1])
  }

  private func read(until isDone: (String) -> Bool) -> String {
    var text = ""
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while !isDone(text) {
      let count = Glibc.read(reader, &buffer, buffer.count)
      if count <= 0 { break }
      text += String(decoding: buffer[..<count], as: UTF8.self)
    }
    return text
  }

  @Test func linesComeInOrder() {
    defer { [reader, writer].forEach { close($0) } }
    var stream = UnhurriedStream(writer)
    for number in 0..<1000 { stream.write("line \(number)\n") }
    stream.finish(within: .seconds(30))
    let wanted = (0..<1000).map { "line \($0)\n" }.joined()
    #expect(read { $0.utf8.count >= wanted.utf8.count } == wanted)
  }

  /// Nobody waits for a reader that does not read; what is left out is counted.
  @Test func nobodyWaits() throws {
    defer { [reader, writer].forEach { close($0) } }
    var stream = UnhurriedStream(writer)
    let line = String(repeating: "x", count: 99) + "\n"
    // More than the pipe and the stream hold together.
    for _ in 0..<20_000 { stream.write(line) }
    stream.finish(within: .milliseconds(1))
    // Whoever writes and whoever keeps are two, so that what was left out may be said more than once.
    var (lines, left) = (0, 0)
    _ = read { text in
      guard text.hasSuffix("\n") else { return false }
      let all = text.split(separator: "\n")
      let kept = all.filter { $0.allSatisfy { $0 == "x" } }
      lines = kept.count
      left = all.compactMap {
        $0.contains(" were left out") ? Int($0.prefix(while: \.isNumber)) : nil
      }
      .reduce(0, +)
      return lines + left >= 20_000
    }
    #expect(lines + left == 20_000 && left > 10_000)
  }
}
