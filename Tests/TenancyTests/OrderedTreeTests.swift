import TenancyTestSupport
import Testing

@testable import Tenancy

struct OrderedTreeTests {
  private struct Entry: Ordered, Equatable {
    let orderKey: Int
    let value: Int
  }

  /// A tree and what it should hold.
  private struct Pair {
    var tree = OrderedTree<Entry>()
    var model: [Int: Entry] = [:]

    mutating func put(_ key: Int, _ value: Int) {
      let entry = Entry(orderKey: key, value: value)
      #expect(tree.put(entry) == model.updateValue(entry, forKey: key))
    }

    mutating func remove(_ key: Int) {
      #expect(tree.remove(key) == model.removeValue(forKey: key))
    }

    func check(_ random: inout SeededGenerator) {
      let sorted = model.values.sorted { $0.orderKey < $1.orderKey }
      #expect(tree.count == model.count && tree.isEmpty == model.isEmpty)
      #expect(tree.cursor().all == sorted)
      #expect(tree.first == sorted.first)
      for _ in 0..<20 {
        let key = Int.random(in: -10...2_100, using: &random)
        #expect(tree.find(key) == model[key])
        #expect(tree.cursor(after: key).all == sorted.filter { $0.orderKey > key })
        #expect(tree.cursor(after: key).isAtEnd == !sorted.contains { $0.orderKey > key })
      }
    }
  }

  /// Several trees copied from each other at random; runs of keys upwards, downwards and at random, so that
  /// leaves fill, split, empty and join.
  @Test(arguments: 0..<6 as Range<UInt64>)
  func actsAsASortedDictionaryAndCopiesAreIndependent(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var pairs = Array(repeating: Pair(), count: 3)
    for round in 0..<60 {
      let at = Int.random(in: 0..<pairs.count, using: &random)
      if random.chance(of: 1, in: 4) { pairs[at] = random.pick(pairs) }
      let start = Int.random(in: 0..<2_000, using: &random)
      let run = Array(start..<min(2_000, start + Int.random(in: 1...400, using: &random)))
      let keys = random.pick([run, run.reversed(), run.shuffled(using: &random)])
      let removes = random.chance(of: 1, in: 2)
      for key in keys {
        if removes { pairs[at].remove(key) } else { pairs[at].put(key, round) }
      }
      if round % 6 == 0 { for pair in pairs { pair.check(&random) } }
    }
    for pair in pairs { pair.check(&random) }
    for at in pairs.indices {
      for key in Array(pairs[at].model.keys).shuffled(using: &random) { pairs[at].remove(key) }
      pairs[at].check(&random)
    }
  }

  /// A leaf holds up to 32 elements, and 32 leaves make a branch: what a change copies is one of each depth.
  @Test(arguments: [(1_000, 3), (100_000, 5)])
  func aChangeCopiesTheWayToIt(_ count: Int, _ depth: Int) {
    var tree = OrderedTree<Entry>()
    for key in 0..<count { tree.put(Entry(orderKey: 2 * key, value: 0)) }
    for key in [0, count, 2 * count - 2, 2 * count + 1] {
      var copy = tree
      copy.put(Entry(orderKey: key, value: 1))
      #expect(copy.unsharedNodes(with: tree) <= depth)
      var (other, odd) = (tree, tree)
      other.remove(key)
      #expect(other.unsharedNodes(with: tree) <= depth)
      odd.put(Entry(orderKey: key | 1, value: 1))
      // A leaf that was full becomes two.
      #expect(odd.unsharedNodes(with: tree) <= depth + 2)
    }
  }

  /// What ids that grow with time leave behind is full, and a list that was thinned out takes no more room
  /// than it needs.
  @Test func leavesAreFullAndJoin() {
    var tree = OrderedTree<Entry>()
    for key in 0..<3_200 { tree.put(Entry(orderKey: key, value: 0)) }
    let nodes = tree.unsharedNodes(with: OrderedTree())
    #expect(nodes <= 110)
    for key in 0..<3_200 where key % 32 != 0 { tree.remove(key) }
    #expect(tree.count == 100)
    #expect(tree.unsharedNodes(with: OrderedTree()) <= 30)
  }
}
