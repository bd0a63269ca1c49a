extension SelectorParsing {
  /// Where the name is in `?{parameter}={name}&…` behind a path.
  ///
  /// Programs differ in whether a `;` separates parameters and in which of several counts, and all undo escapes: what
  /// they could take for the parameter in different ways is refused.
  static func query(
    _ path: RawSpan, parameter: String, excluding: [String] = []
  ) throws(TenancyError) -> SelectorReading {
    try checkPath(path)
    if isBelow(path, excluding) { return .excluded }
    var start = path.first(of: UInt8(ascii: "?"), UInt8(ascii: "#"), from: 0)
    guard start < path.byteCount, path.byte(start) == UInt8(ascii: "?") else { return .notGiven }
    let end = path.first(of: UInt8(ascii: "#"), UInt8(ascii: "#"), from: start)
    var found: Range<Int>?
    var isContradictory = false
    while start < end {
      let separator = path.byte(start)
      let stop = min(end, path.first(of: UInt8(ascii: "&"), UInt8(ascii: ";"), from: start + 1))
      let equals = min(stop, path.first(of: UInt8(ascii: "="), UInt8(ascii: "="), from: start + 1))
      let name = path.extracting((start + 1)..<equals)
      if isParameter(name, parameter) {
        guard name.equals(parameter) else {
          throw malformed("path", "the query parameter's name is escaped")
        }
        let isClear =
          separator != UInt8(ascii: ";") && (stop == end || path.byte(stop) != UInt8(ascii: ";"))
        guard isClear else { throw malformed("path", "query parameters are separated by &") }
        let value = min(equals + 1, stop)..<stop
        try checkName(path, value, "path")
        if let found, !path.extracting(found).isSameName(as: path.extracting(value)) {
          isContradictory = true
        }
        found = found ?? value
      }
      start = stop
    }
    guard let found else { return .notGiven }
    return isContradictory ? .contradictory(found) : .name(found)
  }

  /// Whether a name is the parameter's once its escapes are undone.
  private static func isParameter(_ name: RawSpan, _ parameter: String) -> Bool {
    let wanted = parameter.utf8Span.span
    guard name.byteCount >= wanted.count else { return false }
    var at = 0
    for index in 0..<wanted.count {
      guard at < name.byteCount else { return false }
      let (byte, length) = unescaped(name, at)
      guard byte == wanted[index] else { return false }
      at += length
    }
    return at == name.byteCount
  }

  /// The byte that is there, and how many bytes say it.
  private static func unescaped(_ text: RawSpan, _ at: Int) -> (UInt8, Int) {
    guard text.byte(at) == UInt8(ascii: "%"), at + 2 < text.byteCount,
      let high = hexDigit(text.byte(at + 1)), let low = hexDigit(text.byte(at + 2))
    else { return (text.byte(at), 1) }
    return (high << 4 | low, 3)
  }

  private static func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  /// Whether a query parameter can have this name: one that is written without escapes.
  public static func isParameterName(_ name: String) -> Bool {
    unsafe !name.isEmpty && isUnreserved(name.utf8Span.span.bytes)
  }

  private static func isUnreserved(_ name: RawSpan) -> Bool {
    name.end(of: unreservedBytes, from: 0) == name.byteCount
  }

  /// RFC 3986 §2.3.
  private static let unreservedBytes = ASCIISet(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
}

extension RawSpan {
  /// Where the first of two bytes is at `start` or behind it; the end if there is none.
  fileprivate func first(of one: UInt8, _ other: UInt8, from start: Int) -> Int {
    var at = start
    while at < byteCount, byte(at) != one, byte(at) != other { at += 1 }
    return at
  }
}
