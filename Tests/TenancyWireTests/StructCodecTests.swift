import Tenancy
import TenancyRPC
import TenancyTestSupport
import Testing

@testable import TenancyWire

@Suite struct StructCodecTests {
  private func decode(_ bytes: [UInt8]) throws(FieldViolation) -> [String: JSONValue] {
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(FieldViolation) in try StructCodec.decode(buffer, field: "settings") }
    }
    return try result.get()
  }

  private func violation(_ bytes: [UInt8]) -> FieldViolation? {
    do throws(FieldViolation) {
      _ = try decode(bytes)
      return nil
    } catch {
      return error
    }
  }

  /// A Struct with the entry "k", of which `value` is the encoded Value.
  private func structure(_ value: [UInt8]) -> [UInt8] {
    let key = RawEncoding.field(1, Array("k".utf8))
    return RawEncoding.field(1, key + RawEncoding.field(2, value))
  }

  /// Containers nested `depth` deep, the outermost an object, then objects and lists in turn.
  private func nested(_ depth: Int) -> [String: JSONValue] {
    var value: JSONValue = .bool(true)
    for level in (1..<depth).reversed() {
      value = level % 2 == 0 ? .object(["k": value]) : .array([value])
    }
    return ["k": value]
  }

  @Test func roundTrip() throws {
    #expect(try decode(StructCodec.encode(Samples.settings)) == Samples.settings)
    #expect(StructCodec.encode([:]).isEmpty)
    #expect(try decode([]) == [:])
  }

  private func value(_ bytes: [UInt8]) -> JSONValue? {
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(FieldViolation) in
        try StructCodec.decode(value: buffer, field: "default_value")
      }
    }
    return try? result.get()  // Nil is for whatever is wrong.
  }

  @Test func aValueByItself() throws {
    for sample in [
      .null, .bool(false), .number(-0.5), .string(""), .array([]), .object(Samples.settings),
      .array([.object([:]), .null]),
    ] as [JSONValue] {
      #expect(value(StructCodec.encode(value: sample)) == sample)
    }
    #expect(value([]) == nil)
    let (deepest, deeper) = (nested(StructCodec.maximumDepth), nested(StructCodec.maximumDepth + 1))
    #expect(value(StructCodec.encode(value: .object(deepest))) == .object(deepest))
    #expect(value(StructCodec.encode(value: .object(deeper))) == nil)
  }

  /// As proto3 has it for a message that is sent in pieces.
  @Test func aValueInPieces() throws {
    func message(_ values: [JSONValue]) throws -> JSONValue? {
      let sent = values.flatMap { RawEncoding.field(4, StructCodec.encode(value: $0)) }
      return try sent.withUnsafeBytes { bytes in
        try V1.SettingDefinition(decoding: bytes, arena: Arena()).defaultValue
      }
    }
    #expect(try message([]) == nil)
    #expect(try message([.null]) == .null)
    #expect(try message([.bool(true), .string("x")]) == .string("x"))
    let sent = V1.SettingDefinition(defaultValue: .null)
    #expect(sent.json() == .object(["defaultValue": .null]))
  }

  @Test func depthIsLimited() throws {
    let deepest = nested(StructCodec.maximumDepth)
    #expect(try decode(StructCodec.encode(deepest)) == deepest)
    let deeper = violation(StructCodec.encode(nested(StructCodec.maximumDepth + 1)))
    #expect(deeper?.description == "is nested more than 32 deep")
    #expect(deeper?.field.hasPrefix("settings[\"k\"][0]") == true)
    #expect(violation(StructCodec.encode(nested(500))) != nil)
  }

  @Test func lengthIsLimited() {
    func text(_ count: Int) -> [UInt8] {
      structure(RawEncoding.field(3, [UInt8](repeating: 0x61, count: count)))
    }
    let around = text(StructCodec.maximumBytes).count - StructCodec.maximumBytes
    #expect(violation(text(StructCodec.maximumBytes - around)) == nil)
    #expect(
      violation(text(StructCodec.maximumBytes - around + 1))
        == FieldViolation(field: "settings", description: "is longer than 262144 bytes"))
  }

  /// Settings as large as they may be, of the shapes that grow most when they are encoded.
  @Test(
    arguments: [
      .array(Array(repeating: .null, count: 16_000)),
      .array(Array(repeating: .array([]), count: 32_000)),
      .object(Dictionary(uniqueKeysWithValues: (0..<5_000).map { ("\($0)", .object([:])) })),
      .string(String(repeating: "é", count: 32_000)),
    ] as [JSONValue])
  func whatMayBeStoredFits(_ value: JSONValue) throws {
    var nested = value
    for _ in 0..<29 { nested = .array([nested]) }
    let encoded = StructCodec.encode(["k": nested])
    #expect(encoded.count <= StructCodec.maximumBytes * 3 / 4)
    #expect(try decode(encoded) == ["k": nested])
  }

  @Test func keysAreInTheOrderOfTheirBytes() {
    let keys = [
      "", "a", "aaaaaaaa", "aaaaaaaab", "aaaaaaaa\u{1}", "b", "o\u{301}", "z", "é", "𝄞", "☂",
    ]
    let object = Dictionary(uniqueKeysWithValues: keys.map { ($0, JSONValue.null) })
    let sorted = ByteOrder.sorted(object).map(\.key)
    #expect(sorted == keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
    let other = Dictionary(uniqueKeysWithValues: keys.reversed().map { ($0, JSONValue.null) })
    #expect(StructCodec.encode(object) == StructCodec.encode(other))
  }

  @Test func anOrderOfBytes() {
    var generator = SeededGenerator(seed: 5)
    for _ in 0..<200 {
      let keys = Set(
        (0..<50).map { _ in
          String(
            (0..<Int.random(in: 0...20, using: &generator)).map { _ in
              "aaaaaabé".randomElement(using: &generator) ?? "a"
            })
        })
      let object = Dictionary(uniqueKeysWithValues: keys.map { ($0, $0.count) })
      let sorted = ByteOrder.sorted(object)
      #expect(sorted.map(\.key) == keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
      #expect(sorted.allSatisfy { object[$0.key] == $0.value })
    }
  }

  @Test func hugeDepthIsRefused() {
    // Lists in lists, written from the inside out.
    var value: [UInt8] = []
    for _ in 0..<2_000 { value = RawEncoding.field(6, RawEncoding.field(1, value)) }
    #expect(violation(structure(value))?.description == "is nested more than 32 deep")
  }

  @Test func everyTruncationIsHarmless() {
    let bytes = StructCodec.encode(Samples.settings)
    for length in 0..<bytes.count { _ = violation(Array(bytes[..<length])) }
    let single = structure(RawEncoding.field(3, Array("text".utf8)))
    for length in 1..<single.count {
      #expect(violation(Array(single[..<length]))?.description == "is not a valid encoding")
    }
  }

  @Test func randomBytesNeverTrap() throws {
    var generator = SeededGenerator(seed: 11)
    let valid = StructCodec.encode(Samples.settings)
    for round in 0..<50_000 {
      var bytes = generator.bytes(Int.random(in: 0...48, using: &generator))
      if round % 2 == 0 {
        bytes = valid
        for _ in 0..<3 {
          bytes[Int.random(in: 0..<bytes.count, using: &generator)] = generator.bytes(1)[0]
        }
      }
      if let object = try? decode(bytes) {
        #expect(try decode(StructCodec.encode(object)) == object)
      }
    }
  }

  @Test func numbersMustBeFinite() {
    for number in [Double.nan, .infinity, -.infinity] {
      let bits = withUnsafeBytes(of: number.bitPattern.littleEndian) { Array($0) }
      let found = violation(structure([0x11] + bits))
      #expect(
        found == FieldViolation(field: "settings[\"k\"]", description: "is not a finite number"))
      #expect((try? decode(StructCodec.encode(["k": .number(number)]))) == ["k": .null])
    }
  }

  @Test func valuesMustHaveAKind() {
    let expected = FieldViolation(field: "settings[\"k\"]", description: "has no value")
    #expect(violation(structure([])) == expected)
    #expect(violation(structure(RawEncoding.field(9, []))) == expected)
    #expect(violation(RawEncoding.field(1, RawEncoding.field(1, Array("k".utf8)))) == expected)
  }

  @Test func textIsChecked() {
    #expect(
      violation(structure(RawEncoding.field(3, [0xff])))
        == FieldViolation(field: "settings[\"k\"]", description: "is not valid UTF-8"))
    #expect(
      violation(structure(RawEncoding.field(3, [0])))
        == FieldViolation(field: "settings[\"k\"]", description: "contains a NUL character"))
    #expect(violation(RawEncoding.field(1, RawEncoding.field(1, [0])))?.field == "settings")
  }

  @Test func lastEntryAndLastKindCount() throws {
    let number = structure([0x20, 1])
    let both = structure([0x20, 1] + RawEncoding.field(3, Array("x".utf8)))
    #expect(try decode(number + both) == ["k": .string("x")])
  }

  @Test func unknownFieldsAreSkipped() throws {
    var unknown = RawEncoding()
    unknown.field(15, varint: .max)
    unknown.field(15, bytes: [1, 2, 3])
    let fixed: [UInt8] = [0x7d, 1, 2, 3, 4, 0x79, 1, 2, 3, 4, 5, 6, 7, 8]
    #expect(try decode(unknown.bytes + fixed + structure([0x08, 0])) == ["k": .null])
  }

  @Test(arguments: [
    [0x7b],  // Start of a group.
    [0x7c],  // End of a group.
    [0x7e], [0x7f],  // No wire types.
    [0x02, 0x00],  // Field number 0.
    [0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],  // 11 bytes.
    [0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x00],  // A key over 32 bits.
    [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],  // A length of 2^64 - 1.
    [0x0a, 0x05, 0x00],  // Longer than what is there.
    [0x08, 0x01],  // `fields` as a number.
  ])
  func malformedBytesAreRefused(_ bytes: [UInt8]) {
    let expected = FieldViolation(field: "settings", description: "is not a valid encoding")
    #expect(violation(bytes) == expected)
  }

  @Test func knownKindsWithWrongWireTypesAreRefused() {
    #expect(violation(structure([0x1d, 1, 2, 3, 4]))?.description == "is not a valid encoding")
  }
}
