/// What a selector that is not malformed says.
enum SelectorReading: Equatable {
  /// A name, where it is in the selector's text.
  case name(Range<Int>)
  /// A host that may be a domain of a tenant's own, where it is in the selector's text.
  case domain(Range<Int>)
  /// Several, the first of them here.
  case contradictory(Range<Int>)
  /// The request does not have it.
  case notGiven
  /// It is about something else.
  case noMatch
  /// Its path is one of those that say nothing.
  case excluded
  /// Its name is one of those that say nothing.
  case ignored
}

/// Finds the tenant's name in selectors, which anyone can forge: what is not canonical is refused
/// rather than guessed at.
public enum SelectorParsing {
  /// Longest path or host looked at, in bytes.
  public static let maximumLength = 8192

  /// For those who want to know before they look at the text at all.
  public static func checkLength(_ bytes: Int, _ field: String) throws(TenancyError) {
    guard bytes <= maximumLength else {
      throw malformed(field, "longer than \(maximumLength) bytes")
    }
  }

  /// Where the name is, behind a prefix that ends with a slash.
  static func path(_ path: RawSpan, prefix: String) throws(TenancyError) -> SelectorReading {
    try checkPath(path)
    guard path.begins(with: prefix) else { return .noMatch }
    let start = prefix.utf8.count
    // What nearly all paths have is looked at once.
    let nameEnd = path.end(of: nameBytes, from: start)
    if (1...Slug.maximumLength).contains(nameEnd - start),
      nameEnd == path.byteCount || isPathEnd(path.byte(nameEnd))
    {
      return .name(start..<nameEnd)
    }
    return try named(path, start..<segmentEnd(path, from: nameEnd))
  }

  /// Where the name is, where a pattern says.
  static func path(
    _ path: RawSpan, patterns: [PathPattern], excluding: [String] = []
  ) throws(TenancyError) -> SelectorReading {
    try checkPath(path)
    if isBelow(path, excluding) { return .excluded }
    for pattern in patterns {
      if let segment = pattern.segment(in: path) { return try named(path, segment) }
    }
    return .noMatch
  }

  private static func named(
    _ path: RawSpan, _ segment: Range<Int>
  ) throws(TenancyError) -> SelectorReading {
    guard !segment.isEmpty else { throw malformed("path", "names no tenant") }
    try checkName(path, segment, "path")
    return .name(segment)
  }

  /// Refuses paths that are read in different ways: escapes, empty and dot segments, what is not ASCII.
  /// - Throws: INVALID_ARGUMENT with MALFORMED_SELECTOR.
  public static func checkPath(_ path: RawSpan) throws(TenancyError) {
    try checkLength(path.byteCount, "path")
    guard path.byteCount > 0, path.byte(0) == UInt8(ascii: "/") else {
      throw malformed("path", "must begin with a slash")
    }
    try refuseUnclearPath(path)
  }

  /// Whether a path without a query names one place and is not all paths.
  public static func isClearPath(_ path: String) -> Bool {
    let segments = path.split(separator: "/", omittingEmptySubsequences: false)
    return segments.count > 1 && segments[0].isEmpty && path.utf8.count <= maximumLength
      && segments.dropFirst().allSatisfy { segment in
        let text = String(segment)
        return unsafe isOrdinary(text.utf8Span.span.bytes) && text != "." && text != ".."
      }
  }

  /// Whether a path is one of these or below one.
  static func isBelow(_ path: RawSpan, _ others: [String]) -> Bool {
    for other in others where path.begins(with: other) {
      let end = other.utf8.count
      if end == path.byteCount || isPathEnd(path.byte(end)) { return true }
    }
    return false
  }

  /// Where the segment that begins at `start` ends, in a path that `checkPath` accepts.
  @inline(__always)
  static func segmentEnd(_ path: RawSpan, from start: Int) -> Int {
    path.end(of: ordinaryPathBytes, from: start)
  }

  /// Whether a segment has nothing but what segments may have, and something.
  static func isOrdinary(_ segment: RawSpan) -> Bool {
    segment.byteCount > 0 && segment.end(of: ordinaryPathBytes, from: 0) == segment.byteCount
  }

  /// Where the name is in `{name}.{base domain}`; nil for other hosts.
  static func host(_ host: RawSpan, baseDomains: [String]) throws(TenancyError) -> Range<Int>? {
    try checkLength(host.byteCount, "host")
    var end = try hostEnd(host)
    if end > 0, host.byte(end - 1) == UInt8(ascii: ".") { end -= 1 }
    guard end > 0 else { throw malformed("host", "is empty") }
    var isLabelEmpty = true
    for offset in 0..<end {
      let byte = host.byte(offset)
      let isDot = byte == UInt8(ascii: ".")
      guard isHostByte(byte), !(isDot && isLabelEmpty) else {
        throw malformed("host", "not a host name")
      }
      isLabelEmpty = isDot
    }
    guard !isLabelEmpty else { throw malformed("host", "not a host name") }
    for domain in baseDomains {
      let length = domain.utf8.count
      guard end > length + 1, host.byte(end - length - 1) == UInt8(ascii: "."),
        host.matches(domain, at: end - length)
      else { continue }
      let name = 0..<(end - length - 1)
      for offset in name where host.byte(offset) == UInt8(ascii: ".") {
        throw malformed("host", "one label names the tenant, not several")
      }
      try checkName(host, name, "host")
      return name
    }
    return nil
  }

