import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyServer

/// What is recorded of decisions, and how much.
struct DecisionLogTests {
  private let plane: ControlPlane
  private static let tenants = [Sample.tenant(1, "acme"), Sample.tenant(2, "globex")]

  init() throws { plane = try Sample.plane(Self.tenants, []) }

  private func access(_ slug: String = "acme", at now: Timestamp = Sample.moment) -> Access {
    let record = plane.state.find(slug)
    return Access(
      caller: Caller(
        .tenant(name: slug), subject: "x", source: .certificate, certificate: nil,
        rules: IdentityRules(trustDomains: [])),
      home: record, target: record, now: now, snapshot: plane.snapshot)
  }

  private func log(_ change: (inout DecisionTerms) -> Void = { _ in }) -> DecisionLog {
    var terms = DecisionTerms()
    change(&terms)
    return DecisionLog(terms, start: Sample.moment, node: "one")
  }

  private func note(
    _ shard: DecisionShard, _ decision: Decision = .notAllowed, of slug: String = "acme",
    subject: String = "user:al", _ attributes: RequestAttributes = RequestAttributes(),
    at now: Timestamp = Sample.moment
  ) throws {
    let access = access(slug, at: now)
    let recorder = Recorder(shard, .check)
    recorder.note(
      decision, try access.requireTarget(), subject.utf8Span.span.bytes,
      "docs:read".utf8Span.span.bytes, "1".utf8Span.span.bytes, attributes, access)
  }

  private func found(
    _ log: DecisionLog, _ number: Int = 0, after: UInt64 = 0, at now: Timestamp = Sample.moment
  ) -> DecisionLog.Found {
    log.decisions(of: Self.tenants[number].id, after: after, at: now)
  }

