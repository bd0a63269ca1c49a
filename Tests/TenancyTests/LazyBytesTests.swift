import Synchronization
import Testing

@testable import Tenancy

struct LazyBytesTests {
  private func copy(_ bytes: borrowing LazyBytes, made make: () -> [UInt8]) -> [UInt8] {
    bytes.withBytes(made: make) { span in unsafe span.withUnsafeBytes { unsafe [UInt8]($0) } }
  }

  @Test(arguments: [0, 1, 7, 8, 4096])
  func theyAreMadeOnce(_ count: Int) {
    let bytes = LazyBytes()
    var made = 0
    for _ in 0..<3 {
      let seen = copy(bytes) {
        made += 1
        return (0..<count).map { UInt8(truncatingIfNeeded: $0) }
      }
      #expect(seen == (0..<count).map { UInt8(truncatingIfNeeded: $0) })
    }
    #expect(made == 1)
  }

  /// Of those that many threads make at once one stays, and all see that one.
  @Test func oneStays() async {
    final class Holder: Sendable {
      let bytes = LazyBytes()
    }
    for round in 0..<200 {
      let holder = Holder()
      let seen = await withTaskGroup(of: [UInt8].self) { group in
        for task in 0..<8 {
          group.addTask {
            _ = holder.bytes.withBytes(made: { [UInt8(task), UInt8(round)] }) { $0.byteCount }
            return self.copy(holder.bytes) { [] }
          }
        }
        return await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
      }
      #expect(seen.count == 1 && seen.first?.count == 2)
    }
  }
}
