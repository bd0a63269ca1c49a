import Tenancy
import TenancyWire
import Testing

@testable import tenantctl

/// Fleet files that something has happened to.
struct FleetDamageTests {
  /// The same numbers each time.
  private struct Numbers: RandomNumberGenerator {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15

    mutating func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
  }

  private static func seed() throws -> [UInt8] {
    var tenant = FleetTenant(slug: "acme")
    tenant.displayName = "a: #b\n\u{1F389} "
    tenant.isolation = .hybrid
    tenant.labels = ["y": "on", "example.com/x": "007"]
    tenant.settings = ["null": .null, "deep": .object(["a": .array([.number(1), .bool(true)])])]
    tenant.routes = [V1.RouteRule(methods: ["GET"], path: "/a/**", permission: "a:b")]
    tenant.roles = [FleetRole(id: "reader", title: "R", description: "d", permissions: ["a:*"])]
    return Array(try FleetWriter.text(tenant).utf8)
  }

  /// It is read or refused with its line; what is read can be written, and reads as it was.
  @Test func damageIsReadOrRefused() throws {
    let seed = try Self.seed()
    let marks = Array("\n -:{}[]'\"&*!|>#%@,?\t\0".utf8)
    var (random, readable) = (Numbers(), 0)
    for _ in 0..<2_000 {
      var bytes = seed
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let at = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes[at] = marks.randomElement(using: &random) ?? 0
        case 2: bytes.insert(contentsOf: bytes[at...].prefix(12), at: at)
        default: bytes.removeSubrange(at..<min(at + 9, bytes.count))
        }
        if bytes.isEmpty { bytes = [10] }
      }
      let text = String(decoding: bytes, as: UTF8.self)
      let (documents, problems) = try FleetReader.read(text, file: "f")
      guard problems.isEmpty else { continue }
      for document in documents {
        let again = try FleetWriter.text(document.tenant)
        let (found, none) = try FleetReader.read(again, file: "f")
        #expect(none.isEmpty && found.first?.tenant.message == document.tenant.message, "\(text)")
        readable += 1
      }
    }
    #expect(readable > 0)
  }
}
