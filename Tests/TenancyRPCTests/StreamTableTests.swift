import NIOEmbedded
import Testing

@testable import TenancyRPCServer

@Suite("The calls of a connection")
struct StreamTableTests {
  private static func make() -> HTTP2Stream {
    let limits = ServerLimits()
    return HTTP2Stream(limits: limits)
  }

  /// What a task says late of a call that is over must not reach another, whichever object has its slot.
  @Test func keysOfEarlierCallsFindNothing() {
    var table = StreamTable<HTTP2Stream>()
    var keys: [StreamKey] = []
    for round in 0..<100 {
      let calls = (0..<70).map { _ in table.open(Self.make) }
      for key in keys { #expect(table[key] == nil) }
      for call in calls {
        call.prepare(id: 1)
        #expect(table[call.key] === call)
      }
      keys = calls.map(\.key)
      for call in calls { table.close(call) }
      // Other objects come into the slots.
      if round % 3 == 0 { table.trim() }
    }
    #expect(table.count == 0)
  }

  @Test func objectsAreUsedAgainUntilTrimmed() {
    var table = StreamTable<HTTP2Stream>()
    let first = table.open(Self.make)
    table.close(first)
    #expect(table.open(Self.make) === first)
    table.close(first)
    table.trim()
    #expect(table.open(Self.make) !== first)
  }
}
