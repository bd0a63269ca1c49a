/// Finds a key that is twice in one object of a JSON5 document: its reader takes the last one silently, so
/// that a setting which people see would not be the one in use.
struct DuplicateKeys {
  private var rest: ArraySlice<Unicode.Scalar>
  /// The keys of each object that is open; nil for a list.
  private var open: [Set<String>?] = []
  /// Whether a text or a name that comes now is a key.
  private var expectsKey = false

  /// - Parameter json5: text that the reader has taken, so that nothing else is checked here.
  /// - Returns: the first key that is there again, or nil.
  static func first(in json5: String) -> String? {
    var finder = DuplicateKeys(rest: Array(json5.unicodeScalars)[...])
    return finder.find()
  }

  private init(rest: ArraySlice<Unicode.Scalar>) { self.rest = rest }

  private mutating func find() -> String? {
    while let scalar = rest.popFirst() {
      switch scalar {
      case "{", "[":
        open.append(scalar == "{" ? [] : nil)
        expectsKey = scalar == "{"
      case "}", "]":
        _ = open.popLast()
        expectsKey = false
      case ",": expectsKey = open.last.map { $0 != nil } ?? false
      case "/": skipComment()
      case "\"", "'":
        if let key = note(quoted(until: scalar)) { return key }
      case _ where Self.isName(scalar):
        if let key = note(name(from: scalar)) { return key }
      default: break
      }
    }
    return nil
  }

  /// Returns the key if it is there again.
  private mutating func note(_ text: String) -> String? {
    guard expectsKey, let last = open.indices.last else { return nil }
    expectsKey = false
    return open[last]?.insert(text).inserted == false ? text : nil
  }

  private mutating func skipComment() {
    switch rest.popFirst() {
    case "/": rest = rest.drop { !["\n", "\r", "\u{2028}", "\u{2029}"].contains($0) }
    case "*":
      while let scalar = rest.popFirst(), !(scalar == "*" && rest.first == "/") {}
      _ = rest.popFirst()
    default: break
    }
  }

  private mutating func quoted(until end: Unicode.Scalar) -> String {
    var text = String.UnicodeScalarView()
    while let scalar = rest.popFirst(), scalar != end {
      guard scalar == "\\" else {
        text.append(scalar)
        continue
      }
      if let escaped = escape() { text.append(escaped) }
    }
    return String(text)
  }

  private mutating func name(from first: Unicode.Scalar) -> String {
    var text = String.UnicodeScalarView()
    var next: Unicode.Scalar? = first
    while let scalar = next {
      if scalar == "\\" {
        if let escaped = escape() { text.append(escaped) }
      } else {
        text.append(scalar)
      }
      guard let following = rest.first, Self.isName(following) else { break }
      next = rest.popFirst()
    }
    return String(text)
  }

  private mutating func escape() -> Unicode.Scalar? {
    guard let kind = rest.popFirst() else { return nil }
    let digits = kind == "u" ? 4 : kind == "x" ? 2 : 0
    guard digits > 0 else { return kind }
    let hex = String(String.UnicodeScalarView(rest.prefix(digits)))
    rest = rest.dropFirst(digits)
    return UInt32(hex, radix: 16).flatMap(Unicode.Scalar.init)
  }

  private static func isName(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "\\" || scalar == "$" || scalar == "_" || scalar.properties.isIDContinue
  }
}
