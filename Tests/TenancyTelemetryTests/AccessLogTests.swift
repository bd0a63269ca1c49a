import Foundation
import Synchronization
import TenancyRPC
import Testing

@testable import TenancyTelemetry

@Suite("What is logged, and where it goes")
struct AccessLogTests {
  final class Events: Sendable {
    private let seen = Mutex<[AccessLog.Event]>([])
    var all: [AccessLog.Event] { seen.withLock { $0 } }
    func add(_ event: AccessLog.Event) { seen.withLock { $0.append(event) } }
  }

  /// A file in a directory of its own, which goes with it.
  final class Place {
    let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    var path: String { directory.appending(path: "access.log").path }

    init() throws {
      try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    func lines(_ name: String = "access.log") throws -> [[String: Any]] {
      let text = try String(contentsOf: directory.appending(path: name), encoding: .utf8)
      #expect(text.isEmpty || text.hasSuffix("\n"))
      return try text.split(separator: "\n").map { line in
        try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      }
    }
  }

  private static func log(
    _ path: String, sample: Int = 1, errors: Int = 200, _ events: Events = Events()
  ) throws -> AccessLog {
    try AccessLog(
      AccessLog.Settings(path: path, sample: sample, errorsPerSecond: errors), format: .json,
      tenantName: Sample.tenantName
    ) { events.add($0) }
  }

  @Test(arguments: [(0, 0), (1, 100), (7, 14)]) func oneInSoMany(sample: Int, count: Int)
    async throws
  {
    let place = try Place()
    let log = try Self.log(place.path, sample: sample)
    var loop = LoopAccessLog(log, methods: ["/a.B/C"])
    for _ in 0..<100 { loop.note(.sample(), CallDetails(), trace: nil) }
    for _ in 0..<3 { loop.note(.sample(.notFound), CallDetails(), trace: nil) }
    await log.finish()
    let lines = try place.lines()
    #expect(lines.filter { $0["status"] as? String == "OK" }.count == count)
    #expect(lines.filter { $0["status"] as? String == "NOT_FOUND" }.count == 3)
    #expect(
      lines.allSatisfy {
        ($0["status"] as? String != "OK") || sample == 1 || $0["sample"] as? Int == sample
      })
    #expect(lines.allSatisfy { $0["notice"] == nil })
  }

  /// Of a method that there is not: what follows the path of a URL is often a token.
  @Test func aQueryIsNotLogged() async throws {
    let place = try Place()
    let log = try Self.log(place.path)
    var loop = LoopAccessLog(log, methods: ["/a.B/C"])
    for path in ["/x?token=secret", "/x", "?token=secret"] {
      loop.note(
        .sample(.unimplemented, method: nil), CallDetails(path: path), trace: nil)
    }
    await log.finish()
    #expect(try place.lines().map { $0["method"] as? String } == ["/x", "/x", ""])
  }

  /// One account's flood leaves room for another, and all of it is accounted for.
  @Test func aFloodOfErrors() async throws {
    let place = try Place()
    let log = try Self.log(place.path, errors: 40)
    var loop = LoopAccessLog(log, methods: ["/a.B/C"])
    let noisy = CallerName(subject: "noisy")
    for _ in 0..<1000 {
      loop.note(.sample(.permissionDenied), CallDetails(account: 1, caller: noisy), trace: nil)
    }
    loop.note(
      .sample(.notFound), CallDetails(account: 2, caller: CallerName(subject: "quiet")), trace: nil)
    for _ in 0..<5 {
      loop.note(.sample(.aborted), CallDetails(account: 1, caller: noisy), trace: nil)
    }
    await log.finish()
    let lines = try place.lines()
    #expect(lines.filter { $0["subject"] as? String == "noisy" }.count == 10)
    #expect(lines.filter { $0["subject"] as? String == "quiet" }.count == 1)
    let notices = lines.filter { $0["notice"] != nil }
    #expect(notices.count == 1)
    #expect(notices.first?["suppressed"] as? Int == 995)
    #expect(notices.first?["lost"] as? Int == 0)
    let counts = notices.first?["suppressed_by_status"] as? [String: Int]
    #expect(counts == ["PERMISSION_DENIED": 990, "ABORTED": 5])
  }

