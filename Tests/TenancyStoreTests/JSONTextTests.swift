import Tenancy
import Testing

@testable import TenancyStore

struct JSONTextTests {
  private static let coding = JSONCoding()

  /// Every ASCII character, and some of more bytes.
  @Test func stringsAreWrittenAsTheEncoderWritesThem() throws {
    let texts =
      (0..<128 as Range<UInt8>).map { "a\(Unicode.Scalar($0))b" } + [
        "", "é", "𝄞/\u{2028}\u{FEFF}", "e\u{301}",
      ]
    for text in texts {
      var json = JSONText()
      json.string(text)
      #expect(json.text == (try Self.coding.text(text)))
      #expect(Self.coding.decode(String.self, json.text) == text)
    }
  }

  @Test func commasAreBetweenElementsAndNowhereElse() throws {
    var json = JSONText()
    try json.array { json throws(StoreError) in
      try json.object { _ throws(StoreError) in }
      try json.object { json throws(StoreError) in
        json.key("a")
        json.number(UInt64.max)
        json.key("b")
        try json.array { json throws(StoreError) in
          json.bool(true)
          json.json(#"{"c":null}"#)
          json.number(Int64.min)
        }
        json.key("d")
        json.bool(false)
      }
      try json.array { _ throws(StoreError) in }
      json.string("e")
    }
    #expect(
      json.text
        == #"[{},{"a":18446744073709551615,"b":[true,{"c":null},-9223372036854775808],"d":false},[],"e"]"#
    )
  }
}
