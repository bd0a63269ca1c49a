import Testing

@testable import Tenancy

@Suite("Rules of what HTTP requests need")
struct RouteRuleTests {
  private static func rule(_ path: String, _ methods: String...) throws -> RouteRule {
    try RouteRule(methods: methods, path: path, permission: "a:b", field: "rule")
  }

  private static func covers(_ rule: RouteRule, _ method: String, _ path: String) -> Bool {
    rule.covers(method: method.utf8Span.span.bytes, path: RoutePath(path.utf8Span.span.bytes))
  }

  /// What a rule covers, by its segments: written apart.
  private static func expected(_ pattern: String, _ path: String) -> Bool {
    func segments(_ text: String) -> [Substring] {
      var parts = text.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
      if parts.last == "" { parts = parts.dropLast() }
      return Array(parts)
    }
    var wanted = segments(pattern)
    let given = segments(String(path.prefix { $0 != "?" && $0 != "#" }))
    let isOpen = wanted.last == "**"
    if isOpen { wanted.removeLast() }
    guard isOpen ? given.count >= wanted.count : given.count == wanted.count else { return false }
    return zip(wanted, given).allSatisfy { $0 == "*" || $0.hasPrefix("{") || $0 == $1 }
  }

  @Test func pathsAreCoveredBySegments() throws {
    let parts = ["a", "b", "ab", "*", "{id}"]
    var patterns = ["/", "/**"]
    for first in parts {
      patterns += ["/\(first)", "/\(first)/", "/\(first)/**"]
      for second in parts { patterns += ["/\(first)/\(second)", "/\(first)/\(second)/**"] }
    }
    var paths = ["/"]
    for first in ["a", "b", "ab", "x"] {
      paths += ["/\(first)", "/\(first)/", "/\(first)?q=/a/b", "/\(first)#f", "/\(first)/?x"]
      for second in ["a", "b", "x"] {
        paths += ["/\(first)/\(second)", "/\(first)/\(second)/", "/\(first)/\(second)/a?"]
      }
    }
    for pattern in patterns {
      let rule = try Self.rule(pattern)
      for path in paths {
        #expect(
          Self.covers(rule, "GET", path) == Self.expected(pattern, path), "\(pattern) \(path)")
      }
    }
  }

  /// What serves requests may make no difference between cases.
  @Test func aRuleIsNotPassedByInAnotherCase() throws {
    let rules = [try Self.rule("/a/secret/**"), try Self.rule("/a/**", "GET")]
    func first(_ path: String) -> RouteRule? {
      rules.first(
        covering: "GET".utf8Span.span.bytes, RoutePath(path.utf8Span.span.bytes))
    }
    #expect(first("/a/secret/1") == rules[0])
    #expect(first("/a/other") == rules[1])
    for path in ["/a/SECRET/1", "/A/secret", "/A/x", "/a/Secret", "/b"] {
      #expect(first(path) == nil, "\(path)")
    }
  }

  /// However long a path is, it is looked at once.
  @Test func longPathsHaveTheSegmentsThatTheyHave() throws {
    let long = String(repeating: "/a", count: RoutePattern.maximumSegments)
    for (pattern, path, isCovered) in [
      ("/**", long + "/a/a/a", true), (long, long, true), (long, long + "/", true),
      (long, long + "/a", false), (long, long + "/a/a", false), (long + "/**", long + "/b/c", true),
      (long, String(long.dropLast(2)), false),
    ] {
      #expect(Self.covers(try Self.rule(pattern), "GET", path) == isCovered, "\(pattern) \(path)")
    }
  }

  @Test func methodsAreTakenAsTheyAre() throws {
    let all = try Self.rule("/")
    for method in ["GET", "HEAD", "post", "X"] { #expect(Self.covers(all, method, "/")) }
    let some = try Self.rule("/", "GET", "PUT")
    for method in ["GET", "HEAD", "PUT"] { #expect(Self.covers(some, method, "/")) }
    for method in ["get", "POST", "GETS", "GE", ""] { #expect(!Self.covers(some, method, "/")) }
    #expect(!Self.covers(try Self.rule("/", "HEAD"), "GET", "/"))
  }

  @Test(arguments: [
    "", "a", "//", "/a//b", "/./a", "/a/..", "/a*", "/*a", "/a/**/b", "/**/**", "/{}", "/{a", "/a}",
    "/{a*}", "/%41", "/a;b", "/a b", "/é", "/a?b", "/a#b", "/\\",
    "/" + String(repeating: "a", count: RoutePattern.maximumLength),
    "/" + String(repeating: "a/", count: RoutePattern.maximumSegments + 1),
  ])
  func whatNoPathCanMatchIsNoPattern(_ text: String) {
    #expect(RoutePattern(parsing: text) == nil)
  }

  @Test func allThatIsWrongIsTold() {
    let error = #expect(throws: TenancyError.self) {
      try RouteRule(methods: ["get"], path: "x", permission: "a:*", field: "rule")
    }
    #expect(
      error?.violations.map(\.field) == ["rule.methods", "rule.path", "rule.permission"])
    #expect(throws: TenancyError.self) {
      try RouteRule(
        methods: Array(repeating: "GET", count: RouteRule.maximumMethods + 1), path: "/",
        permission: "a:b", field: "rule")
    }
  }
}
