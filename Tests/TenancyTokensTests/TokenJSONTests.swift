import Testing

@testable import TenancyTokens

@Suite struct TokenJSONTests {
  private func read(_ bytes: [UInt8]) -> Result<TokenJSON, TokenJSONError> {
    Result { () throws(TokenJSONError) in
      try TokenJSONReader.value(bytes, TokenJSONReader.Limits(bytes: 4_096))
    }
  }

  private func failure(_ bytes: [UInt8]) -> TokenJSONError? {
    if case .failure(let error) = read(bytes) { error } else { nil }
  }

  @Test(arguments: [
    "{}", "[]", "null", "true", "false", "0", "-0", "10.50", "1e5", "1E+5", "-1.0e-5", #""""#,
    #"{"":{"a":[1,"x",null]}}"#,
  ]) func accepted(text: String) throws {
    #expect(try read(text.bytes).get().bytes() == text.bytes)
    #expect(try read((" \r\n\t" + text + " ").bytes).get().bytes() == text.bytes)
  }

  @Test func escapes() throws {
    let text = #""\"\\\/\b\f\n\r\t\u0041\u00e9\ud834\udd1eé""#
    #expect(try read(text.bytes).get() == .text("\"\\/\u{8}\u{C}\n\r\tAé𝄞é"))
    let written = TokenJSON.text("\u{1}\n\"\\\u{7F}é").bytes()
    #expect(written == #""\u0001\u000a\"\\\#u{7F}é""#.bytes)
  }

  @Test(arguments: [
    "", " ", "{", "}", "[1", "[1,]", "[,1]", "{,}", #"{"a":1,}"#, #"{"a"}"#, "{a:1}", "{1:1}",
    "01", "-01", "+1", ".5", "1.", "1.e5", "1e", "1e+", "-", "0x1", "NaN", "Infinity", "tru",
    "True", "nul", "'a'", #""a"#, #""\x""#, #""\u12"#, #""\u12g4""#, "\"\n\"", "\"\t\"", "1 2",
    "{}{}", "[]]", "{} x", "//x\n1", "1 /* */", "\u{FEFF}{}", "\u{A0}1", "{}\0",
  ]) func malformed(text: String) {
    #expect(failure(text.bytes) == .malformed)
  }

  @Test(arguments: [
    #""\u0000""#, "\"\0\"", #""\ud834""#, #""\udd1e""#, #""\ud834\ud834""#, #""\ud834x""#,
    #"{"a\u0000":1}"#,
  ]) func badText(text: String) {
    #expect(failure(text.bytes) == .text)
  }

  @Test(
    arguments: [
      [0xC0, 0x80], [0xC1, 0xBF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xFF], [0x80],
      [0xE2, 0x82],
    ] as [[UInt8]]) func notUnicode(bytes: [UInt8])
  {
    #expect(failure([0x22] + bytes + [0x22]) == .text)
  }

  @Test(arguments: [
    #"{"a":1,"a":1}"#, #"{"a":1,"b":2,"a":3}"#, #"{"a":1,"\u0061":2}"#, #"{"x":{"":1,"":2}}"#,
  ]) func duplicates(text: String) {
    #expect(failure(text.bytes) == .duplicate)
  }

  /// Canonically equivalent is not the same.
  @Test func exactNames() throws {
    let members = try TokenJSONReader.object(
      "{\"K\":1,\"\u{212A}\":2}".bytes, TokenJSONReader.Limits(bytes: 64))
    #expect(members["K"] == .number("1"))
    #expect(members["\u{212A}"] == .number("2"))
    #expect(ExactText("K") != ExactText("\u{212A}"))
  }

  @Test func orderOfNames() throws {
    let names: [ExactText] = ["", "A", "a", "aa", "ab", "b", "\u{E9}", "\u{FF5E}", "\u{10000}"]
    #expect(names.reversed().sorted() == names)
    for name in names { #expect(!(name < name)) }
    let text = #"{"b":1,"":2,"aa":3,"a":4}"#
    let members = try TokenJSONReader.object(text.bytes, TokenJSONReader.Limits(bytes: 64))
    #expect(members.map(\.name) == ["", "a", "aa", "b"])
  }

  /// The control characters are Unicode's.
  @Test func controlCharacters() {
    for value in UInt32(0)...0x3000 {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let isControl = scalar.properties.generalCategory == .control
      #expect(TokenText.isIdentifier(ExactText(String(scalar))) != isControl, "\(value)")
    }
  }

  @Test func limits() {
    func nested(_ depth: Int) -> [UInt8] {
      (String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).bytes
    }
    #expect(failure(nested(8)) == nil)
    #expect(failure(nested(9)) == .limit)
    #expect(failure(nested(2_000)) == .limit)
    #expect(failure(String(repeating: " ", count: 4_095).bytes + "1".bytes) == nil)
    #expect(failure(String(repeating: " ", count: 4_096).bytes + "1".bytes) == .limit)
    let numbers = Array(repeating: "1", count: 2_047).joined(separator: ",")
    let roomy = TokenJSONReader.Limits(bytes: 10_000)
    #expect(throws: Never.self) { try TokenJSONReader.value("[\(numbers)]".bytes, roomy) }
    #expect(throws: TokenJSONError.limit) {
      try TokenJSONReader.value("[\(numbers),1]".bytes, roomy)
    }
    #expect(failure(String(repeating: "1", count: 64).bytes) == nil)
    #expect(failure(String(repeating: "1", count: 65).bytes) == .limit)
    var limits = TokenJSONReader.Limits(bytes: 100)
    limits.values = 3
    #expect(throws: Never.self) { try TokenJSONReader.value("[1,2]".bytes, limits) }
    #expect(throws: TokenJSONError.limit) { try TokenJSONReader.value("[1,2,3]".bytes, limits) }
  }

  @Test func base64() {
    for (bytes, text): ([UInt8], String) in [
      ([], ""), ([0], "AA"), ([0xFF], "_w"), ([0xFB, 0xFF], "-_8"), ([1, 2, 3], "AQID"),
    ] {
      #expect(Base64URL.encode(bytes) == text.bytes)
      #expect(Base64URL.decode(text.bytes) == bytes)
    }
    for text in [
      "A", "AAAAA", "AA==", "AA=", "AB", "AAB", "_x", "AA\n", " AA", "A A", "+w", "/w", "ÄA",
      "AA\0",
    ] {
      #expect(Base64URL.decode(text.bytes) == nil, "\(text)")
    }
  }
}
