import TenancyTestSupport
import Testing

@testable import Tenancy

struct WordTableTests {
  private static let keys =
    (0..<1200).map { "key-\($0)" }
    + [
      "", "\0", "\0\0", "é", "e\u{301}", "12345678", "123456789",
      String(repeating: "x", count: 300),
    ]

  private static func expectEqual(_ table: WordTable, _ model: [[UInt8]: UInt64]) {
    #expect(table.count == model.count)
    #expect(table.isEmpty == model.isEmpty)
    for key in keys {
      let expected = model[Array(key.utf8)]
      let found = table.find(key.utf8Span.span.bytes)
      guard found == expected else {
        Issue.record(
          "\(key): \(String(describing: found)), not \(String(describing: expected))")
        return
      }
    }
  }

  /// Several tables copied from each other at random, each with its dictionary. They grow to branches, and shrink to
  /// nothing and grow again.
  @Test(arguments: 0..<4 as Range<UInt64>)
  func actsAsADictionaryAndCopiesAreIndependent(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var tables = Array(repeating: WordTable(), count: 3)
    var models = Array(repeating: [[UInt8]: UInt64](), count: 3)
    for step in 0..<16_000 {
      let at = Int.random(in: 0..<tables.count, using: &random)
      let key = random.pick(Self.keys)
      let isShrinking = step / 2_000 % 2 == 1
      switch Int.random(in: 0..<1_000, using: &random) {
      case 0:
        let from = Int.random(in: 0..<tables.count, using: &random)
        tables[at] = tables[from]
        models[at] = models[from]
      case 1..<(isShrinking ? 950 : 100):
        tables[at].set(key, nil)
        models[at][Array(key.utf8)] = nil
      default:
        let word = UInt64.random(in: 0 ... .max, using: &random)
        tables[at].set(key, word)
        models[at][Array(key.utf8)] = word
      }
      if step % 1_000 == 999 {
        for (table, model) in zip(tables, models) { Self.expectEqual(table, model) }
      }
    }
    for at in tables.indices {
      for key in Self.keys { tables[at].set(key, nil) }
      #expect(tables[at].isEmpty)
    }
  }

  @Test func keysAreBytesNotCharacters() {
    var table = WordTable()
    table.set("é", 1)
    let decomposed = "e\u{301}"
    #expect(table.find(decomposed.utf8Span.span.bytes) == nil)
    table.set(decomposed, 2)
    let composed = "é"
    #expect(table.find(composed.utf8Span.span.bytes) == 1)
    #expect(table.count == 2)
  }

  /// Slots of what was taken out are used again.
  @Test func comingAndGoingTakesNoMemory() {
    var table = WordTable()
    for number in 0..<300 { table.set("stays-\(number)", UInt64(number)) }
    for number in 0..<20_000 {
      table.set("goes-\(number)", 1)
      table.set("goes-\(number)", nil)
    }
    #expect(table.count == 300)
    #expect(table.bytes < 64 * 1024)
    for number in 0..<300 {
      let key = "stays-\(number)"
      #expect(table.find(key.utf8Span.span.bytes) == UInt64(number))
    }
  }

  @Test func aChangeCopiesThePageOfItsKey() {
    var table = WordTable()
    for number in 0..<20_000 { table.set("key-\(number)", 1) }
    let former = table
    table.set("key-7", 2)
    #expect((1...4).contains(table.unsharedNodes(with: former)))
    #expect(former.unsharedNodes(with: former) == 0)
  }

  /// The results that the authors of SipHash publish, of SipHash-2-4 with the key 00 01 ... 0f and the texts of no
  /// bytes, 00, 00 01, and so on.
  @Test(
    arguments: [
      (0, 0x726f_db47_dd0e_0e31), (1, 0x74f8_39c5_93dc_67fd), (7, 0xab02_00f5_8b01_d137),
      (8, 0x93f5_f579_9a93_2462), (15, 0xa129_ca61_49be_45e5), (16, 0x3f2a_cc7f_57c2_9bdb),
    ] as [(Int, UInt64)])
  func hashesAsPublished(_ count: Int, _ expected: UInt64) {
    let text = (0..<count).map { UInt8($0) }
    let hash = ByteHash.hash(
      text.span.bytes, key: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908), rounds: (2, 4))
    #expect(hash == expected)
  }
}

/// Sets of roles by text: those of more than the first 63 roles are kept elsewhere.
struct RoleSetTableTests {
  @Test(arguments: 0..<4 as Range<UInt64>)
  func actsAsADictionaryOfSets(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var table = RoleSetTable()
    var model: [String: Set<Int>] = [:]
    for _ in 0..<6_000 {
      let key = "key-\(Int.random(in: 0..<40, using: &random))"
      let role = random.pick([0, 1, 5, 62, 63, 64, 127, 128, 200])
      let isIn = Bool.random(using: &random)
      table.update(key) { isIn ? $0.insert(role) : $0.remove(role) }
      if isIn { model[key, default: []].insert(role) } else { model[key]?.remove(role) }
      if model[key]?.isEmpty ?? false { model[key] = nil }
      var found = Set<Int>()
      table[key]?.forEach { found.insert($0) }
      #expect(found == model[key] ?? [] && (table[key] == nil) == (model[key] == nil))
      let word = table.word(key.utf8Span.span.bytes)
      #expect((word == nil) == found.contains { $0 > 62 })
      if let word { #expect(word == found.reduce(0) { $0 | 1 << UInt64($1) }) }
    }
    for key in model.keys { for role in model[key] ?? [] { table.update(key) { $0.remove(role) } } }
    #expect(table.isEmpty)
  }
}
