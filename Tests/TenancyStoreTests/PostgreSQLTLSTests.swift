import TenancyDatabase
import Foundation
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

@Suite(.enabled(if: PostgreSQLServer.isInstalled, "\(PostgreSQLServer.whySkipped)"))
struct PostgreSQLTLSTests {
  @Test func onlyAServerWithAVerifiedNameIsTalkedTo() throws {
    let server = try PostgreSQLServer()
    try server.tell("tls")
    func open(
      _ host: String, _ authorities: String, certificate: String? = "client"
    ) throws(StoreError) -> PostgreSQLConnection {
      var configuration = PostgreSQLConfiguration(
        hosts: [.init(host, port: server.port)], database: "postgres", user: "tenancy")
      let directory = server.directory
      configuration.tls = .init(
        authorities: "\(directory)/\(authorities).pem",
        certificate: certificate.map { "\(directory)/\($0).pem" },
        privateKey: certificate.map { "\(directory)/\($0).key" })
      #expect(configuration.problem == nil)
      var connector = PostgreSQLConnector(configuration)
      return try connector.connect()
    }
    let connection = try open("localhost", "ca")
    let version = try connection.run(
      "SELECT version::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
      until: Deadline(in: .seconds(10)))
    #expect(version.row(0).text(0)?.hasPrefix("TLSv1.") == true)
    for (host, authorities, certificate, why) in [
      ("127.0.0.1", "ca", "client", "does not match host name"),
      ("localhost", "other", "client", "certificate verify failed"),
      ("localhost", "none", "client", "does not exist"),
      ("localhost", "ca", nil, "client certificate"),
    ] {
      let error = #expect(throws: StoreError.self) {
        try open(host, authorities, certificate: certificate)
      }
      #expect(error?.code == .unavailable)
      #expect(error?.description.contains(why) == true, "\(error?.description ?? "")")
    }
    // Without TLS there is no way in either: the server asks for it, and the client never goes without.
    var plain = PostgreSQLConfiguration(
      hosts: [.init("localhost", port: server.port)], database: "postgres", user: "tenancy")
    plain.passwordFile = "\(server.directory)/password"
    expectError(.unavailable) { _ = try PostgreSQLStore(plain) }
  }
}
