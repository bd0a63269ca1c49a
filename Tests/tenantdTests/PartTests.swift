import Logging
import Synchronization
import Testing

@testable import tenantd

/// How the daemon's parts live and end.
@Suite("Parts", .timeLimit(.minutes(1)))
struct PartTests {
  private struct Failure: Error, Equatable {}

  /// What has happened, in order.
  private final class Diary: Sendable {
    private let lines = Mutex<[String]>([])

    func note(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
  }

  private let diary = Diary()
  private let serving = Opening()
  /// Opens when what ends the parts has run.
  private let end = Opening()

  private var parts: Parts { Parts(serving: serving, logger) }
  private var logger: Logger { Logger(label: "test") { [diary] _ in LogDiary(diary: diary) } }

  private struct LogDiary: LogHandler {
    let diary: Diary
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      diary.note("\(event.level) \(event.metadata?["part"] ?? "none")")
    }
  }

  private func resting(_ name: String) -> Part {
    let diary = diary
    return Part(
      name,
      {
        let never = Opening()
        _ = await never.wait()
        diary.note("\(name) cancelled")
      }, finish: { diary.note("\(name) finished, \(Task.isCancelled)") })
  }

  private func ending(_ error: Failure? = nil, endsAll: Bool = false) -> Part {
    let end = end
    return Part("ending", endsAll: endsAll) {
      _ = await end.wait()
      if let error { throw error }
    }
  }

  private func failure(of parts: Parts) async -> (any Error)? {
    do {
      try await parts.run()
      return nil
    } catch {
      return error
    }
  }

  private let ends = [
    "second cancelled", "second finished, false", "first cancelled", "first finished, false",
  ]

  @Test func areEndedInReverseEachWhenTheOneBeforeHasEnded() async {
    var parts = parts
    for name in ["first", "second"] { parts.add(resting(name)) }
    parts.add(ending(endsAll: true))
    end.open()
    #expect(await failure(of: parts) == nil)
    #expect(diary.all == ends)
  }

  @Test func oneThatFailsEndsAllAndIsTold() async {
    var parts = parts
    parts.add(resting("first"))
    parts.add(ending(Failure()))
    parts.add(resting("second"))
    serving.open()
    end.open()
    #expect(await failure(of: parts) is Failure)
    #expect(diary.all == ["critical ending"] + ends)
  }

  @Test func oneThatEndsByItselfHasFailed() async {
    var parts = parts
    parts.add(resting("first"))
    parts.add(ending())
    parts.add(resting("second"))
    serving.open()
    end.open()
    #expect(
      (await failure(of: parts) as? PartEndedError)?.description == "ending has ended by itself")
    #expect(diary.all == ["critical ending"] + ends)
  }

  /// Who starts it says why: the log need not.
  @Test func aStartThatFailsEndsTheOthers() async {
    var parts = parts
    parts.add(resting("first"))
    parts.add(ending(Failure()))
    parts.add(resting("second"))
    end.open()
    #expect(await failure(of: parts) is Failure)
    #expect(diary.all == ends)
  }

  @Test func oneThatFailsWhileAnotherIsEndedIsNotLost() async {
    var parts = parts
    parts.add(resting("first"))
    let (end, failing) = (end, Opening())
    parts.add(
      Part("failing") {
        _ = await failing.wait()
        throw Failure()
      })
    parts.add(
      Part("signals", endsAll: true, { _ = await end.wait() }, finish: { failing.open() }))
    end.open()
    #expect(await failure(of: parts) is Failure)
    #expect(diary.all == ["first cancelled", "first finished, false"])
  }
}

@Suite("An opening", .timeLimit(.minutes(1)))
struct OpeningTests {
  @Test func letsAllThroughOnceItIsOpen() async {
    let opening = Opening()
    await withTaskGroup { group in
      for _ in 0..<4 { group.addTask { await opening.wait() } }
      opening.open()
      for await isOpen in group { #expect(isOpen) }
    }
    #expect(await opening.wait())
  }

  @Test func letsGoWhoIsCancelled() async {
    let opening = Opening()
    await withTaskGroup { group in
      for _ in 0..<4 { group.addTask { await opening.wait() } }
      group.cancelAll()
      for await isOpen in group { #expect(!isOpen) }
    }
    #expect(!opening.isOpen)
  }
}
