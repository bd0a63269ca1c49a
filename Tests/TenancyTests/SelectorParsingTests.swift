import TenancyTestSupport
import Testing

@testable import Tenancy

/// What a selector comes to.
private enum Outcome: Equatable {
  case name(String)
  case nothing
  case malformed

  init(_ text: String, _ parse: () throws(TenancyError) -> Range<Int>?) {
    do throws(TenancyError) {
      guard let range = try parse() else {
        self = .nothing
        return
      }
      self = .name(String(decoding: Array(text.utf8)[range], as: UTF8.self))
    } catch {
      #expect(error.reason == .malformedSelector)
      #expect(error.category == .invalidArgument)
      #expect(error.violations.count == 1)
      self = .malformed
    }
  }
}

struct SelectorParsingTests {
  private static func path(_ text: String, prefix: String = "/tenants/") -> Outcome {
    Outcome(text) { () throws(TenancyError) in
      let patterns = [PathPattern(parsing: prefix + "{tenantId}")].compactMap(\.self)
      switch try SelectorParsing.path(text.utf8Span.span.bytes, patterns: patterns) {
      case .name(let range): return range
      default: return nil
      }
    }
  }

  private static func host(
    _ text: String, _ domains: [String] = ["example.com", "eu.example.org"]
  ) -> Outcome {
    Outcome(text) { () throws(TenancyError) in
      try SelectorParsing.host(text.utf8Span.span.bytes, baseDomains: domains)
    }
  }

  private static func value(_ text: String) -> Outcome {
    Outcome(text) { () throws(TenancyError) in
      try SelectorParsing.value(text.utf8Span.span.bytes, "headers")
    }
  }

  @Test(arguments: [
    ("/tenants/acme", "acme"), ("/tenants/acme/", "acme"), ("/tenants/acme/docs/1", "acme"),
    ("/tenants/ACME", "ACME"), ("/tenants/acme?x=/../%00", "acme"), ("/tenants/acme#x", "acme"),
    ("/tenants/tenants/acme", "tenants"), ("/tenants/acme/a.b/.c/d..", "acme"),
    ("/tenants/0190b0c0-0000-7000-8000-000000000000/x", "0190b0c0-0000-7000-8000-000000000000"),
  ])
  func pathsThatName(_ path: String, _ name: String) { #expect(Self.path(path) == .name(name)) }

  @Test(arguments: [
    "/", "/tenants", "/tenants?x", "/tenant/acme", "/tenantsx/acme", "/Tenants/acme",
    "/v1/tenants/acme", "/?/tenants/acme", "/#/tenants/acme",
  ])
  func pathsAboutSomethingElse(_ path: String) { #expect(Self.path(path) == .nothing) }

  @Test(arguments: [
    "", "tenants/acme", "?/tenants/acme", "http://x/tenants/acme", "//tenants/acme",
    "/tenants/", "/tenants/?", "/tenants/#", "/tenants//acme", "/tenants/acme//docs",
    "/tenants/./acme", "/tenants/../tenants/acme", "/tenants/acme/..", "/tenants/acme/.",
    "/tenants/acme/../other", "/tenants/acme/..?x", "/.", "/..", "/tenants/%61cme",
    "/tenants/acme%2Fother", "/x/%2e%2e/tenants/acme", "/tenants\\acme", "/tenants/acme\\..\\b",
    "/tenants/acme;other", "/x;y/tenants/acme", "/tenants/acme\0", "/tenants/acme\n",
    "/tenants/ acme", "/tenants/ac me", "/tenants/äcme", "/tenants/acme\u{7F}",
    "/tenants/acme\u{200B}", "/tenants/a.b", "/tenants/a_b", "/tenants/a:b", "/tenants/*",
    "/tenants/" + String(repeating: "a", count: 64),
  ])
  func hostilePaths(_ path: String) { #expect(Self.path(path) == .malformed) }

  @Test func aPathHasALimit() {
    let start = "/tenants/acme/"
    let rest = SelectorParsing.maximumLength - start.utf8.count
    #expect(Self.path(start + String(repeating: "x", count: rest)) == .name("acme"))
    #expect(Self.path(start + String(repeating: "x", count: rest + 1)) == .malformed)
  }

  @Test func anotherPrefix() {
    #expect(Self.path("/t/acme", prefix: "/t/") == .name("acme"))
    #expect(Self.path("/acme", prefix: "/") == .name("acme"))
    #expect(Self.path("/tenants/acme", prefix: "/t/") == .nothing)
  }

  @Test(
    arguments: [
      ("acme.example.com", "acme"), ("ACME.Example.COM", "ACME"), ("acme.example.com.", "acme"),
      ("acme.example.com:8443", "acme"), ("acme.example.com.:1", "acme"),
      ("a-b.eu.example.org", "a-b"), ("example.com.example.com", nil),
    ] as [(String, String?)])
  func hostsThatName(_ host: String, _ name: String?) {
    #expect(Self.host(host) == name.map { .name($0) } ?? .malformed)
  }

  @Test(arguments: [
    "example.com", "example.com:443", "other.net", "acmeexample.com", "acme.example.com.evil.net",
    "acme.example.org", "localhost", "127.0.0.1", "127.0.0.1:80", "eu.example.org", "a_b.net",
  ])
  func hostsOfSomethingElse(_ host: String) { #expect(Self.host(host) == .nothing) }

  @Test(arguments: [
    "", ".", ":80", "acme.example.com:", "acme.example.com:x", "acme.example.com:123456",
    "acme.example.com:80:80", "acme.example.com:+80", "[::1]", "[::1]:80", "::1",
    "a.b.example.com", "acme..example.com", ".example.com", "..example.com", "acme.example.com..",
    "acme.example..com", ".acme.example.com", "user@acme.example.com", "acme.example.com/x",
    "acme.example.com\0", "acme .example.com", "äcme.example.com", "a_b.example.com",
    "acme%2eexample.com", "acme.example.com\n", "acme.example.com,other.example.com",
    String(repeating: "a", count: 64) + ".example.com", String(repeating: "a", count: 8193),
  ])
  func hostileHosts(_ host: String) { #expect(Self.host(host) == .malformed, "\(host)") }

  @Test func noBaseDomainNamesNobody() { #expect(Self.host("acme.example.com", []) == .nothing) }

  @Test(arguments: ["acme", "ACME", "a", "-", String(repeating: "a", count: 63)])
  func values(_ value: String) { #expect(Self.value(value) == .name(value)) }

  @Test(arguments: [
    "", " ", "acme ", " acme", "a,b", "acme\0", "acme\r\n", "tenants/acme", "../acme", "a.b", "*",
    "acme;", "äcme", "acme\u{301}", "%61", String(repeating: "a", count: 64),
  ])
  func hostileValues(_ value: String) { #expect(Self.value(value) == .malformed) }

  /// Whatever bytes come: no crash, and what is accepted has a name's characters.
  @Test func randomBytes() {
    var random = SeededGenerator(seed: 7)
    let parts = ["/", "tenants", "acme", ".", "..", "%2f", "?", "#", "\\", ";", ":", "example.com"]
    for _ in 0..<20_000 {
      let text = (0..<Int.random(in: 0...7, using: &random)).map { _ in random.pick(parts) }
        .joined()
      for outcome in [Self.path(text), Self.host(text), Self.value(text)] {
        if case .name(let name) = outcome {
          #expect((1...Slug.maximumLength).contains(name.utf8.count), "\(text)")
          #expect(name.utf8.allSatisfy(Slug.isAllowed), "\(text)")
        }
      }
    }
  }
}
