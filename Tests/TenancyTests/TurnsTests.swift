import Synchronization
import Testing

@testable import Tenancy

struct TurnsTests {
  private final class Seen: Sendable {
    private struct Counts {
      var inside = 0
      var most = 0
      var all = 0
    }
    private let counts = Mutex(Counts())

    var most: Int { counts.withLock { $0.most } }
    var all: Int { counts.withLock { $0.all } }

    func enter() {
      counts.withLock { counts in
        counts.inside += 1
        counts.most = max(counts.most, counts.inside)
        counts.all += 1
      }
    }

    func leave() { counts.withLock { $0.inside -= 1 } }
  }

  @Test(arguments: [1, 3, 8]) func thereAreSoManyAtOnceAndNoMore(_ count: Int) async {
    let (turns, seen) = (Turns(count), Seen())
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<200 {
        group.addTask {
          await turns.begin()
          seen.enter()
          await Task.yield()
          seen.leave()
          turns.end()
        }
      }
    }
    #expect(seen.most <= count && seen.all == 200)
  }
}
