import TenancyDatabase
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

@Suite(.enabled(if: PostgreSQLServer.isInstalled, "\(PostgreSQLServer.whySkipped)"))
struct LogFollowerTests {
  private let server: PostgreSQLServer
  private let schema = PostgreSQLServer.newSchema()

  init() throws { server = try PostgreSQLServer.shared.get() }

  private func node(
    pollInterval: Duration
  ) throws -> (plane: ControlPlane, follower: LogFollower) {
    var configuration = server.configuration(schema: schema)
    configuration.pollInterval = pollInterval
    let store = try PostgreSQLStore(configuration, isAudited: false)
    let plane = try ControlPlane(store: store, clock: { Timestamp(nanoseconds: 1) })
    return (plane, try LogFollower(plane, on: store))
  }

  private func put(_ number: UInt64, on plane: ControlPlane) async throws {
    try await plane.write(actor: "test", action: "put") { (transaction) throws(TenancyError) in
      transaction.emit(.putTenant(Sample.tenant(number)), about: Sample.id(number))
    }
  }

  /// By a subscription, which is woken by what the follower takes over and by nothing else.
  private func waitForEntry(_ revision: UInt64, on plane: ControlPlane) async throws {
    for try await entry in plane.subscribe(after: revision - 1) {
      #expect(entry.revision == revision)
      return
    }
    Issue.record("the subscription has ended")
  }

  @Test(.timeLimit(.minutes(1))) func notificationsBringWhatOthersWrite() async throws {
    let (one, other) = (
      try node(pollInterval: .seconds(600)), try node(pollInterval: .seconds(600))
    )
    for revision in 1...20 as ClosedRange<UInt64> {
      let (writer, reader) = revision % 2 == 0 ? (one, other) : (other, one)
      try await put(revision, on: writer.plane)
      try await waitForEntry(revision, on: reader.plane)
      #expect(reader.plane.state.find(Sample.id(revision)) != nil)
    }
    for node in [one, other] {
      await node.follower.stop()
      await node.plane.close()
    }
  }

  @Test(.timeLimit(.minutes(1))) func whatIsNotNotifiedIsFoundAtTheInterval() async throws {
    let node = try node(pollInterval: .milliseconds(50))
    for revision in 1...3 as ClosedRange<UInt64> {
      try server.execute(
        "UPDATE tenancy_revision SET revision = \(revision);"
          + "INSERT INTO log (revision, time, actor, action, changes, form) "
          + "VALUES (\(revision), 0, 'a', 'b', '[]', 1)", schema: schema)
      try await waitForEntry(revision, on: node.plane)
    }
    await node.follower.stop()
    await node.plane.close()
  }
}
