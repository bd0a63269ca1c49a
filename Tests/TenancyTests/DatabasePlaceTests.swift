import TenancyTestSupport
import Testing

@testable import Tenancy

struct DatabasePlaceTests {
  private func place(_ text: String, _ user: String = "u") -> DatabasePlace {
    DatabasePlace(connectionString: text, username: user)
  }

  @Test(arguments: [
    "postgres://db.example/app", "postgresql://DB.EXAMPLE/app", "postgresql://db.example./app",
    "postgres://db.example:5432/app", "postgres://db.example:05432/app",
    "postgres://x@db.example/app",
    "postgres://db.example/%61pp", "postgres://%64b.example/app",
    "postgres://db.example/app?sslmode=require",
    "postgres:///app?host=db.example", "postgres:///?dbname=app&host=db.example",
    "postgres://db.example?%64bname=app", "jdbc:postgresql://db.example/app",
    "postgresql+psycopg://db.example/app", "host=db.example dbname=app",
    "dbname=app host=db.example",
    "  host = 'db.example'   dbname = app port=5432", "host=db.example\tdbname='a\\pp'",
    "dbname=app\nhost=Db.Example. sslmode=disable", "Host=db.example;Database=app",
    "Database = app; Host = DB.example ;Port=5432;",
    "Server=db.example;Port=5432;Initial Catalog=app",
    "Data Source=tcp:db.example,5432;Database='app'", "db.example:5432/app",
    "host=other hostaddr=db.example dbname=app",
  ])
  func spellingsOfOneDatabaseAreEqual(_ text: String) {
    #expect(place(text) == place("postgres://db.example/app"))
  }

  /// Forms that are not known, or that name more than a server and a database.
  @Test(arguments: [
    ("app@tcp(db1:3306)/acme?parseTime=true", "app@tcp(db2:3306)/acme?parseTime=true"),
    ("jdbc:oracle:thin:@(DESCRIPTION=(HOST=a))", "jdbc:oracle:thin:@(DESCRIPTION=(HOST=b))"),
    ("(DESCRIPTION=(ADDRESS=(HOST=a)(PORT=1)))", "(DESCRIPTION=(ADDRESS=(HOST=b)(PORT=1)))"),
    ("DSN=acme;UID=app", "DSN=globex;UID=app"), ("account=a;db=main", "account=b;db=main"),
    ("Server=h;InstanceName=A;Database=x", "Server=h;InstanceName=B;Database=x"),
    ("service=a", "service=b"), ("x=1;y=2", "x=1;y=3"), ("one", "two"),
  ])
  func whatIsNotKnownIsToldApart(one: String, other: String) {
    #expect(place(one) != place(other))
    #expect(place(one) == place(one))
  }

  @Test(arguments: [
    ("postgres://localhost/a", "postgres://127.0.0.1/a"), ("postgres://[::1]/a", "dbname=a"),
    ("postgres:///a", "host=LOCALHOST dbname=a"), ("postgres://h/u", "postgres://h"),
    ("host=h", "host=h dbname=u"), ("postgres://a,b:1/x", "postgres://b:1,a:5432/x"),
    ("host=a,b port=1,2 dbname=x", "postgres://b:2,a:1/x"),
    ("host=a,b port=7 dbname=x", "postgres://b:7,a:7/x"),
    ("host=/run/pg/ dbname=x", "postgres://%2Frun%2Fpg/x"), ("mysql://h/a", "mysql://H:3306/a"),
    ("sqlserver://h;databaseName=a", "sqlserver://h:1433;database=a"), ("Garbage", "garbage"),
  ])
  func theseAreEqualToo(_ first: String, _ second: String) {
    #expect(place(first) == place(second))
  }

  @Test func theUserOfTheStringCountsWhereNoneIsGiven() {
    #expect(place("postgres://u@h/a", "") == place("postgres://h/a"))
    #expect(place("host=h dbname=a user=u", "") == place("postgres://h/a?user=u", ""))
    #expect(place("host=h dbname=a user=v", "") != place("host=h dbname=a user=u", ""))
    #expect(place("postgres://v@h/a") == place("postgres://w@h/a"))
  }

  @Test(arguments: [
    "postgres://db.example/App", "postgres://db2.example/app", "postgres://db.example:5433/app",
    "postgres://db.example/app/x", "host=db.example dbname=app2", "host=db.example",
    "mysql://db.example/app", "host=/db.example dbname=app", "", "postgres://db.example,other/app",
  ])
  func othersDiffer(_ text: String) {
    #expect(place(text) != place("postgres://db.example/app"))
    #expect(place("postgres://db.example/app", "v") != place("postgres://db.example/app"))
  }

  /// Whatever is written, in any of the forms, is read alike; and nothing that is written traps.
  @Test func formsAgreeOnRandomPlaces() {
    var random = SeededGenerator(seed: 3)
    let characters = Array("abzAZ09_.-")
    func word() -> String {
      String((0..<Int.random(in: 1...12, using: &random)).map { _ in random.pick(characters) })
    }
    func encoded(_ text: String) -> String {
      text.utf8.map { byte in
        random.chance(of: 1, in: 3)
          ? "%" + String(byte, radix: 16, uppercase: random.chance(of: 1, in: 2))
          : String(Unicode.Scalar(byte))
      }.joined()
    }
    for _ in 0..<2000 {
      let (host, database, user) = ("h" + word(), word(), word())
      let port = Int.random(in: 1...65_535, using: &random)
      let forms = [
        "postgres://\(encoded(host)):\(port)/\(encoded(database))",
        "postgresql://\(host.uppercased()):\(port)/\(database)?application_name=\(word())",
        "port=\(port) dbname='\(database)' host=\(host).",
        "Host=\(host);Database=\(database);Port=\(port)",
      ].map { place($0, user) }
      #expect(Set(forms).count == 1, "\(forms)")
    }
    let noise = Array("=;:/@?#&%'\\ [],.a1é")
    for _ in 0..<5000 {
      let text = String(
        (0..<Int.random(in: 0...20, using: &random)).map { _ in random.pick(noise) })
      #expect(place(text) == place(text))
    }
  }
}
