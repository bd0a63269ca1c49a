internal import Dispatch
internal import Glibc
internal import Synchronization
internal import Tenancy
import TenancyDatabase

/// Hears of new revisions, on a connection and a thread of its own, until it is stopped or let go. A lost
/// connection is made anew, with growing pauses. Thread-safe.
public final class PostgreSQLListener: Sendable {
  private let stopping: StopPipe
  private let finished = DispatchGroup()

  init(
    _ configuration: PostgreSQLConfiguration, onChange: @escaping @Sendable (UInt64?) -> Void,
    onFailure: @escaping @Sendable (StoreError) -> Void
  ) throws(StoreError) {
    let stopping = try StopPipe()
    self.stopping = stopping
    let loop = ListeningLoop(
      configuration: configuration, stopping: stopping, onChange: onChange, onFailure: onFailure)
    DispatchQueue(label: "tenancy.postgresql.listener").async(group: finished) { loop.run() }
  }

  deinit { stopping.signal() }

  /// Returns when `onChange` is not being called any more. Not to be called by it.
  public func stop() {
    stopping.signal()
    finished.wait()
  }
}

private struct ListeningLoop: Sendable {
  let configuration: PostgreSQLConfiguration
  let stopping: StopPipe
  /// With the last revision, where it is known.
  let onChange: @Sendable (UInt64?) -> Void
  let onFailure: @Sendable (StoreError) -> Void

  func run() {
    var connector = PostgreSQLConnector(configuration)
    var backoff = Backoff()
    var random = SystemRandomNumberGenerator()
    while !stopping.isSignalled {
      do throws(StoreError) {
        let connection = try connector.connect()
        try asStoreError { () throws(PostgreSQLError) in
          try connection.run("LISTEN \(configuration.channel)", until: deadline)
          backoff.succeed()
          // What was notified before is not heard of.
          onChange(nil)
          try hear(connection)
        }
      } catch {
        onFailure(error)
        _ = Deadline(in: backoff.fail(using: &random)).wait(for: [stopping.event])
        if !stopping.isSignalled { onChange(nil) }
      }
    }
  }

  /// Until stopped.
  private func hear(_ connection: PostgreSQLConnection) throws(PostgreSQLError) {
    var lastLook = ContinuousClock.now
    while true {
      let ready = Deadline(in: configuration.pollInterval).wait(
        for: [(connection.descriptor, POLLIN), stopping.event])
      if stopping.isSignalled { return }
      if ready[0] {
        try tell(connection)
        // Others' writes may come without end, and a notification may be lost between two.
        if lastLook.duration(to: .now) < configuration.pollInterval { continue }
      }
      lastLook = .now
      onChange(nil)
      // Whether there is still someone who would notify.
      try connection.run("SELECT 1", until: deadline)
      // Came with the answer, so that the descriptor does not tell.
      try tell(connection)
    }
  }

  /// Of several notifications the last is enough.
  private func tell(_ connection: PostgreSQLConnection) throws(PostgreSQLError) {
    let payloads = try connection.notifications()
    if payloads.isEmpty { return }
    let revisions = payloads.map { UInt64($0) }
    onChange(revisions.contains(nil) ? nil : revisions.compactMap(\.self).max())
  }

  private var deadline: Deadline { Deadline(in: configuration.answerTimeout) }
}

/// What a wait in poll(2) is ended with.
private final class StopPipe: Sendable {
  private let reading: Int32
  private let writing: Int32
  private let signalled = Atomic(false)

  init() throws(StoreError) {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw StoreError(.unavailable, "no descriptors are left") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    (reading, writing) = (ends[0], ends[1])
  }

  deinit {
    close(reading)
    close(writing)
  }

  var event: (Int32, events: Int32) { (reading, POLLIN) }
  var isSignalled: Bool { signalled.load(ordering: .acquiring) }

  func signal() {
    guard !signalled.exchange(true, ordering: .acquiringAndReleasing) else { return }
    // Fits into an empty pipe: it is written once.
    _ = write(writing, [0], 1)
  }
}
