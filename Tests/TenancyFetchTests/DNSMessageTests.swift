import Tenancy
import Testing

@testable import TenancyFetch

/// Answers of resolvers as they should be, and as they should not.
struct DNSMessageTests {
  private let question: DNSQuestion

  init() throws { question = try #require(DNSQuestion("_c.Example.com", .text)) }

  private static let name = Array("\u{2}_c\u{7}example\u{3}com\u{0}".utf8)
  /// Where the question's name is.
  private static let pointer: [UInt8] = [0xC0, 12]

  /// - Parameter records: as they are on the wire.
  private func message(
    _ records: [[UInt8]] = [], count: Int? = nil, flags: [UInt8] = [0x81, 0x80], id: UInt8 = 7,
    kind: UInt8 = 16, name: [UInt8] = name
  ) -> [UInt8] {
    let count = UInt16(count ?? records.count)
    return [0, id] + flags + [0, 1, UInt8(count >> 8), UInt8(count & 0xFF), 0, 0, 0, 0] + name
      + [0, kind, 0, 1] + records.flatMap { $0 }
  }

  private func record(
    _ owner: [UInt8], _ kind: UInt8, _ data: [UInt8], recordClass: UInt8 = 1
  ) -> [UInt8] {
    let head = owner + [0, kind, 0, recordClass, 0, 0, 0, 9]
    return head + [UInt8(data.count >> 8), UInt8(data.count & 0xFF)] + data
  }

  private func record(_ owner: [UInt8], _ data: [UInt8]) -> [UInt8] { record(owner, 16, data) }

  private func record(_ data: [UInt8]) -> [UInt8] { record(Self.pointer, 16, data) }

  private func read(_ message: [UInt8]) throws(FetchFailure) -> DNSAnswer? {
    try DNSMessage.read(message, to: question, id: 7)
  }

  private func isRefused(_ message: [UInt8]) -> Bool {
    do throws(FetchFailure) {
      _ = try read(message)
      return false
    } catch {
      return error.stage == .response
    }
  }

  @Test func whatIsAsked() {
    #expect(
      question.message(id: 0x1234)
        == [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + Self.name + [0, 16, 0, 1])
    for text in ["", "a..b", ".a", "a.", String(repeating: "a", count: 64)] {
      #expect(DNSQuestion(text, .ipv4) == nil, "\(text)")
    }
    #expect(DNSQuestion(String(repeating: "a.", count: 126) + "a", .ipv4) != nil)
    #expect(DNSQuestion(String(repeating: "a.", count: 127) + "a", .ipv4) == nil)
  }

  @Test func textsOfTheName() throws {
    let upper = Self.name.map { (0x61...0x7A).contains($0) ? $0 & 0xDF : $0 }
    #expect(
      try read(
        message([record([1, 0x61]), record(upper, [0]), record(Self.name, [2, 0x62, 0x63])]))
        == .records([[1, 0x61], [0], [2, 0x62, 0x63]]))
    #expect(try read(message()) == .records([]))
    // Of other names, kinds and classes.
    #expect(
      try read(
        message([
          record([0xC0, 15], [1, 0x61]), record(Self.pointer, 1, [1, 2, 3, 4]),
          record(Self.pointer, 16, [1, 0x61], recordClass: 3),
        ])) == .records([]))
    #expect(try read(message(flags: [0x81, 0x83])) == .noName)
    #expect(try read(message(flags: [0x81, 0x82])) == .failed(code: 2))
    #expect(try read(message(flags: [0x83, 0x80])) == .truncated)
  }

  @Test func aliasesAreFollowed() throws {
    let target: [UInt8] = [1, 0x74, 0xC0, 15]
    let there: [UInt8] = [1, 0x54] + Self.name.dropFirst(3)
    #expect(
      try read(message([record(there, [1, 0x61]), record(Self.pointer, 5, target)]))
        == .records([[1, 0x61]]))
    #expect(try read(message([record(Self.pointer, 5, target)])) == .records([]))
    #expect(isRefused(message([record(Self.pointer, 5, Self.pointer)])))
    #expect(isRefused(message([record(Self.pointer, 5, target + [0])])))
  }

  @Test func whatSomebodyElseMaySendIsNoAnswer() throws {
    for other in [
      [], Array(message().prefix(11)), message(id: 8), message(flags: [0x01, 0x80]),
      message(flags: [0x89, 0x80]), message(kind: 1), message(name: Array("\u{1}x\u{0}".utf8)),
      Array(message().prefix(20)), Array(message().dropLast()),
    ] {
      #expect(try read(other) == nil, "\(other)")
    }
  }

  @Test func whatCannotBeReadIsRefused() {
    let one = record([1, 0x61])
    for wrong in [
      message([one], count: 2), message([], count: 257), Array(message([one]).dropLast()),
      // Names that have no end: ahead, in themselves, in each other; and lengths that are none.
      message([record([0xC0, 0xFF], [1, 0x61])]), message([record([0xC0, 32], [1, 0x61])]),
      message([record([1, 0x61, 0xC0, 32], [1, 0x61])]), message([record([0x40, 0], [1, 0x61])]),
      message([record([0x80, 0], [1, 0x61])]),
      message([
        record([UInt8](repeating: [63] + [UInt8](repeating: 0x61, count: 63), 4) + [0], [0])
      ]),
    ] {
      #expect(isRefused(wrong), "\(wrong)")
    }
  }

  @Test func strings() {
    #expect(DNSMessage.text([2, 0x61, 0x62, 0, 1, 0x63]) == Array("abc".utf8))
    #expect(DNSMessage.text([]) == [])
    for wrong in [[1], [2, 0x61], [0, 3, 0x61, 0x61]] as [[UInt8]] {
      #expect(DNSMessage.text(wrong) == nil)
    }
  }

  @Test(arguments: [
    ("127.0.0.1", "127.0.0.1 port 53"), ("127.0.0.1:5353", "127.0.0.1 port 5353"),
    ("::1", "0:0:0:0:0:0:0:1 port 53"), ("[::1]:5353", "0:0:0:0:0:0:0:1 port 5353"),
    ("", nil), ("localhost", nil), ("127.0.0.1:", nil), ("127.0.0.1:0", nil), ("127.1", nil),
    ("127.0.0.1:65536", nil), ("[::1]", nil), ("[127.0.0.1]:53", nil), ("::1%lo", nil),
    ("[::1]x:53", nil), ("127.0.0.1:+5", nil),
  ])
  func resolversOfTheConfiguration(_ text: String, _ told: String?) {
    #expect(DNSClient.Server(parsing: text)?.description == told)
  }

  @Test func resolversOfTheSystem() {
    let text = """
      # nameserver 9.9.9.9
      search example.com
      nameserver 192.0.2.1
      nameserver\tfe80::1%eth0
      nameserver 2001:db8::1 x
      nameserver
      nameserver 192.0.2.2
      nameserver 192.0.2.3
      """
    #expect(
      DNSClient.servers(in: text).map(\.description) == [
        "192.0.2.1 port 53", "2001:db8:0:0:0:0:0:1 port 53", "192.0.2.2 port 53",
      ])
  }

  @Test func whatIsToldOfForeignTextIsHarmless() {
    #expect(DomainProver.printable(Array("a\u{1B}[2J\"é".utf8)) == "a?[2J???")
    let told = DomainProver.printable([UInt8](repeating: 0x61, count: 1000))
    #expect(told.utf8.count < 80)
  }
}

extension [UInt8] {
  fileprivate init(repeating part: [UInt8], _ count: Int) {
    self = (0..<count).flatMap { _ in part }
  }
}
