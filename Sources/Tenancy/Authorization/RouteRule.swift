/// What HTTP requests of some methods and paths need: a permission in the tenant that they are for.
public struct RouteRule: Hashable, Sendable {
  /// Rules of one tenant, at most.
  public static let maximumCount = 64
  /// Methods of one rule, at most.
  public static let maximumMethods = 16
  /// Bytes of a method's name.
  public static let maximumMethodLength = 32

  /// Upper-case names, such as `GET`, which covers `HEAD`; empty: all methods.
  public let methods: [String]
  /// Which paths.
  public let path: RoutePattern
  /// `resource:action`, without wildcards; empty: the request needs no identity. Only the platform's rules may
  /// say that.
  public let permission: String

  /// - Throws: INVALID_ARGUMENT with what is wrong, by the names of the fields behind `field`.
  public init(
    methods: [String], path: String, permission: String, field: String
  ) throws(TenancyError) {
    var checks = FieldChecks()
    if methods.count > Self.maximumMethods || !methods.allSatisfy(Self.isMethod) {
      checks.note(
        .invalid(
          "\(field).methods",
          "at most \(Self.maximumMethods) of 1 to \(Self.maximumMethodLength) upper-case letters"))
    }
    let pattern = RoutePattern(parsing: path)
    if pattern == nil { checks.note(.invalid("\(field).path", RoutePattern.form)) }
    let question = unsafe permission.utf8Span.span.bytes
    if !permission.isEmpty, Permission.colon(in: question) == nil {
      checks.note(
        .invalid("\(field).permission", "not of the form resource:action, without wildcards"))
    }
    guard let pattern, checks.passed else { throw checks.failure }
    self.methods = methods
    self.path = pattern
    self.permission = permission
  }

  private static func isMethod(_ text: String) -> Bool {
    (1...maximumMethodLength).contains(text.utf8.count)
      && text.utf8.allSatisfy { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
  }

  /// Whether a request is one of those.
  public func covers(method: RawSpan, path: borrowing RoutePath) -> Bool {
    takes(method) && self.path.matches(path)
  }

  /// The same to those who make no difference between cases.
  public func nearlyCovers(method: RawSpan, path: borrowing RoutePath) -> Bool {
    takes(method) && self.path.nearlyMatches(path)
  }

  private func takes(_ method: RawSpan) -> Bool {
    if methods.isEmpty { return true }
    for name in methods {
      if method.equals(name) || (name == "GET" && method.equals("HEAD")) { return true }
    }
    return false
  }

  /// Bytes of its texts.
  var textBytes: Int {
    methods.reduce(path.description.utf8.count + permission.utf8.count) { $0 + $1.utf8.count }
  }
}

/// As a tenant's document has it.
extension RouteRule: Codable {
  private enum Key: String, CodingKey { case methods, path, permission }

  /// - Throws: `DecodingError` for what is no rule.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    try self.init(
      methods: try values.decode([String].self, forKey: .methods),
      path: try values.decode(String.self, forKey: .path),
      permission: try values.decode(String.self, forKey: .permission), field: "routes")
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(methods, forKey: .methods)
    try values.encode(path.description, forKey: .path)
    try values.encode(permission, forKey: .permission)
  }
}

/// Paths that begin with a slash, by their segments: as it is, `*` or `{name}` for any one, and `**` at the end for
/// any that follow, if any do. A slash at the end of a path makes no difference.
public struct RoutePattern: Hashable, Sendable, CustomStringConvertible {
  private enum Segment: Hashable {
    case literal(String)
    case any
  }

  /// Bytes of the longest.
  public static let maximumLength = 256
  /// Segments of the longest.
  public static let maximumSegments = 32
  static let form =
    "a path of at most \(maximumLength) bytes such as /orders/*/items or /files/**, without escapes"

  private let segments: [Segment]
  /// Whether any segments may follow.
  private let isOpen: Bool
  public let description: String