  @Test func rotation() async throws {
    let place = try Place()
    let events = Events()
    let log = try Self.log(place.path, events)
    var loop = LoopAccessLog(log, methods: ["/a.B/C"])
    loop.note(.sample(), CallDetails(), trace: nil)
    await log.finish()
    try FileManager.default.moveItem(
      atPath: place.path, toPath: place.directory.appending(path: "old").path)
    loop.note(.sample(), CallDetails(), trace: nil)
    await log.finish()
    log.reopen()
    loop.note(.sample(.notFound), CallDetails(), trace: nil)
    await log.finish()
    loop.note(.sample(.aborted), CallDetails(), trace: nil)
    await log.finish()
    #expect(events.all == [.reopened])
    let old = try place.lines("old").compactMap { $0["status"] as? String }
    let new = try place.lines().compactMap { $0["status"] as? String }
    #expect(old.prefix(2) == ["OK", "OK"])
    #expect(old + new == ["OK", "OK", "NOT_FOUND", "ABORTED"])
    #expect(new.last == "ABORTED")
  }

  @Test func aFileThatCannotBeOpenedAnew() async throws {
    let place = try Place()
    let events = Events()
    let log = try Self.log(place.path, events)
    var loop = LoopAccessLog(log, methods: ["/a.B/C"])
    let old = place.directory.appending(path: "old").path
    try FileManager.default.moveItem(atPath: place.path, toPath: old)
    try FileManager.default.createDirectory(atPath: place.path, withIntermediateDirectories: true)
    log.reopen()
    await log.finish()
    loop.note(.sample(), CallDetails(), trace: nil)
    await log.finish()
    #expect(try place.lines("old").count == 1)
    guard case .notReopened? = events.all.first, events.all.count == 1 else {
      Issue.record("\(events.all)")
      return
    }
  }

  @Test func whatIsNoFile() throws {
    let place = try Place()
    #expect(throws: LogFileError.self) { try Self.log(place.directory.path) }
    #expect(throws: LogFileError.self) { try Self.log("\(place.directory.path)/none/access.log") }
    #expect(mkfifo(place.path, 0o600) == 0)
    #expect(throws: LogFileError.self) { try Self.log(place.path) }
  }

  @Test func aDiskThatIsFull() async throws {
    let events = Events()
    let log = try Self.log("/dev/full", events)
    var loop = LoopAccessLog(log, methods: ["/a.B/C"])
    for _ in 0..<3 {
      loop.note(.sample(), CallDetails(), trace: nil)
      await log.finish()
    }
    guard case .writeFailed(let error)? = events.all.first else {
      Issue.record("\(events.all)")
      return
    }
    #expect(error.contains("/dev/full"))
    #expect(events.all.count == 1)
  }

  /// Who reads the log has stopped: event loops go on, and what there was no room for is told later.
  @Test func aReaderThatStops() async throws {
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    let (source, sink) = (ends[0], ends[1])
    let writer = LogWriter(LogFile(owning: sink), .json, errorsPerSecond: 1) { _ in }
    let line = Array("{\"n\":\"\(String(repeating: "x", count: 991))\"}\n".utf8)
    #expect(line.count == 1000)
    let count = 3 * LogWriter.maximumWaitingBytes / line.count
    for _ in 0..<count { writer.write(line) }
    let reader = Task.detached { () -> [UInt8] in
      var all: [UInt8] = []
      var bytes = [UInt8](repeating: 0, count: 65536)
      while true {
        let got = read(source, &bytes, bytes.count)
        if got <= 0 { return all }
        all += bytes.prefix(got)
        if String(decoding: all.suffix(200), as: UTF8.self).contains("lost") { return all }
      }
    }
    let text = String(decoding: await reader.value, as: UTF8.self)
    close(source)
    let lines = text.split(separator: "\n")
    let notice = try #require(lines.last.map { Data($0.utf8) })
    let object = try #require(JSONSerialization.jsonObject(with: notice) as? [String: Any])
    let lost = try #require(object["lost"] as? Int)
    #expect(lost >= count - 2 * LogWriter.maximumWaitingBytes / line.count - 66)
    #expect(lines.count - 1 + lost == count)
    #expect(lines.dropLast().allSatisfy { $0.utf8.count == 999 })
  }
}
