import TenancyRPC
import Testing

@testable import TenancyRPCServices

@Suite struct DescriptorIndexTests {
  /// A length-delimited field, shorter than 128 bytes.
  private static func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
    [number << 3 | 2, UInt8(content.count)] + content
  }

  private static func field(_ number: UInt8, _ text: String) -> [UInt8] {
    field(number, Array(text.utf8))
  }

  /// `package p; message M { F f; oneof o; message N { enum E { V } } extend x.T { X = 300 } }`, and a
  /// service, an enum and an extension beside it.
  private static let file: [UInt8] = {
    let named: (UInt8, String) -> [UInt8] = { field($0, field(1, $1)) }
    let nested = field(3, field(1, "N") + field(4, field(1, "E") + named(2, "V")))
    let extended: (String, UInt8) -> [UInt8] = { name, high in
      field(1, name) + field(2, ".x.T") + [3 << 3, 0x80 | high, 2]
    }
    return field(1, "p.proto") + field(2, "p") + field(3, "a.proto") + field(3, "missing.proto")
      + field(
        4, field(1, "M") + named(2, "f") + named(8, "o") + nested + field(6, extended("i", 1)))
      + field(5, field(1, "Top") + named(2, "W")) + field(6, field(1, "S") + named(2, "Do"))
      + field(7, extended("x", 0))
  }()

  private static let imported = field(1, "a.proto") + field(3, "b.proto") + field(4, field(1, "A"))
  private static let shared = field(1, "b.proto") + field(2, "q.r")
  private static let other = field(1, "c.proto") + field(3, "a.proto") + field(3, "b.proto")

  private func index() throws -> DescriptorIndex {
    // A file in both sets is one file.
    try DescriptorIndex([
      Self.field(1, Self.shared) + Self.field(1, Self.imported),
      Self.field(1, Self.file) + Self.field(1, Self.imported) + Self.field(1, Self.other),
    ])
  }

  @Test func everyNameIsFound() throws {
    let index = try index()
    let names = [
      "p.M", "p.M.f", "p.M.o", "p.M.N", "p.M.N.E", "p.M.N.V", "p.M.i", "p.Top", "p.W", "p.S",
      "p.S.Do", "p.x",
    ]
    #expect(Set(index.symbols.keys) == Set(names + ["A"]))
    for name in names { #expect(index.symbols[name] == "p.proto") }
    // Without a package there is no dot.
    #expect(index.symbols["A"] == "a.proto")
    #expect(index.messages == ["p.M", "p.M.N", "A"])
  }

  @Test func extensionsAreFoundByWhatTheyExtend() throws {
    #expect(
      try index().extensions == [
        "x.T": [.init(number: 257, file: "p.proto"), .init(number: 256, file: "p.proto")]
      ])
  }

  @Test func importsFollowEachOnce() throws {
    let index = try index()
    #expect(Set(index.closure(of: "p.proto").map(\.name)) == ["p.proto", "a.proto", "b.proto"])
    let closure = index.closure(of: "c.proto").map(\.name)
    #expect(closure.first == "c.proto")
    #expect(closure.sorted() == ["a.proto", "b.proto", "c.proto"])
    #expect(index.closure(of: "none.proto").isEmpty)
    #expect(index.files["p.proto"]?.encoded == Self.file)
  }

  @Test(
    arguments: [
      [0x0A, 0x05, 0x01], [0x08, 0x01], field(1, [0x0B]), field(1, field(4, [0xFF])),
      field(1, field(6, field(2, [0x0A]))), field(1, [1 << 3, 1]),
    ] as [[UInt8]])
  func whatIsNoDescriptorIsRefused(_ set: [UInt8]) {
    #expect(throws: FieldViolation.self) { try DescriptorIndex([set]) }
  }

  @Test func aServiceWithoutADescriptorIsRefused() throws {
    let method = ServiceMethod<Nobody>.async(path: "/p.Other/Do") { _, message in message }
    #expect(throws: ReflectionError.self) {
      try ReflectionService(serving: [method], descriptorSets: [Self.field(1, Self.file)])
    }
    let known = ServiceMethod<Nobody>.async(path: "/p.S/Do") { _, message in message }
    let service = try ReflectionService(
      serving: [known], descriptorSets: [Self.field(1, Self.file)])
    #expect((service.methods() as [ServiceMethod<Nobody>]).count == 2)
  }
}

private struct Nobody: ServerDelegate {
  func connectionOpened(_ connection: Connection) -> NoContext? { nil }
  func log(_ event: ServerEvent) {}
}
