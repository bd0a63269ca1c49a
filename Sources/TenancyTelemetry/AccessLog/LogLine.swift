/// How lines are written.
public enum LogFormat: Sendable {
  /// One JSON object a line.
  case json
  /// `key=value` with spaces between, for people.
  case text
}

/// One line, made in memory that is used again. Whatever a value is, the line stays one line of printable ASCII,
/// and can be read back: other characters are escaped, and values are cut.
struct LogLine {
  /// With the newline. Whole lines of this length are written to a pipe at once (PIPE_BUF).
  static let maximumBytes = 4096
  /// Of a text, escaped: as many as a line has of others' choice fit, and all that is ours.
  static let maximumValueBytes = 384

  private(set) var bytes: [UInt8] = []
  private let format: LogFormat

  init(_ format: LogFormat) {
    self.format = format
    bytes.reserveCapacity(Self.maximumBytes)
  }

  mutating func begin() {
    bytes.removeAll(keepingCapacity: true)
    if format == .json { bytes.append(UInt8(ascii: "{")) }
  }

  mutating func end() {
    if format == .json { bytes.append(UInt8(ascii: "}")) }
    bytes.append(UInt8(ascii: "\n"))
  }

  /// A text of ours or of others.
  mutating func field(_ name: StaticString, _ value: String) {
    open(name)
    let isQuoted = format == .json || !Self.isWord(value)
    if isQuoted { bytes.append(UInt8(ascii: "\"")) }
    append(value)
    if isQuoted { bytes.append(UInt8(ascii: "\"")) }
  }

  mutating func field(_ name: StaticString, _ value: String?) {
    if let value { field(name, value) }
  }

  mutating func field(_ name: StaticString, _ number: UInt64) {
    open(name)
    append(number)
  }

  /// Numbers by name, none of which needs an escape.
  mutating func field(_ name: StaticString, counts: [(name: String, count: UInt64)]) {
    open(name)
    if format == .json { bytes.append(UInt8(ascii: "{")) }
    for (index, (name, count)) in counts.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      if format == .json { bytes.append(UInt8(ascii: "\"")) }
      bytes.append(contentsOf: name.utf8)
      if format == .json { bytes.append(UInt8(ascii: "\"")) }
      bytes.append(UInt8(ascii: ":"))
      append(count)
    }
    if format == .json { bytes.append(UInt8(ascii: "}")) }
  }

  private mutating func open(_ name: StaticString) {
    if bytes.count > 1 { bytes.append(UInt8(ascii: format == .json ? "," : " ")) }
    let text = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
    if format == .json { bytes.append(UInt8(ascii: "\"")) }
    bytes.append(contentsOf: text)
    if format == .json { bytes.append(UInt8(ascii: "\"")) }
    bytes.append(UInt8(ascii: format == .json ? ":" : "="))
  }

  private mutating func append(_ number: UInt64) {
    let start = bytes.count
    var rest = number
    repeat {
      bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
      rest /= 10
    } while rest > 0
    bytes[start...].reverse()
  }

  private mutating func append(_ value: String) {
    var value = value
    let isPlain = value.withUTF8 { text in
      guard text.count <= Self.maximumValueBytes, text.allSatisfy(Self.isPlain) else {
        return false
      }
      bytes.append(contentsOf: text)
      return true
    }
    if isPlain { return }
    let end = bytes.count + Self.maximumValueBytes
    for scalar in value.unicodeScalars {
      let before = bytes.count
      append(scalar)
      guard bytes.count <= end else {
        bytes.removeLast(bytes.count - before)
        return bytes.append(contentsOf: Self.ellipsis)
      }
    }
  }

  private mutating func append(_ scalar: Unicode.Scalar) {
    if let byte = UInt8(exactly: scalar.value), Self.isPlain(byte) { return bytes.append(byte) }
    for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter {
      bytes.append(contentsOf: "\\u".utf8)
      for shift in [12, 8, 4, 0] {
        bytes.append(Self.digits[Int(unit >> shift & 15)])  // In range: four bits.
      }
    }
  }

  /// Where a text was cut.
  private static let ellipsis = Array("...".utf8)
  private static let digits = Array("0123456789abcdef".utf8)

  /// Stands for itself between quotes.
  private static func isPlain(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
  }

  /// Needs no quotes as a value of `key=value`.
  private static func isWord(_ text: String) -> Bool {
    !text.isEmpty
      && text.utf8.allSatisfy {
        isPlain($0) && $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "=")
      }
  }
}
