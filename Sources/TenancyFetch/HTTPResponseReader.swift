/// What a server has answered with.
package struct HTTPDocument: Hashable, Sendable {
  package let body: [UInt8]
  /// Seconds for which the server says that it may be kept; nil: it says nothing of that.
  package let maximumAge: Int?
}

/// Reads the answer to one GET (RFC 9112): a status of 200 and a body whose length is told beforehand. Strict where
/// other readers forgive: lines end with CR and LF, a length is there once, and in one way. No I/O; what it takes is
/// bounded.
package struct HTTPResponseReader {
  /// Of the body.
  package static let maximumBodyBytes = 65_536
  /// Of all that is received.
  package static let maximumBytes = 262_144
  /// Of a line, without its end.
  package static let maximumLineBytes = 8_192
  /// Of the head, of all interim answers, and behind the last chunk, together.
  package static let maximumFields = 128
  /// Answers with a status of 1xx before the one that counts.
  private static let maximumInterim = 4

  private enum Stage {
    case status
    case fields(isInterim: Bool)
    case sized(left: Int)
    case chunkSize
    case chunk(left: Int)
    case chunkEnd
    case trailers
    case done
  }

  private var stage = Stage.status
  private var buffer: [UInt8] = []
  /// Of `buffer`: what was read.
  private var at = 0
  /// Of `buffer`: no line ends before.
  private var scanned = 0
  private var received = 0
  private var fields = 0
  private var interim = 0
  private var body: [UInt8] = []
  private var isOld = false
  private var length: Int?
  private var isChunked = false
  private var caching = HTTPCaching()

  package init() {}

  /// The answer; nil: not all of it has come.
  package var document: HTTPDocument? {
    guard case .done = stage else { return nil }
    return HTTPDocument(body: body, maximumAge: caching.maximumAge)
  }

  /// - Throws: `.response` for what is no such answer. It is not to be used again then.
  package mutating func receive(_ bytes: ArraySlice<UInt8>) throws(FetchFailure) {
    received += bytes.count
    guard received <= Self.maximumBytes else { throw Self.wrong("is larger than is read") }
    buffer += bytes
    while try step() {}
    buffer.removeFirst(at)
    scanned -= at
    at = 0
  }

  /// The server sends no more.
  /// - Throws: `.response` where something is missing.
  package func end() throws(FetchFailure) -> HTTPDocument {
    guard let document else { throw Self.wrong("ends before its end") }
    return document
  }

  /// - Returns: whether there may be more to do.
  private mutating func step() throws(FetchFailure) -> Bool {
    switch stage {
    case .status:
      guard let line = try takeLine() else { return false }
      try readStatus(line)
    case .fields(let isInterim):
      guard let line = try takeLine() else { return false }
      if !line.isEmpty {
        try readField(line, isInterim: isInterim)
      } else if isInterim {
        stage = .status
      } else {
        try endHead()
      }
    case .sized(let left):
      guard let rest = takeBody(left) else { return false }
      stage = rest == 0 ? .done : .sized(left: rest)
    case .chunkSize:
      guard let line = try takeLine() else { return false }
      let size = try Self.chunkSize(line)
      guard size <= Self.maximumBodyBytes - body.count else { throw Self.tooLarge }
      stage = size == 0 ? .trailers : .chunk(left: size)
    case .chunk(let left):
      guard let rest = takeBody(left) else { return false }
      stage = rest == 0 ? .chunkEnd : .chunk(left: rest)
    case .chunkEnd:
      guard let line = try takeLine() else { return false }
      guard line.isEmpty else { throw Self.wrong("has a chunk that does not end where it should") }
      stage = .chunkSize
    case .trailers:
      guard let line = try takeLine() else { return false }
      if line.isEmpty { stage = .done } else { _ = try field(line) }
    case .done:
      guard at == buffer.count else { throw Self.wrong("has something behind its end") }
      return false
    }
    return true
  }

  /// - Returns: how much is left; nil: there is nothing to take.
  private mutating func takeBody(_ left: Int) -> Int? {
    if left == 0 { return 0 }
    let count = min(left, buffer.count - at)
    guard count > 0 else { return nil }
    body += buffer[at..<at + count]
    at += count
    scanned = at
    return left - count
  }

  /// - Returns: a line without its end; nil: it has not come.
  private mutating func takeLine() throws(FetchFailure) -> [UInt8]? {
    guard let end = buffer[scanned...].firstIndex(of: 0x0A) else {
      scanned = buffer.count
      guard scanned - at <= Self.maximumLineBytes + 1 else { throw Self.wrong("has a long line") }
      return nil
    }
    guard end > at, buffer[end - 1] == 0x0D else { throw Self.wrong("has a line without CR") }
    let line = Array(buffer[at..<end - 1])
    at = end + 1
    scanned = at
    guard line.count <= Self.maximumLineBytes else { throw Self.wrong("has a long line") }
    guard line.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
      throw Self.wrong("has control characters in a line")
    }
    return line
  }

  // MARK: The head

  /// RFC 9112 §4: `HTTP/1.1 200 OK`.
  private mutating func readStatus(_ line: [UInt8]) throws(FetchFailure) {
    let versions = ["HTTP/1.0 ", "HTTP/1.1 "].map { Array($0.utf8) }
    guard let version = versions.firstIndex(where: { line.starts(with: $0) }) else {
      throw Self.wrong("is not HTTP/1.1")
    }
    isOld = version == 0
    let digits = line.dropFirst(9).prefix(3)
    let rest = line.dropFirst(12)
    guard digits.count == 3, digits.allSatisfy({ (0x30...0x39).contains($0) }),
      rest.isEmpty || rest.first == 0x20
    else { throw Self.wrong("has no status") }
    let status = String(decoding: digits, as: UTF8.self)
    switch status.utf8.first {
    case UInt8(ascii: "1"):
      interim += 1
      // Another protocol is not what was asked for.
      guard status != "101", !isOld, interim <= Self.maximumInterim else { fallthrough }
      stage = .fields(isInterim: true)
    case UInt8(ascii: "3"):
      throw Self.wrong("has the status \(status): redirects are not followed")
    case _ where status == "200": stage = .fields(isInterim: false)
    default: throw Self.wrong("has the status \(status)")
    }
  }

  /// RFC 9112 §5: a name, a colon right behind it, and a value on the same line.
  private mutating func field(
    _ line: [UInt8]
  ) throws(FetchFailure) -> (name: String, value: String) {
    fields += 1
    guard fields <= Self.maximumFields else { throw Self.wrong("has too many fields") }
    let name = line.prefix { $0 != UInt8(ascii: ":") }
    guard !name.isEmpty, name.count < line.count, name.allSatisfy(Self.isTokenByte) else {
      throw Self.wrong("has a field without a name")
    }
    var value = line.dropFirst(name.count + 1)
    while let first = value.first, first == 0x20 || first == 0x09 { value = value.dropFirst() }
    while let last = value.last, last == 0x20 || last == 0x09 { value = value.dropLast() }
    return (
      String(decoding: name, as: UTF8.self).lowercased(), String(decoding: value, as: UTF8.self)
    )
  }

  private mutating func readField(_ line: [UInt8], isInterim: Bool) throws(FetchFailure) {
    let (name, value) = try field(line)
    if isInterim { return }
    switch name {
    case "content-length":
      guard length == nil, let number = Self.decimal(value) else {
        throw Self.wrong("has a content-length that is none, or two of them")
      }
      length = number
    case "transfer-encoding":
      guard !isChunked, Self.isWord(value, "chunked") else {
        throw Self.wrong("has a transfer-encoding besides chunked")
      }
      isChunked = true
    case "content-encoding":
      guard Self.isWord(value, "identity") else { throw Self.wrong("is compressed") }
    case "cache-control": caching.read(cacheControl: value)
    case "age": caching.read(age: value)
    default: break
    }
  }

  private mutating func endHead() throws(FetchFailure) {
    switch (length, isChunked) {
    case (let length?, false):
      guard length <= Self.maximumBodyBytes else { throw Self.tooLarge }
      stage = .sized(left: length)
    case (nil, true) where !isOld: stage = .chunkSize
    case (_?, true): throw Self.wrong("tells its length in two ways")
    case (nil, _): throw Self.wrong("does not tell its length")
    }
  }

  /// RFC 9112 §7.1: hexadecimal digits; what may stand behind a semicolon means nothing here.
  private static func chunkSize(_ line: [UInt8]) throws(FetchFailure) -> Int {
    let digits = line.prefix { $0 != UInt8(ascii: ";") }
    guard (1...8).contains(digits.count) else { throw wrong("has a chunk without a size") }
    var size = 0
    for byte in digits {
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
        throw wrong("has a chunk without a size")
      }
      // In range: eight digits at most.
      size = size << 4 | digit
    }
    return size
  }

  /// Whether it is the word, whose case doesn't matter: that of ASCII, since others have letters that become these.
  private static func isWord(_ text: String, _ word: StaticString) -> Bool {
    word.withUTF8Buffer { word in
      text.utf8.elementsEqual(word) { (0x41...0x5A).contains($0) ? $0 | 0x20 == $1 : $0 == $1 }
    }
  }

  /// Nil for what is not digits, or too many of them.
  static func decimal(_ text: String) -> Int? {
    guard (1...10).contains(text.utf8.count),
      text.utf8.allSatisfy({ (0x30...0x39).contains($0) })
    else { return nil }
    return Int(text)
  }

  /// RFC 9110 §5.6.2.
  private static func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
  }

  private static func wrong(_ what: String) -> FetchFailure {
    FetchFailure(.response, "the answer \(what)")
  }

  private static let tooLarge = wrong("has more than \(maximumBodyBytes) bytes")
}

/// For how long an answer may be kept (RFC 9111 §5.2.2, §5.1).
private struct HTTPCaching {
  private var seconds: Int?
  private var age = 0

  var maximumAge: Int? { seconds.map { max(0, $0 - age) } }

  /// What can't be read says nothing; of several the shortest counts.
  mutating func read(cacheControl value: String) {
    for directive in value.split(separator: ",") {
      let text = directive.filter { $0 != " " && $0 != "\t" }.lowercased()
      if text == "no-store" || text == "no-cache" { note(0) }
      guard text.hasPrefix("max-age=") else { continue }
      let number = text.dropFirst("max-age=".count).filter { $0 != "\"" }
      if let number = HTTPResponseReader.decimal(String(number)) { note(number) }
    }
  }

  mutating func read(age value: String) {
    age = max(age, HTTPResponseReader.decimal(value) ?? 0)
  }

  private mutating func note(_ number: Int) { seconds = min(seconds ?? number, number) }
}
