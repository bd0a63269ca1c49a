/// Of which resources something is: all of one type, one of them, or those below a path.
public struct ResourceScope: Hashable, Sendable {
  private enum Extent { case all, one, below }

  /// Bytes of the text, and of a resource's path in a question.
  public static let maximumBytes = 512

  /// `{type}`, `{type}/{path}` or `{type}/{path}/*`.
  public let text: String
  /// Bytes of the type.
  private let typeLength: Int
  private let extent: Extent

  /// Returns nil for what is none. `{type}/*` is read as `{type}`.
  /// - Parameter text: the type is as in permissions; no part between slashes is empty, `.`, `..`, has a `*` or an
  ///   ASCII control character.
  public init?(parsing text: String) {
    guard (1...Self.maximumBytes).contains(text.utf8.count) else { return nil }
    let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    // In range: split returns one part at least.
    let type = parts[0]
    guard (1...Permission.maximumPartLength).contains(type.count),
      type.allSatisfy(Permission.isNameByte)
    else { return nil }
    typeLength = type.count
    var path = parts.dropFirst()
    let isBelow = path.last.map { $0.elementsEqual([UInt8(ascii: "*")]) } ?? false
    if isBelow { path = path.dropLast() }
    guard path.allSatisfy({ Self.isPart($0) }) else { return nil }
    switch (path.isEmpty, isBelow) {
    case (true, _): (extent, self.text) = (.all, String(decoding: type, as: UTF8.self))
    case (false, true): (extent, self.text) = (.below, text)
    case (false, false): (extent, self.text) = (.one, text)
    }
  }

  /// Whether a text can be the path of one resource in a question.
  public static func isPath(_ path: RawSpan) -> Bool {
    guard (1...maximumBytes).contains(path.byteCount) else { return false }
    return unsafe path.withUnsafeBytes { bytes in
      unsafe bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        .allSatisfy { unsafe isPart($0) }
    }
  }

  private static func isPart(_ part: some Collection<UInt8>) -> Bool {
    let isDots = part.count <= 2 && part.allSatisfy { $0 == UInt8(ascii: ".") }
    return !isDots && part.allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "*") }
  }

  /// Whether all that a question is about is in it.
  func covers(_ question: borrowing Question) -> Bool {
    guard isOfType(question) else { return false }
    let path = question.resource
    if extent == .all { return true }
    if path.isEmpty { return false }
    let own = unsafe text.utf8Span.span.bytes
    // In range: behind the type is a slash, unless the extent is all; the last byte below a path is the star.
    let start = typeLength + 1
    switch extent {
    case .all: return true
    case .one: return path.equals(own.extracting(start..<own.byteCount))
    case .below:
      let prefix = own.extracting(start..<(own.byteCount - 1))
      return path.byteCount > prefix.byteCount
        && path.extracting(0..<prefix.byteCount).equals(prefix)
    }
  }

  /// Whether anything that a question is about is in it.
  func meets(_ question: borrowing Question) -> Bool {
    isOfType(question) && (question.resource.isEmpty || covers(question))
  }

  private func isOfType(_ question: borrowing Question) -> Bool {
    guard question.colon == typeLength else { return false }
    let own = unsafe text.utf8Span.span.bytes
    return question.permission.extracting(0..<typeLength).equals(own.extracting(0..<typeLength))
  }
}

extension ResourceScope? {
  /// Empty for all resources.
  public var text: String { self?.text ?? "" }
}
