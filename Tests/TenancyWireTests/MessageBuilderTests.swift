import Tenancy
import TenancyRPC
import TenancyWire
import Testing

@Suite("Messages that are written field by field")
struct MessageBuilderTests {
  private func build<Message>(
    _: Message.Type, capacity: Int, _ body: (inout MessageBuilder<Message>) -> Void
  ) -> [UInt8] {
    let arena = Arena(firstBlock: 64)
    var builder = MessageBuilder<Message>(in: arena, capacity: capacity)
    body(&builder)
    return [UInt8](builder.finish().bytes)
  }

  /// Of any length, so that lengths of every size stand before it.
  private static let texts = [0, 1, 7, 15, 16, 126, 127, 128, 129, 16_383, 16_384, 70_000].map {
    String(repeating: "ä", count: $0 / 2) + String(repeating: "x", count: $0 % 2)
  }

  @Test(arguments: texts, [1, 16, 256, 100_000])
  func checksAreAsTheMessage(_ role: String, _ capacity: Int) {
    for allowed in [false, true] {
      for revision in [0, 1, 127, 128, UInt64.max] {
        for reason in [V1.DecisionReason(rawValue: 0), .role, V1.DecisionReason(rawValue: -1)] {
          let message = V1.CheckResponse(
            allowed: allowed, reason: reason, role: role, revision: revision)
          let built = build(V1.CheckResponse.self, capacity: capacity) { builder in
            builder.write(.allowed, allowed)
            builder.write(.reason, reason)
            builder.write(.role, role)
            builder.write(.revision, revision)
          }
          let isSame = built == message.encode(arena: Arena())
          #expect(isSame)
        }
      }
    }
  }

  /// Messages in messages have their lengths before them, which take more bytes the longer they are.
  @Test(arguments: texts, [1, 300])
  func messagesInMessages(_ text: String, _ capacity: Int) {
    let tenant = V1.ResolvedTenant(name: text, id: text, epoch: 7)
    let findings = [
      V1.ResolutionFinding(strategy: .path, value: text, decided: true), V1.ResolutionFinding(),
      V1.ResolutionFinding(strategy: .header, value: "acme"),
    ]
    let message = V1.ResolveTenantResponse(
      tenant: tenant, strategy: .path, explanation: findings)
    let built = build(V1.ResolveTenantResponse.self, capacity: capacity) { builder in
      tenant.encode(arena: Arena()).withUnsafeBytes { builder.write(.tenant, encoded: $0) }
      builder.write(.strategy, .path)
      for finding in findings {
        builder.write(.explanation) { inner in
          inner.write(.strategy, finding.strategy)
          inner.write(.value, finding.value)
          inner.write(.decided, finding.decided)
        }
      }
    }
    let isSame = built == message.encode(arena: Arena())
    #expect(isSame)
  }

  @Test func whatIsWrittenIsRead() throws {
    let results = (0..<100).map {
      V1.CheckResponse(allowed: $0 % 2 == 0, role: String(repeating: "r", count: $0 * 3))
    }
    let built = build(V1.BatchCheckResponse.self, capacity: 10) { builder in
      for result in results {
        builder.write(.results) { inner in
          inner.write(.allowed, result.allowed)
          inner.write(.role, result.role)
        }
      }
    }
    let read = try built.withUnsafeBytes {
      try V1.BatchCheckResponse(decoding: $0, arena: Arena())
    }
    let isSame = read.results == results
    #expect(isSame)
  }
}
