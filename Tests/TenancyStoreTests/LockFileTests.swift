import Foundation
import Synchronization
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

struct LockFileTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test func whoComesSecondIsRefusedAndMayTryAgain() throws {
    let path = directory.file("lock")
    var first: LockFile? = try LockFile(path: path)
    #expect(throws: StoreError.self) { try LockFile(path: path) }
    // The one that failed has not let go of the first one's lock.
    #expect(throws: StoreError.self) { try LockFile(path: path) }
    withExtendedLifetime(first) {}
    first = nil
    _ = try LockFile(path: path)
  }

  /// A descriptor that is closed twice is, the second time, somebody else's.
  @Test func aRefusalClosesNothingOfOthers() async throws {
    let path = directory.file("lock")
    let first = try LockFile(path: path)
    let witness = Witness()
    let lost = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<2 { group.addTask { witness.watch() } }
      for _ in 0..<20_000 {
        // It is locked: that is the point.
        _ = try? LockFile(path: path)
      }
      witness.stop()
      return await group.reduce(0, +)
    }
    #expect(lost == 0)
    withExtendedLifetime(first) {}
  }
}

/// Opens and closes files of its own.
private final class Witness: Sendable {
  private let isDone = Atomic(false)

  func stop() { isDone.store(true, ordering: .relaxed) }

  /// How many of them were closed by others, until it is stopped.
  func watch() -> Int {
    var lost = 0
    while !isDone.load(ordering: .relaxed) {
      let mine = open("/dev/null", O_RDONLY | O_CLOEXEC)
      if fcntl(mine, F_GETFD) < 0 { lost += 1 }
      if close(mine) != 0 { lost += 1 }
    }
    return lost
  }
}
