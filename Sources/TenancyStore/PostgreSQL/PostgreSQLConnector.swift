internal import FoundationEssentials
internal import Tenancy
import TenancyDatabase

/// Makes connections to whichever of the hosts takes writes.
struct PostgreSQLConnector {
  let configuration: PostgreSQLConfiguration
  /// The one that answered last is asked first: others may have to be waited for.
  private var preferred = 0

  init(_ configuration: PostgreSQLConfiguration) { self.configuration = configuration }

  /// Connects, and makes sure that what is committed is durable. Takes `connectTimeout` for each host at
  /// most, and as long as the system takes to look up their names.
  mutating func connect() throws(StoreError) -> PostgreSQLConnection {
    let hosts = configuration.hosts
    let password = try password()
    var failures: [String] = []
    for index in (0..<hosts.count).map({ ($0 + preferred) % hosts.count }) {
      do throws(PostgreSQLError) {
        // One at a time: the library would wait for one that does not answer, and never ask the next.
        let connection = try PostgreSQLConnection(
          configuration.parameters(for: hosts[index], password: password),
          until: Deadline(in: configuration.connectTimeout))
        preferred = index
        try settle(connection)
        return connection
      } catch {
        failures.append("\(hosts[index].name):\(hosts[index].port): \(error.message)")
      }
    }
    throw StoreError(.unavailable, "PostgreSQL: \(failures.joined(separator: "; "))")
  }

  private func password() throws(StoreError) -> String? {
    guard let file = configuration.passwordFile else { return nil }
    guard let data = FileManager.default.contents(atPath: file),
      let text = String(validating: data, as: UTF8.self), !text.utf8.contains(0)
    else { throw StoreError(.unavailable, "cannot read the password in \(file)") }
    let isTerminated = text.last?.isNewline ?? false
    return isTerminated ? String(text.dropLast()) : text
  }

  /// Durability rests on the server's settings, so they are checked, and raised where a session may.
  private func settle(_ connection: PostgreSQLConnection) throws(PostgreSQLError) {
    let deadline = Deadline(in: configuration.answerTimeout)
    let row = try connection.run(
      """
      SELECT current_setting('server_version_num')::int, current_setting('server_encoding')::text,
        current_setting('fsync')::text, current_setting('synchronous_commit')::text,
        pid, backend_start::text
      FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid()
      """, until: deadline
    ).row(0)
    guard let version = row.integer(0), version >= Self.oldestVersion else {
      throw PostgreSQLError(.server, "a server of version 14 or newer is needed")
    }
    guard row.text(1) == "UTF8" else {
      throw PostgreSQLError(.server, "the database's encoding is not UTF8")
    }
    guard row.text(2) == "on" else {
      throw PostgreSQLError(.server, "the server has fsync off: it loses what it has committed")
    }
    if let number = row.integer(4), let start = row.text(5) {
      connection.backend = PostgreSQLBackend(number: number, start: start)
    }
    // With these a commit waits for this server's disk and, where there is one, for the standby's.
    guard let level = row.text(3), !["on", "remote_apply"].contains(level) else { return }
    try connection.run("SET synchronous_commit = on", until: deadline)
  }

  /// The first whose `pg_terminate_backend` can wait.
  private static let oldestVersion: Int64 = 140_000
}
