import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyFetch

/// Answers as they should be, and as they should not.
struct HTTPResponseReaderTests {
  /// The same whatever pieces it comes in.
  private func read(_ text: String, sizes: [Int] = [1, 3, 1 << 20]) throws -> HTTPDocument {
    let bytes = Array(text.utf8)
    var found: Result<HTTPDocument, FetchFailure>?
    for size in sizes {
      let result = Result { () throws(FetchFailure) in try read(bytes, size) }
      if let found { #expect(found == result, "in pieces of \(size)") }
      found = result
    }
    return try #require(found).get()
  }

  private func read(_ bytes: [UInt8], _ size: Int) throws(FetchFailure) -> HTTPDocument {
    var reader = HTTPResponseReader()
    for start in stride(from: 0, to: bytes.count, by: size) {
      try reader.receive(bytes[start..<min(bytes.count, start + size)])
    }
    return try reader.end()
  }

  private func text(_ fields: String..., body: String = "") -> String {
    "HTTP/1.1 200 OK\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n" + body
  }

  @Test func lengths() throws {
    #expect(try read(text("Content-Length: 2", body: "{}")).body == Array("{}".utf8))
    #expect(try read(text("content-length:  2\t", body: "{}")).body.count == 2)
    #expect(try read(text("Content-Length: 0")).body.isEmpty)
    #expect(try read("HTTP/1.0 200\r\nContent-Length: 1\r\n\r\nx").body == Array("x".utf8))
    #expect(try read("HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx").body == Array("x".utf8))
  }

  @Test func chunks() throws {
    let body = "3\r\nabc\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\n"
    let chunked = "Transfer-Encoding: Chunked"
    #expect(
      try read(text(chunked, body: body + "\r\n")).body == Array("abc0123456789".utf8))
    #expect(try read(text(chunked, body: body + "Trailer: x\r\n\r\n")).body.count == 13)
    #expect(try read(text(chunked, body: "0\r\n\r\n")).body.isEmpty)
  }

