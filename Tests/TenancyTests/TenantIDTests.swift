import TenancyTestSupport
import Testing

@testable import Tenancy

/// Ids made by one process share what was issued last, so these tests run one after the other.
@Suite(.serialized)
struct TenantIDTests {
  static let canonical = "0190b0c0-1234-7abc-9def-0123456789ab"

  @Test func canonicalTextReadsAndPrintsAlike() throws {
    let id = try #require(TenantID(parsing: Self.canonical))
    #expect(id.high == 0x0190_B0C0_1234_7ABC)
    #expect(id.low == 0x9DEF_0123_4567_89AB)
    #expect(id.description == Self.canonical)
  }

  @Test(arguments: [
    "", "0190B0C0-1234-7ABC-9DEF-0123456789AB", "0190b0c012347abc9def0123456789ab",
    "{0190b0c0-1234-7abc-9def-0123456789ab}", "urn:uuid:0190b0c0-1234-7abc-9def-0123456789ab",
    " 0190b0c0-1234-7abc-9def-0123456789ab", "0190b0c0-1234-7abc-9def-0123456789ab\n",
    "0190b0c0-1234-7abc-9def-0123456789a", "0190b0c0-1234-7abc-9def-0123456789abc",
    "0190b0c01-234-7abc-9def-0123456789ab", "0190b0c0-1234-7abc-9def-0123456789ag",
    "0190b0c0_1234_7abc_9def_0123456789ab", "0190b0c0-1234-7abc-9def-01234567\u{301}a",
    // Other versions, other variants.
    "0190b0c0-1234-4abc-9def-0123456789ab", "0190b0c0-1234-8abc-9def-0123456789ab",
    "0190b0c0-1234-7abc-7def-0123456789ab", "0190b0c0-1234-7abc-cdef-0123456789ab",
    "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
  ])
  func refuses(_ text: String) { #expect(TenantID(parsing: text) == nil) }

  @Test func everyIDReadsAsItself() {
    var random = SeededGenerator(seed: 2)
    for _ in 0..<2000 {
      let id = TenantID(
        high: random.next() & ~0xF000 | 0x7000, low: random.next() & (.max >> 2) | 0b10 << 62)
      #expect(TenantID(parsing: id.description) == id)
    }
  }

  @Test func textSortsAsIDsDo() {
    var random = SeededGenerator(seed: 3)
    for _ in 0..<1000 {
      let (a, b) = (Sample.id(random.next() >> 20), Sample.id(random.next() >> 20))
      #expect((a < b) == (a.description < b.description))
    }
  }

  @Test func idsGrowWithinOneMillisecondAndWhenTheClockStepsBack() {
    let base: UInt64 = 1_900_000_000_000
    let moments =
      Array(repeating: base, count: 5000) + (0..<1000).map { base - $0 }
      + [0, 1, base + 1, base, base + 2]
    var last = TenantID.generate(atMilliseconds: base)
    for moment in moments {
      let id = TenantID.generate(atMilliseconds: moment)
      #expect(id > last)
      #expect(TenantID(parsing: id.description) == id)
      last = id
    }
  }

  /// Whoever has one could name the next.
  @Test func idsCantBeGuessedWhereTheClockWasAhead() {
    _ = TenantID.generate(atMilliseconds: 2_100_000_000_000)
    let ids = (0..<100).map { _ in TenantID.generate(atMilliseconds: 1_900_000_000_000) }
    let steps = zip(ids, ids.dropFirst()).map { $1.low &- $0.low }
    #expect(zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 })
    #expect(Set(steps).count == steps.count && !steps.contains(1))
  }

  @Test func anIDCarriesItsMoment() {
    let moment: UInt64 = 2_200_000_000_000
    #expect(TenantID.generate(atMilliseconds: moment).high >> 16 == moment)
  }

  @Test func concurrentGenerationMakesNoIDTwice() async {
    let ids = await withTaskGroup(of: [TenantID].self) { group in
      for task in 0..<8 {
        group.addTask {
          (0..<2000).map {
            TenantID.generate(atMilliseconds: 2_000_000_000_000 + $0 % 3 * UInt64(task))
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(Set(ids.joined()).count == 16_000)
    for made in ids { #expect(zip(made, made.dropFirst()).allSatisfy { $0 < $1 }) }
  }
}