  /// Where the domain is in a host that `host` accepts and that names nobody; nil where no tenant can have it.
  static func domain(_ host: RawSpan, baseDomains: [String]) throws(TenancyError) -> Range<Int>? {
    var end = try hostEnd(host)
    if end > 0, host.byte(end - 1) == UInt8(ascii: ".") { end -= 1 }
    guard end <= DomainName.maximumLength else { return nil }
    // A domain that was somebody's before it was made a base domain is nobody's since.
    for base in baseDomains where base.utf8.count == end && host.matches(base, at: 0) { return nil }
    return 0..<end
  }

  /// A header's or environment variable's value is the name itself.
  static func value(_ value: RawSpan, _ field: String) throws(TenancyError) -> Range<Int> {
    try checkName(value, 0..<value.byteCount, field)
    return 0..<value.byteCount
  }

  /// Whether a name is one that a tenant may have.
  static func isName(_ value: RawSpan) -> Bool {
    (1...Slug.maximumLength).contains(value.byteCount)
      && value.end(of: nameBytes, from: 0) == value.byteCount
  }

  /// A name has the characters of a slug or UUID, in either case.
  static func checkName(
    _ text: RawSpan, _ range: Range<Int>, _ field: String
  ) throws(TenancyError) {
    guard (1...Slug.maximumLength).contains(range.count) else {
      throw malformed(field, "a tenant's name has 1 to \(Slug.maximumLength) characters")
    }
    guard text.end(of: nameBytes, from: range.lowerBound) >= range.upperBound else {
      throw notAName(field)
    }
  }

  private static func notAName(_ field: String) -> TenancyError {
    malformed(field, "a tenant's name has letters, digits and hyphens only")
  }

  /// Those of a slug, in either case.
  private static let nameBytes = ASCIISet(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")

  /// Those that a path may have anywhere, and that neither end a segment nor the path.
  private static let ordinaryPathBytes = ASCIISet(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,:@=\"<>[]^`{|}")

  /// Escapes, dot segments, doubled slashes and backslashes are read in different ways by different
  /// programs; a path with them before its query is refused.
  private static func refuseUnclearPath(_ path: RawSpan) throws(TenancyError) {
    var segmentStart = 1
    var offset = 0
    while true {
      offset = path.end(of: ordinaryPathBytes, from: offset)
      let byte = offset < path.byteCount ? path.byte(offset) : UInt8(ascii: "?")
      switch byte {
      case UInt8(ascii: "%"), UInt8(ascii: "\\"), UInt8(ascii: ";"), 0...0x20, 0x7F...0xFF:
        throw malformed("path", "escapes and unusual characters are not accepted")
      case UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#"):
        if offset > 0 {
          let length = offset - segmentStart
          let isDot = length > 0 && path.byte(segmentStart) == UInt8(ascii: ".")
          if isDot
            && (length == 1 || (length == 2 && path.byte(segmentStart + 1) == UInt8(ascii: ".")))
            || (length == 0 && byte == UInt8(ascii: "/"))
          {
            throw malformed("path", "empty and dot segments are not accepted")
          }
          segmentStart = offset + 1
        }
        if byte != UInt8(ascii: "/") { return }
      default: break
      }
      offset += 1
    }
  }

  /// Where the name ends: before `:port`.
  private static func hostEnd(_ host: RawSpan) throws(TenancyError) -> Int {
    if host.byteCount > 0, host.byte(0) == UInt8(ascii: "[") { return 0 }
    for offset in 0..<host.byteCount where host.byte(offset) == UInt8(ascii: ":") {
      let digits = host.byteCount - offset - 1
      guard (1...5).contains(digits) else { throw malformed("host", "malformed port") }
      for position in (offset + 1)..<host.byteCount
      where !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(host.byte(position)) {
        throw malformed("host", "malformed port")
      }
      return offset
    }
    return host.byteCount
  }

  private static func isPathEnd(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "/") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#")
  }

  private static func isHostByte(_ byte: UInt8) -> Bool {
    Slug.isAllowed(lowercase(byte)) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
  }

  @inline(__always)
  static func lowercase(_ byte: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
  }

  static func malformed(_ field: String, _ why: String) -> TenancyError {
    .invalid(field, why, reason: .malformedSelector)
  }
}

extension RawSpan {
  /// - Parameter offset: 0 to `byteCount` - 1; others end the process.
  @inline(__always)
  public func byte(_ offset: Int) -> UInt8 {
    precondition(offset >= 0 && offset < byteCount)
    return unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)  // Checked above.
  }

  /// Whether both are the same but for their case.
  func isSameName(as other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    for offset in 0..<byteCount
    where SelectorParsing.lowercase(byte(offset)) != SelectorParsing.lowercase(other.byte(offset)) {
      return false
    }
    return true
  }

  /// Whether `text`, in lower case, is at `start` in either case.
  public func matches(_ text: String, at start: Int) -> Bool {
    let other = text.utf8Span.span
    guard start + other.count <= byteCount else { return false }
    for offset in 0..<other.count
    where SelectorParsing.lowercase(byte(start + offset)) != other[offset] {
      return false
    }
    return true
  }
}
