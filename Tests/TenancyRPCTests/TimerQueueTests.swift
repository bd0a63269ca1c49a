import NIOCore
import NIOEmbedded
import Testing

@testable import TenancyLoop

@Suite("Timers of an event loop")
struct TimerQueueTests {
  private final class Log {
    var fired: [Int] = []
  }

  @Test func firesInOrderAndOnlyWhatIsSet() {
    let loop = EmbeddedEventLoop()
    let queue = TimerQueue(loop: loop)
    let log = Log()
    let timers = (0..<5).map { number in ActionTimer { log.fired.append(number) } }
    for (number, delay) in [(0, 30), (1, 10), (2, 20), (3, 10), (4, 40)] {
      queue.schedule(timers[number], at: .uptimeNanoseconds(0) + .milliseconds(Int64(delay)))
    }
    queue.cancel(timers[2])
    queue.cancel(timers[2])
    queue.schedule(timers[4], at: .uptimeNanoseconds(0) + .milliseconds(5))
    queue.advance(to: .uptimeNanoseconds(10_000_000))
    #expect(log.fired.first == 4)
    #expect(Set(log.fired) == [1, 3, 4])
    #expect(!timers[1].isScheduled && timers[0].isScheduled)
    queue.advance(to: .uptimeNanoseconds(30_000_000))
    #expect(log.fired.last == 0)
    #expect(queue.count == 0)
  }

  @Test func timersMaySetAndCancelOthersWhenTheyFire() {
    let queue = TimerQueue(loop: EmbeddedEventLoop())
    let log = Log()
    let victim = ActionTimer { log.fired.append(-1) }
    let later = ActionTimer { log.fired.append(2) }
    let first = ActionTimer {
      log.fired.append(1)
      queue.cancel(victim)
      queue.schedule(later, at: .uptimeNanoseconds(3))
    }
    queue.schedule(victim, at: .uptimeNanoseconds(2))
    queue.schedule(first, at: .uptimeNanoseconds(1))
    queue.advance(to: .uptimeNanoseconds(4))
    #expect(log.fired == [1, 2])
  }

  /// Against a model that sorts.
  @Test(arguments: 0..<20)
  func behavesLikeASortedList(seed: Int) {
    var random = SystemRandomNumberGenerator()
    let queue = TimerQueue(loop: EmbeddedEventLoop())
    let log = Log()
    let timers = (0..<50).map { number in ActionTimer { log.fired.append(number) } }
    var model: [Int: UInt64] = [:]
    var now: UInt64 = 0
    for _ in 0..<500 {
      let number = Int.random(in: 0..<50, using: &random)
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<6:
        let deadline = now + UInt64.random(in: 1...100, using: &random)
        queue.schedule(timers[number], at: .uptimeNanoseconds(deadline))
        model[number] = deadline
      case 6..<9:
        queue.cancel(timers[number])
        model[number] = nil
      default:
        now += UInt64.random(in: 1...50, using: &random)
        log.fired = []
        queue.advance(to: .uptimeNanoseconds(now))
        let due = model.filter { $0.value <= now }
        #expect(Set(log.fired) == Set(due.keys))
        #expect(log.fired.map { due[$0] ?? 0 } == due.values.sorted())
        for key in due.keys { model[key] = nil }
      }
      #expect(queue.count == model.count)
    }
  }
}
