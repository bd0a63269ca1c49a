import Testing

@testable import TenancyRPCCore

@Suite("Text codings of gRPC")
struct GRPCCodingTests {
  @Test(arguments: [
    ("1n", 1), ("0S", 0), ("99999999n", 99_999_999), ("2u", 2000), ("3m", 3_000_000),
    ("4S", 4_000_000_000), ("5M", 300_000_000_000), ("6H", 21_600_000_000_000),
    ("00000007S", 7_000_000_000), ("99999999H", UInt64.max),
  ])
  func readsTimeouts(text: String, nanoseconds: UInt64) {
    #expect(Array(text.utf8).withUnsafeBytes(GRPCCoding.parseTimeout) == nanoseconds)
  }

  @Test(arguments: [
    "", "1", "S", "n1", "1s", "1 S", " 1S", "+1S", "-1S", "1.5S", "1SS", "123456789S", "1\u{0}",
    "１S", "0x1S",
  ])
  func refusesMalformedTimeouts(text: String) {
    #expect(Array(text.utf8).withUnsafeBytes(GRPCCoding.parseTimeout) == nil)
  }

  @Test(arguments: [
    (0, "0n"), (1, "1n"), (99_999_999, "99999999n"), (100_000_000, "100000u"),
    (30_000_000_000, "30000000u"), (100_000_000_000, "100000m"),
    (100_000_000_000_000, "100000S"), (100_000_000_000_000_000, "27777H"),
    (UInt64.max, "5124095H"),
  ])
  func writesTimeouts(nanoseconds: UInt64, text: String) {
    #expect(GRPCCoding.formatTimeout(nanoseconds: nanoseconds) == text)
    let back = Array(text.utf8).withUnsafeBytes(GRPCCoding.parseTimeout)
    #expect(back.map { $0 <= nanoseconds } == true)
  }

  @Test(arguments: [
    ("", ""), ("plain text", "plain text"), ("100%", "100%25"), ("a\nb", "a%0Ab"),
    ("ü", "%C3%BC"), ("~\u{7F}", "~%7F"), ("\u{0}", "%00"),
  ])
  func percentEncodes(text: String, encoded: String) {
    #expect(GRPCCoding.percentEncode(text) == Array(encoded.utf8))
    #expect(GRPCCoding.percentDecode(Array(encoded.utf8)) == text)
  }

  @Test(arguments: [
    ("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%%41", "%A"), ("%4g%41", "%4gA"), ("%c3%bc", "ü"),
    ("%FF", "\u{FFFD}"), ("a%", "a%"),
  ])
  func percentDecodesWhatItCan(encoded: String, text: String) {
    #expect(GRPCCoding.percentDecode(Array(encoded.utf8)) == text)
  }

  @Test(arguments: [
    ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"),
    ("fooba", "Zm9vYmE"), ("foobar", "Zm9vYmFy"),
  ])
  func codesBase64(text: String, encoded: String) {
    #expect(GRPCCoding.base64Encode(Array(text.utf8)) == Array(encoded.utf8))
    let padded = encoded + String(repeating: "=", count: (4 - encoded.utf8.count % 4) % 4)
    #expect(GRPCCoding.base64Decode(Array(encoded.utf8)) == Array(text.utf8))
    #expect(GRPCCoding.base64Decode(Array(padded.utf8)) == Array(text.utf8))
  }

  @Test func codesEveryByteInBase64() {
    for length in 0...260 {
      let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ length) }
      #expect(GRPCCoding.base64Decode(GRPCCoding.base64Encode(bytes)) == bytes)
    }
  }

  @Test(arguments: [
    "A", "AAAAA", "A===", "Zg=a", "Zg===", "Z g", "Zg\n", "Z-_a", "ü", "=Zg", "=", "Zg=", "Zm9v==",
  ])
  func refusesMalformedBase64(text: String) {
    #expect(GRPCCoding.base64Decode(Array(text.utf8)) == nil)
  }

  @Test func decodesValuesBetweenCommas() {
    var metadata = RPCMetadata()
    metadata.add("a-bin", "Zg, Zm8=,,!,Zm9v")
    let fields = Array("b-binZm9v,Zgb-binZ m 8".utf8)
    let received = fields.withUnsafeBytes {
      RPCMetadata(ReceivedMetadata($0, ends: [(5, 12), (17, 22)]))
    }
    #expect(
      metadata.bytes("a-bin").map { String(decoding: $0, as: UTF8.self) } == ["f", "fo", "", "foo"])
    #expect(
      received.bytes("b-bin").map { String(decoding: $0, as: UTF8.self) } == ["foo", "f", "fo"])
    #expect(received.bytes("b-bin", atMost: 2).count == 2)
    #expect(received.bytes("b").isEmpty)
  }

  /// However it came: what is asked is found, in order, and what is added comes behind it.
  @Test func metadataAsItCameIn() {
    let bytes = Array("abcd".utf8)
    var received = bytes.withUnsafeBytes {
      RPCMetadata(ReceivedMetadata($0, ends: [(1, 2), (3, 4)]))
    }
    #expect(received == ["a": "b", "c": "d"])
    received.add("A", "e")
    #expect(received["a"] == ["b", "e"] && received["c"] == ["d"] && received["b"].isEmpty)
    #expect(received.entries.map(\.name) == ["a", "c", "a"])
    #expect(Set([received, ["a": "b", "c": "d", "a": "e"]]).count == 1)
  }
}
