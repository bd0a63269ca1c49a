import TenancyTestSupport
import Testing

@testable import Tenancy

struct ByteTableTests {
  private static let keys =
    (0..<400).map { "key-\($0)" } + ["", "\0", "é", "e\u{301}", String(repeating: "x", count: 300)]

  private static func expectEqual(_ table: ByteTable<Int>, _ model: [[UInt8]: Int]) {
    #expect(table.count == model.count)
    #expect(table.isEmpty == model.isEmpty)
    for key in keys {
      let expected = model[Array(key.utf8)]
      guard table[key] == expected, table.find(key.utf8Span.span.bytes) == expected else {
        Issue.record(
          "\(key): \(String(describing: table[key])), not \(String(describing: expected))")
        return
      }
    }
    let entries = table.entries.map { (Array($0.key.utf8), $0.value) }
    #expect(Dictionary(entries, uniquingKeysWith: { first, _ in first }) == model)
    #expect(entries.count == model.count)
  }

  /// Several tables copied from each other at random, each with its dictionary.
  @Test(arguments: 0..<4 as Range<UInt64>)
  func actsAsADictionaryAndCopiesAreIndependent(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var tables = Array(repeating: ByteTable<Int>(), count: 4)
    var models = Array(repeating: [[UInt8]: Int](), count: 4)
    for step in 0..<3000 {
      let at = Int.random(in: 0..<tables.count, using: &random)
      let key = random.pick(Self.keys)
      switch Int.random(in: 0..<20, using: &random) {
      case 0:
        let from = Int.random(in: 0..<tables.count, using: &random)
        tables[at] = tables[from]
        models[at] = models[from]
      case 1..<7:
        tables[at][key] = nil
        models[at][Array(key.utf8)] = nil
      default:
        tables[at][key] = step
        models[at][Array(key.utf8)] = step
      }
      if step % 250 == 0 {
        for (table, model) in zip(tables, models) { Self.expectEqual(table, model) }
      }
    }
    for (table, model) in zip(tables, models) { Self.expectEqual(table, model) }
  }

  @Test func keysAreBytesNotCharacters() {
    var table = ByteTable<Int>()
    table["é"] = 1
    #expect(table["e\u{301}"] == nil)
    table["e\u{301}"] = 2
    #expect(table["é"] == 1)
    #expect(table.count == 2)
  }
}
