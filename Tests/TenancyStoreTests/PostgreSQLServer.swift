import TenancyDatabase
import Synchronization
import TenancyTestSupport

@testable import TenancyStore

/// Schemas' names that were given.
private let schemas = Atomic(0)

extension PostgreSQLServer {
  /// Over the socket, with short timeouts.
  func configuration(schema: String) -> PostgreSQLConfiguration {
    var configuration = PostgreSQLConfiguration(
      hosts: [.init(directory, port: port)], database: "postgres", user: "tenancy")
    configuration.schema = schema
    return configuration
  }

  /// Another connection, behind the store's back.
  func connect(schema: String = "tenancy") throws -> PostgreSQLConnection {
    var connector = PostgreSQLConnector(configuration(schema: schema))
    return try connector.connect()
  }

  func execute(_ sql: String, schema: String) throws {
    try connect(schema: schema).runScript(sql, until: Deadline(in: .seconds(30)))
  }

  func text(_ sql: String, schema: String) throws -> String? {
    try connect(schema: schema).run(sql, until: Deadline(in: .seconds(30))).row(0).text(0)
  }

  /// The name of a schema that is not there yet.
  static func newSchema() -> String {
    "t\(schemas.add(1, ordering: .relaxed).newValue)_\(UInt32.random(in: 0..<1_000_000))"
  }
}
