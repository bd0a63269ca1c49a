import TenancyDatabase
import TenancyTestSupport
import Testing

@testable import TenancyStore

/// What needs no server.
@Suite struct PostgreSQLPartsTests {
  @Test func pausesGrowToALimitAndEndWithASuccess() {
    var random = SeededGenerator(seed: 1)
    var backoff = Backoff()
    #expect(backoff.remaining == nil)
    var expected = Backoff.first
    for _ in 0..<12 {
      let pause = backoff.fail(using: &random)
      #expect(pause >= expected / 2 && pause <= expected)
      expected = min(expected * 2, Backoff.limit)
      #expect(backoff.remaining != nil)
    }
    #expect(expected == Backoff.limit)
    backoff.succeed()
    #expect(backoff.remaining == nil)
    #expect(backoff.fail(using: &random) <= Backoff.first)
  }

  @Test(arguments: [
    "", "plain", "\u{0}", "\u{10}", "\u{10}0", "a\u{0}\u{10}\u{0}b", "ünï\u{10}\u{1F511}",
  ])
  func textWithoutNULComesBack(_ text: String) {
    let encoded = NULFreeText.encode(text)
    #expect(!encoded.utf8.contains(0))
    #expect(NULFreeText.decode(encoded) == text)
  }

  @Test(arguments: ["\u{10}", "x\u{10}1", "\u{10}\u{10}\u{10}"])
  func textThatIsNotOursIsRefused(_ text: String) { #expect(NULFreeText.decode(text) == nil) }

  @Test func errorsAreOneLineHoweverLongTheStatement() {
    let sql = "CREATE TABLE x (\n  y TEXT\n);\n" + String(repeating: "SELECT 1;\n", count: 100)
    let errors = [
      SQLiteError(code: 1, message: "m", sql: sql).description,
      PostgreSQLError(.server, "m", sqlState: "42601", statement: sql).description,
    ]
    for error in errors {
      #expect(error.contains("m in: CREATE TABLE x ( y TEXT ); SELECT 1;"))
      #expect(!error.contains("\n") && error.count < 300)
    }
  }

  @Test func aConnectionStringIsRead() throws {
    let text = """
      host=a,b port=1,2 dbname=d user='u v' sslrootcert=/ca sslcert=/c sslkey=/k application_name=n
      """
    let configuration = try PostgreSQLConfiguration(connectionString: text)
    #expect(configuration.hosts == [.init("a", port: 1), .init("b", port: 2)])
    #expect(configuration.database == "d")
    #expect(configuration.user == "u v")
    #expect(configuration.applicationName == "n")
    #expect(
      configuration.tls == .init(authorities: "/ca", certificate: "/c", privateKey: "/k"))
    #expect(configuration.problem == nil)
    let uri = try PostgreSQLConfiguration(
      connectionString: "postgresql://u@db.example:6432/d?sslrootcert=/ca")
    #expect(uri.hosts == [.init("db.example", port: 6432)])
    #expect(uri.tls == .init(authorities: "/ca"))
    let local = try PostgreSQLConfiguration(connectionString: "host=/run/pg dbname=d user=u")
    #expect(local.hosts == [.init("/run/pg")])
    #expect(local.tls == nil && local.problem == nil)
  }

  @Test(arguments: [
    "", "host", "host=a", "host=a dbname=d", "host=a dbname=d user=u",
    "host=a dbname=d user=u password=s3cr3t sslmode=disable",
    "postgresql://u:s3cr3t@a/d?sslmode=disable",
    "host=a dbname=d user=u sslmode=require", "host=a dbname=d user=u sslmode=prefer",
    "host=a dbname=d user=u sslmode=disable options=-cfsync=off",
    "host=a dbname=d user=u sslmode=disable sslrootcert=/ca",
    "host=a dbname=d user=u sslmode=disable target_session_attrs=any",
    "host=a,,b dbname=d user=u sslmode=disable", "host=a port=0 dbname=d user=u sslmode=disable",
    "host=a,b port=1,2,3 dbname=d user=u sslmode=disable",
    "host=a dbname=d user=u sslmode=disable s3cr3t=1", "host=a 's3cr3t",
  ])
  func aConnectionStringThatIsNotForUsIsRefused(_ text: String) {
    let error = #expect(throws: ConnectionStringError.self) {
      try PostgreSQLConfiguration(connectionString: text)
    }
    #expect(error?.description.contains("s3cr3t") == false)
  }

  @Test func anythingButAVerifiedConnectionIsForThisMachine() {
    func problem(_ change: (inout PostgreSQLConfiguration) -> Void) -> String? {
      var configuration = PostgreSQLConfiguration(
        hosts: [.init("/run/postgresql"), .init("127.0.0.1"), .init("localhost")], database: "d",
        user: "u")
      change(&configuration)
      return configuration.problem
    }
    #expect(problem { _ in } == nil)
    #expect(problem { $0.hosts.append(.init("db.example")) } != nil)
    #expect(
      problem {
        $0.hosts.append(.init("db.example"))
        $0.tls = .init(authorities: "/ca")
      } == nil)
    #expect(problem { $0.hosts = [] } != nil)
    #expect(problem { $0.hosts = [.init("a,b")] } != nil)
    #expect(problem { $0.user = "" } != nil)
    #expect(problem { $0.tls = .init(authorities: "/ca", certificate: "/c") } != nil)
    for schema in [
      "", "Upper", "a-b", "1a", "pg_x", "public", "a b", "a;", String(repeating: "a", count: 59),
    ] {
      #expect(problem { $0.schema = schema } != nil, "\(schema)")
    }
    #expect(problem { $0.schema = String(repeating: "a", count: 58) } == nil)
  }

  @Test func onlyVerifiedTLSIsAskedFor() {
    var configuration = PostgreSQLConfiguration(hosts: [.init("a")], database: "d", user: "u")
    configuration.tls = .init(authorities: "/ca", certificate: "/c", privateKey: "/k")
    let parameters = Dictionary(
      uniqueKeysWithValues: configuration.parameters(for: .init("a"), password: "p").map {
        ($0.keyword, $0.value)
      })
    #expect(parameters["sslmode"] == "verify-full")
    #expect(parameters["sslrootcert"] == "/ca")
    #expect(parameters["sslcert"] == "/c")
    #expect(parameters["gssencmode"] == "disable")
    #expect(parameters["target_session_attrs"] == "read-write")
    #expect(parameters["options"]?.contains("statement_timeout=5000") == true)
  }
}
