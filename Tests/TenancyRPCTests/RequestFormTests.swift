import Testing

@testable import TenancyRPCServer

@Suite("Which requests are HTTP")
struct RequestFormTests {
  private static let good = [
    (":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), (":authority", "localhost"),
    ("te", "trailers"), ("content-type", "application/grpc"), ("x-custom", "a b\tc é"),
  ]

  /// Whether the headers are those of a request, followed by DATA of these sizes.
  private static func isWhole(_ fields: [(String, String)], data: [Int] = []) -> Bool {
    var form = RequestForm()
    for (name, value) in fields {
      let isTaken = Array(name.utf8).withUnsafeBytes { name in
        Array(value.utf8).withUnsafeBytes { value in
          RequestField(name).map { form.take($0, value) } ?? false
        }
      }
      guard isTaken else { return false }
    }
    return form.headersAreWhole && data.allSatisfy { form.data($0) } && form.bodyIsWhole
  }

  @Test func requestsAreTaken() {
    #expect(Self.isWhole(Self.good, data: [5, 7]))
    // Some clients send the path of a Unix socket.
    var unix = Self.good
    unix[3].1 = "/run/tenantd.sock"
    #expect(Self.isWhole(unix))
    #expect(Self.isWhole(Self.good.filter { $0.0 != ":authority" }))
    #expect(Self.isWhole(Self.good + [("content-length", "12")], data: [5, 7]))
    #expect(Self.isWhole(Self.good + [("content-length", "0")]))
    #expect(Self.isWhole([(":method", "OPTIONS"), (":scheme", "http"), (":path", "*")]))
    #expect(Self.isWhole([(":method", "CONNECT"), (":authority", "a:1")]))
  }

  @Test(arguments: [
    (":status", "200"), (":unknown", "x"), ("X-Upper", "a"), ("", "a"), ("a b", "c"), ("a:b", "c"),
    ("é", "a"), ("connection", "close"), ("keep-alive", "1"), ("proxy-connection", "close"),
    ("transfer-encoding", "chunked"), ("upgrade", "h2c"), ("te", "gzip"), ("te", ""),
    (":path", "/again"), ("content-length", "x"), ("content-length", ""), ("content-length", "-1"),
    ("content-length", "9999999999999999999"), ("x-a", "b\n"), ("x-a", "b\rc"), ("x-a", "\0"),
    ("x-a", " b"), ("x-a", "b "), ("x-a", "\tb"), ("x-a", "\u{7F}"),
  ])
  func oneMoreFieldSpoilsIt(name: String, value: String) {
    #expect(!Self.isWhole(Self.good + [(name, value)]))
  }

  @Test(arguments: [":method", ":scheme", ":path"])
  func pseudoHeadersAreNeededOnceAndFirst(name: String) throws {
    #expect(!Self.isWhole(Self.good.filter { $0.0 != name }))
    let field = try #require(Self.good.first { $0.0 == name })
    #expect(!Self.isWhole([field] + Self.good))
    #expect(!Self.isWhole(Self.good.filter { $0.0 != name } + [field]))
    #expect(!Self.isWhole(Self.good.map { $0.0 == name ? (name, "") : $0 }))
  }

  @Test(arguments: ["a", "*", "http://localhost/a"])
  func pathsAreAbsolute(path: String) {
    #expect(!Self.isWhole(Self.good.map { $0.0 == ":path" ? (":path", path) : $0 }))
  }

  @Test func lengthsAreKept() {
    let announced = Self.good + [("content-length", "10")]
    #expect(!Self.isWhole(announced))
    #expect(!Self.isWhole(announced, data: [9]))
    #expect(!Self.isWhole(announced, data: [9, 2]))
    #expect(!Self.isWhole(announced + [("content-length", "10")], data: [10]))
  }

  @Test func connectHasNoPath() {
    let connect = [(":method", "CONNECT"), (":authority", "a:1")]
    #expect(!Self.isWhole(connect + [(":path", "/")]))
    #expect(!Self.isWhole([connect[0]]))
  }

  @Test func trailersAreFieldsOnly() {
    for (field, isTaken) in [(RequestField.custom, true), (.reserved, true), (.path, false)] {
      #expect(
        Array("x".utf8).withUnsafeBytes { RequestForm.takesTrailer(field, $0) } == isTaken)
    }
    #expect(!Array("\n".utf8).withUnsafeBytes { RequestForm.takesTrailer(.custom, $0) })
  }
}