  /// Nil for what no path that is accepted can match: empty and dot segments, escapes; and for stars that are only
  /// a part of a segment.
  public init?(parsing text: String) {
    guard text.utf8.first == UInt8(ascii: "/"), text.utf8.count <= Self.maximumLength else {
      return nil
    }
    var parts = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    isOpen = parts.last == "**"
    if isOpen || parts.last == "" { parts.removeLast() }
    guard parts.count <= Self.maximumSegments else { return nil }
    var segments: [Segment] = []
    for part in parts {
      if part == "*" || Self.isPlaceholder(part) {
        segments.append(.any)
      } else if Self.isLiteral(part) {
        segments.append(.literal(String(part)))
      } else {
        return nil
      }
    }
    self.segments = segments
    description = text
  }

  private static func isPlaceholder(_ part: Substring) -> Bool {
    part.hasPrefix("{") && part.hasSuffix("}") && part.utf8.count > 2
      && !part.dropFirst().dropLast().utf8.contains { "{}*".utf8.contains($0) }
  }

  private static func isLiteral(_ part: Substring) -> Bool {
    SelectorParsing.isClearPath("/" + part) && !part.utf8.contains { "{}*".utf8.contains($0) }
  }

  func matches(_ path: borrowing RoutePath) -> Bool {
    guard path.mayHave(segments.count, isOpen: isOpen) else { return false }
    for (index, segment) in segments.enumerated() {
      if case .literal(let text) = segment, !path.segment(index).equals(text) { return false }
    }
    return true
  }

  /// The same to those who make no difference between cases.
  func nearlyMatches(_ path: borrowing RoutePath) -> Bool {
    guard path.mayHave(segments.count, isOpen: isOpen) else { return false }
    for (index, segment) in segments.enumerated() {
      if case .literal(let text) = segment, !path.segment(index).isNearly(text) { return false }
    }
    return true
  }
}

/// A request's path, by its segments: they are looked for once, however many rules there are.
public struct RoutePath: ~Escapable {
  private let text: RawSpan
  /// Where each segment ends; the next one begins a byte later.
  private let ends: [Int]
  /// Whether there are more than any rule has.
  private let isLonger: Bool

  /// - Parameter text: as `SelectorParsing.checkPath` accepts it; a query is not looked at.
  @_lifetime(copy text)
  public init(_ text: RawSpan) {
    var ends: [Int] = []
    var start = 1
    while ends.count <= RoutePattern.maximumSegments {
      let end = SelectorParsing.segmentEnd(text, from: start)
      guard end > start else { break }
      ends.append(end)
      guard end < text.byteCount, text.byte(end) == UInt8(ascii: "/") else { break }
      start = end + 1
    }
    self.text = text
    self.ends = ends
    isLonger = ends.count > RoutePattern.maximumSegments
  }

  fileprivate func mayHave(_ count: Int, isOpen: Bool) -> Bool {
    isOpen ? ends.count >= count : ends.count == count && !isLonger
  }

  /// - Parameter index: below the number that `mayHave` was asked for.
  @_lifetime(copy self)
  fileprivate func segment(_ index: Int) -> RawSpan {
    text.extracting((index == 0 ? 1 : ends[index - 1] + 1)..<ends[index])
  }
}

extension RawSpan {
  /// Whether these are the text's bytes, or differ from them in the case of letters.
  fileprivate func isNearly(_ text: String) -> Bool {
    let other = unsafe text.utf8Span.span.bytes
    return isSameName(as: other)
  }
}

extension [RouteRule] {
  /// The first rule that covers a request. One that only covers it for those who make no difference between cases
  /// covers it for nobody, and neither does one behind it: what serves the request may make none.
  public func first(covering method: RawSpan, _ path: borrowing RoutePath) -> RouteRule? {
    for rule in self where rule.nearlyCovers(method: method, path: path) {
      return rule.covers(method: method, path: path) ? rule : nil
    }
    return nil
  }
}