  @Test func denialsOfAllLoopsAreThereInOrder() throws {
    let log = log()
    let shards = [log.makeShard(), log.makeShard()]
    for number in 0..<10 { try note(shards[number % 2], subject: "user:\(number)") }
    try note(shards[0], of: "globex")
    let all = found(log)
    #expect(all.decisions.map(\.subject) == (0..<10).map { "user:\($0)" })
    #expect(all.decisions.allSatisfy { $0.answer.reason == .noGrant && $0.resource == "1" })
    #expect(found(log, 1).decisions.count == 1)
    #expect(
      found(log, after: all.decisions[7].sequence).decisions.map(\.subject) == ["user:8", "user:9"])
    #expect(found(log, after: all.last).decisions.isEmpty)
  }

  @Test func aTenantOverwritesItsOwnOnly() throws {
    let log = log {
      $0.decisionsPerTenant = 5
      $0.denialsPerSecond = 50
    }
    let shard = log.makeShard()
    try note(shard, of: "globex")
    for number in 0..<100 { try note(shard, subject: "user:\(number)") }
    let flood = found(log)
    #expect(flood.decisions.map(\.subject) == (45..<50).map { "user:\($0)" })
    #expect(flood.leftOut == 50 && flood.overwritten == 45)
    #expect(found(log, 1).decisions.count == 1 && found(log, 1).leftOut == 0)
    // Another second.
    let next = Sample.moment + .seconds(1)
    try note(shard, at: next)
    #expect(found(log).decisions.last?.subject == "user:al")
    // What is missing is told of the tenant that misses it.
    #expect(found(log, at: next).completeSince == Sample.moment)
    for _ in 0..<51 { try note(shard, at: next) }
    #expect(found(log, at: next).completeSince == next)
    #expect(found(log, 1, at: next).completeSince == Sample.moment)
  }

  @Test func bytesOfATenantAreBounded() throws {
    let log = log {
      $0.bytesPerTenant = 8_192
      $0.denialsPerSecond = 10_000
    }
    let shard = log.makeShard()
    for _ in 0..<200 { try note(shard, subject: String(repeating: "s", count: 256)) }
    #expect(found(log).decisions.reduce(0) { $0 + $1.bytes } <= 8_192)
    #expect(shard.bytes <= 8_192 && found(log).decisions.count > 5)
  }

  /// Who has recorded nothing for long has to go, and that is told.
  @Test func bytesOfAllAreBounded() throws {
    let log = log { $0.bytes = 65_536 }
    let shard = log.makeShard()
    var rings = DecisionRings()
    let kept = KeptAttributes(RequestAttributes(), redacting: [])
    for number in 0..<1_000 {
      let tenant = Sample.id(UInt64(number))
      let isAdmitted = rings.admit(
        tenant, isAllowed: false, at: Sample.moment, log.pace.terms)
      #expect(isAdmitted)
      rings.add(
        RecordedDecision(
          sequence: UInt64(number), time: Sample.moment, revision: 1,
          AskedQuestion(subject: "s", permission: "a:b", resource: "", attributes: kept),
          .init(.notAllowed, TenantPolicy()), .check), of: tenant, log.pace.terms,
        share: log.pace.share)
      #expect(rings.bytes <= 65_536)
    }
    #expect(rings.kept(of: Sample.id(999)).decisions.count == 1)
    #expect(rings.kept(of: Sample.id(0)).decisions.isEmpty)
    #expect(rings.kept(of: Sample.id(0)).lastMissed == Sample.moment)
    rings.sweep(before: Sample.moment) { _ in true }
    for _ in 0..<10 { rings.sweep(before: Sample.moment) { _ in true } }
    #expect(rings.bytes == 0 && shard.bytes == 0)
  }

  @Test func oldOnesAreForgotten() throws {
    let log = log { $0.retention = .seconds(10) }
    let shard = log.makeShard()
    try note(shard)
    try note(shard, at: Sample.moment + .seconds(8))
    #expect(found(log, at: Sample.moment + .seconds(15)).decisions.count == 1)
    shard.sweep(plane.snapshot, at: Sample.moment + .seconds(15))
    #expect(shard.kept(of: Self.tenants[0].id).decisions.count == 1)
    shard.sweep(plane.snapshot, at: Sample.moment + .seconds(30))
    #expect(shard.bytes == 0)
  }

  @Test(arguments: [0, 1, 10]) func allowedDecisionsAreSampled(_ mean: Int) throws {
    let log = log {
      $0.allowedSample = mean
      $0.allowedPerSecond = 10_000
      $0.decisionsPerTenant = 10_000
    }
    let shard = log.makeShard()
    for _ in 0..<2_000 { try note(shard, .allowed(role: 0)) }
    let count = found(log).decisions.count
    switch mean {
    case 0: #expect(count == 0)
    case 1: #expect(count > 800)
    // 200 on average, with a deviation of 8.
    default: #expect((100...400).contains(count))
    }
    #expect(found(log).decisions.allSatisfy { $0.answer.role == "tenant-admin" })
  }

  @Test func nothingNeedBeRecorded() throws {
    let log = log { ($0.denialsPerSecond, $0.allowedSample) = (0, 0) }
    let shard = log.makeShard()
    try note(shard)
    try note(shard, .denied(role: 0))
    try note(shard, .allowed(role: 0))
    #expect(found(log).decisions.isEmpty && shard.bytes == 0)
  }

  // MARK: Attributes

  private static func told(_ object: [String: JSONValue], weight: Int = 10) -> RequestAttributes {
    RequestAttributes(context: AttributeMap(object, weight: weight))
  }

  @Test func declaredAttributesAreLeftOut() throws {
    let names = ["context.ip", "context.address.street", "subject.attributes"]
    let log = log { $0.redacted = names.compactMap(AttributePath.init(parsing:)) }
    #expect(log.pace.terms.redacted.count == 3)
    let shard = log.makeShard()
    let context: [String: JSONValue] = [
      "ip": .string("::1"), "mfa": .bool(true),
      "address": .object(["street": .string("x"), "city": .string("y")]),
    ]
    let attributes = RequestAttributes(
      subject: AttributeMap(["name": .string("Al")], weight: 10),
      context: AttributeMap(context, weight: 10))
    try note(shard, .notAllowed, attributes)
    try note(shard, .notAllowed, Self.told(["address": .string("street 1"), "level": .number(1)]))
    let all = found(log).decisions
    #expect(
      all.map { $0.attributes.redacted.sorted() } == [names.sorted(), ["context.address.street"]])
    #expect(all.map(\.attributes.areExact) == [false, false])
    #expect(all[0].attributes.message?.subject == [:])
    #expect(
      all[0].attributes.message?.context == [
        "mfa": .bool(true), "address": .object(["city": .string("y")]),
      ])
    #expect(all[1].attributes.message?.context == ["level": .number(1)])
  }

  @Test func largeOnesAreLeftOut() throws {
    let log = log()
    let shard = log.makeShard()
    let limit = DecisionTerms.maximumAttributeBytes
    try note(shard, .notAllowed, Self.told(["a": .null], weight: limit))
    try note(shard, .notAllowed, Self.told(["a": .null], weight: limit + 1))
    let all = found(log).decisions
    #expect(all.map(\.attributes.areOmitted) == [false, true])
    #expect(all.map(\.attributes.areExact) == [true, false])
    #expect(all[1].attributes.message == nil)
  }

  /// AuthZEN weighs each part by itself.
  @Test func severalThatAreLargeTogetherAreLeftOut() throws {
    let log = log { $0.redacted = ["context.ip"].compactMap(AttributePath.init(parsing:)) }
    let shard = log.makeShard()
    func part(_ bytes: Int) -> AttributeMap {
      AttributeMap(
        ["text": .string(String(repeating: "x", count: bytes)), "ip": .null], weight: bytes + 32)
    }
    let limit = DecisionTerms.maximumAttributeBytes
    for bytes in [limit / 4, limit - 64] {
      try note(
        shard, .notAllowed,
        RequestAttributes(subject: part(bytes), resource: part(bytes), context: part(bytes)))
    }
    let all = found(log).decisions
    #expect(all.map(\.attributes.areOmitted) == [false, true])
    #expect(all.map(\.attributes.redacted) == [["context.ip"], []])
    #expect(all[1].attributes.message == nil && all[1].bytes < 1_024)
  }

  @Test(arguments: [
    ("context", true), ("context.a.b", true), ("subject.attributes.x", true),
    ("resource.attributes", true), ("subject.id", false), ("subject", false), ("x", false),
    ("context.", false), ("", false),
  ])
  func names(_ text: String, _ isGood: Bool) {
    #expect((AttributePath(parsing: text) != nil) == isGood)
  }
}