  @Test func interimAnswers() throws {
    let interim = "HTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\nLink: x\r\n\r\n"
    let answer = text("Content-Length: 2", body: "{}")
    #expect(try read(String(repeating: interim, count: 4) + answer).body.count == 2)
    #expect(throws: FetchFailure.self) {
      try read(String(repeating: interim, count: 5) + answer)
    }
    #expect(throws: FetchFailure.self) { try read("HTTP/1.1 101 X\r\n\r\n" + answer) }
  }

  @Test(arguments: [
    "", "\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\n\n", "HTTP/2 200 OK\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 200OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n", "HTTP/1.1 +20 OK\r\n\r\n",
  ])
  func statusLines(_ start: String) {
    #expect(throws: FetchFailure.self) { try read(start) }
  }

  @Test(arguments: ["201", "204", "206", "301", "302", "307", "308", "304", "400", "404", "500"])
  func otherStatus(_ status: String) {
    #expect(throws: FetchFailure.self) {
      try read("HTTP/1.1 \(status) X\r\nContent-Length: 2\r\n\r\n{}")
    }
  }

  @Test(arguments: [
    ["Content-Length: 2", "Content-Length: 2"], ["Content-Length: 2, 2"], ["Content-Length: +2"],
    ["Content-Length: -2"], ["Content-Length: 0x2"], ["Content-Length: "], ["Content-Length: 2 2"],
    ["Content-Length: 99999999999999999999"], ["Content-Length: 65537"], ["Content-Length: 3"],
    ["Content-Length: 1"], [], ["Content-Length 2"], [": 2", "Content-Length: 2"],
    ["Content-Length : 2"], [" Content-Length: 2"], ["Content-Length: 2", " folded"],
    ["Content-Length: 2", "X: a\rb"], ["Content-Length: 2", "X: a\u{0}b"],
    ["Content-Length: 2", "X\u{E9}: a"], ["Content-Length: 2", "Content-Encoding: gzip"],
    ["Content-Length: 2", "Transfer-Encoding: chunked"], ["Transfer-Encoding: gzip, chunked"],
    ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], ["Transfer-Encoding: identity"],
    ["Transfer-Encoding: xchunked"], ["Transfer-Encoding: chun\u{212A}ed"],
    ["Transfer-Encoding: chunked\u{301}"], ["Transfer-Encoding:\u{0B}chunked"],
  ])
  func heads(_ fields: [String]) {
    let head = fields.map { $0 + "\r\n" }.joined()
    #expect(throws: FetchFailure.self) { try read("HTTP/1.1 200 OK\r\n\(head)\r\n{}") }
  }

  @Test(arguments: [
    "", "2\r\n{}\r\n", "2\r\n{}\r\n0\r\n", "2\r\n{}0\r\n\r\n", "2\r\n{}\r\n\r\n",
    "2\n{}\r\n0\r\n\r\n",
    "3\r\n{}\r\n0\r\n\r\n", "1\r\n{}\r\n0\r\n\r\n", "x\r\n{}\r\n0\r\n\r\n", "+2\r\n{}\r\n0\r\n\r\n",
    " 2\r\n{}\r\n0\r\n\r\n", "2 \r\n{}\r\n0\r\n\r\n", "0x2\r\n{}\r\n0\r\n\r\n",
    ";\r\n{}\r\n0\r\n\r\n",
    "FFFFFFFFFFFFFFFF\r\n", "000000002\r\n{}\r\n0\r\n\r\n", "10001\r\n", "٢\r\n{}\r\n0\r\n\r\n",
    "2\r\n{}\r\n0\r\n\r\nx", "0\r\nno colon\r\n\r\n",
  ])
  func wrongChunks(_ body: String) {
    #expect(throws: FetchFailure.self) {
      try read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(body)")
    }
  }

  @Test func oldServersHaveNoChunks() {
    #expect(throws: FetchFailure.self) {
      try read("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    }
  }

  @Test func bounds() throws {
    let whole = [1 << 20]
    func body(_ count: Int) -> String { String(repeating: "x", count: count) }
    let most = HTTPResponseReader.maximumBodyBytes
    #expect(
      try read(text("Content-Length: \(most)", body: body(most)), sizes: whole).body.count == most)
    // A byte in each chunk: more around it than in it.
    let bytewise = String(repeating: "1\r\nx\r\n", count: 40_000) + "0\r\n\r\n"
    #expect(
      try read(text("Transfer-Encoding: chunked", body: bytewise), sizes: whole).body.count
        == 40_000)
    #expect(throws: FetchFailure.self) {
      try read(
        text(
          "Transfer-Encoding: chunked",
          body: String(repeating: "1\r\nx\r\n", count: 50_000) + "0\r\n\r\n"), sizes: whole)
    }
    let length = "Content-Length: 0"
    let line = "X: " + body(HTTPResponseReader.maximumLineBytes - 3)
    #expect(try read(text(line, length), sizes: [7, 1 << 20]).body.isEmpty)
    #expect(throws: FetchFailure.self) {
      try read(text(line + "x", length), sizes: [7, 1 << 20])
    }
    // Also where it has no end.
    #expect(throws: FetchFailure.self) {
      var reader = HTTPResponseReader()
      try reader.receive(Array(body(HTTPResponseReader.maximumLineBytes + 2).utf8)[...])
    }
    let fields = Array(repeating: "X: y", count: HTTPResponseReader.maximumFields - 1)
    let most200 = "HTTP/1.1 200 OK\r\n"
    func head(_ fields: [String]) -> String {
      most200 + fields.map { $0 + "\r\n" }.joined() + "\r\n"
    }
    #expect(try read(head(fields + [length]), sizes: whole).body.isEmpty)
    #expect(throws: FetchFailure.self) {
      try read(head(fields + ["X: y", length]), sizes: whole)
    }
  }

  @Test(
    arguments: [
      ([], nil), (["max-age=300"], 300), (["public, Max-Age=300"], 300), (["max-age=\"30\""], 30),
      (["max-age=300, max-age=60"], 60), (["no-store"], 0), (["no-cache, max-age=5"], 0),
      (["max-age"], nil), (["max-age=-1"], nil), (["max-age=x"], nil), (["x-max-age=5"], nil),
      (["max-age=99999999999999999999"], nil), (["s-maxage=5"], nil),
    ] as [([String], Int?)])
  func ages(_ directives: [String], _ age: Int?) throws {
    let fields = directives.map { "Cache-Control: \($0)\r\n" }.joined()
    let start = "HTTP/1.1 200 OK\r\n\(fields)"
    let end = "Content-Length: 0\r\n\r\n"
    #expect(try read(start + end).maximumAge == age)
    #expect(try read(start + "Age: 100\r\n" + end).maximumAge == age.map { max(0, $0 - 100) })
  }

  @Test func requests() throws {
    let url = try #require(HTTPSURL(parsing: "https://id.test:8443/keys?a=b"))
    let text = String(decoding: HTTPSFetcher.request(url), as: UTF8.self)
    #expect(text.hasPrefix("GET /keys?a=b HTTP/1.1\r\nHost: id.test:8443\r\n"))
    #expect(text.hasSuffix("\r\nConnection: close\r\n\r\n"))
  }
}
