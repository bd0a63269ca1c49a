import Testing

@testable import Tenancy

/// No hash for anything but tests: what it depends on is all that matters here. That the real one is SHA-256
/// shows a verifier in another language, see Tests/EndToEndTests/test_audit.py.
@Sendable func testHash(_ bytes: [UInt8]) -> [UInt8] {
  var words: [UInt64] = [1, 2, 3, 4]
  for byte in bytes {
    for index in words.indices {
      words[index] = (words[index] ^ UInt64(byte)) &* 0x100_0000_01B3 &+ UInt64(index)
    }
  }
  return words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
}

private let acme = TenantID(high: 1 << 16 | 0x7000, low: 0b10 << 62 | 1)
private let globex = TenantID(high: 2 << 16 | 0x7000, low: 0b10 << 62 | 2)

private func event(
  _ number: Int64, home: TenantID? = nil, subject: String = "uid:0", named: String = ""
) -> AuditEvent {
  AuditEvent(
    origin: AuditOrigin(
      home: home, subject: subject, credential: .certificate, credentialID: "c0ffee",
      source: "127.0.0.1:7443 <- 127.0.0.1:\(number)", requestID: "r"),
    action: "tenants.create", named: named, decision: .allowed, revision: UInt64(number),
    firstTime: Timestamp(nanoseconds: number), time: Timestamp(nanoseconds: number))
}

/// Chains as an export has them.
private struct Export {
  private(set) var records: [StoredAuditRecord] = []
  private var heads: [AuditChain: AuditHead] = [:]

  mutating func append(_ notes: [AuditNote]) {
    let batch = AuditBatch(notes, time: Timestamp(nanoseconds: 9), hash: testHash)
    for record in batch.records(after: heads) {
      records.append(record)
      heads[record.chain] = AuditHead(sequence: record.sequence, hash: record.hash)
    }
  }

  /// Two tenants, the second also concerned by what the first did.
  static func sample() -> Export {
    var export = Export()
    for number in 1...4 {
      export.append([
        AuditNote(event: event(Int64(number), home: acme), chains: [.tenant(acme)]),
        AuditNote(
          event: event(Int64(number), home: acme, named: "globex"),
          chains: [.tenant(acme), .tenant(globex)]),
      ])
    }
    export.append([AuditNote(event: event(9), chains: [.platform])])
    return export
  }

  /// Each chain's lines in a row.
  var lines: [String] {
    let chains: [AuditChain] = [.platform, .tenant(acme), .tenant(globex)]
    return chains.flatMap { chain in
      records.filter { $0.chain == chain }.map { AuditLine($0).text }
    }
  }

  /// Of a record, its chain's last or not.
  func checkpoint(
    _ chain: AuditChain, at sequence: UInt64, kind: AuditCheckpoint.Kind = .end,
    of life: String? = "life", time: Int64? = nil
  ) throws -> String {
    let record = try #require(records.first { $0.chain == chain && $0.sequence == sequence })
    return AuditCheckpoint(
      chain, AuditHead(sequence: sequence, hash: record.hash), kind: kind,
      time: Timestamp(nanoseconds: time ?? Int64(sequence)), incarnation: life
    ) { testHash($0) }.text
  }

  /// What is left when the first of a chain are gone.
  func lines(without count: UInt64, of chain: AuditChain) -> [String] {
    records.filter { $0.chain != chain || $0.sequence > count }
      .sorted { ("\($0.chain)", $0.sequence) < ("\($1.chain)", $1.sequence) }
      .map { AuditLine($0).text }
  }

  func checkpoints(_ chains: [AuditChain] = [.platform]) -> [String] {
    chains.map { chain in
      AuditCheckpoint(
        chain, heads[chain] ?? .start, time: Timestamp(nanoseconds: 1), incarnation: "life"
      ) {
        testHash($0)
      }.text
    }
  }
}

/// Nil: all is well.
private func fault(
  _ lines: [String], _ checkpoints: [String], isPartial: Bool = false
) -> String? {
  do throws(AuditFault) {
    var verifier = AuditVerifier(hash: testHash, isSigned: { testHash($0) == $1 })
    for line in checkpoints { try verifier.add(checkpoint: line, at: "c") }
    for line in lines { try verifier.add(line: line, at: "f") }
    try verifier.finish(isPartial: isPartial)
    return nil
  } catch {
    return error.description
  }
}

@Suite struct AuditTests {
  @Test func recordsComeBackAsTheyWere() {
    var full = event(7, home: acme, subject: "spiffe://d/Ünï\u{0}", named: "globex")
    full.tenant = acme
    full.decision = .denied
    full.reason = "TENANT_MISMATCH"
    full.count = .max
    full.firstTime = Timestamp(nanoseconds: .min)
    let heads = [AuditRecord.TenantHead(tenant: acme, head: .start)]
    for record in [
      AuditRecord(chain: .tenant(acme), sequence: 1, content: .event(full)),
      AuditRecord(chain: .platform, sequence: .max, content: .event(event(0))),
      AuditRecord(
        chain: .platform, sequence: 2, content: .heads(heads, time: Timestamp(nanoseconds: 3))),
      AuditRecord(
        chain: .platform, sequence: 2, content: .heads([], time: Timestamp(nanoseconds: 3))),
    ] {
      let bytes = AuditEncoding.encode(record)
      #expect(AuditEncoding.decode(bytes) == record)
      #expect(AuditEncoding.decode(bytes + [0]) == nil)
      for count in bytes.indices { #expect(AuditEncoding.decode(Array(bytes[..<count])) == nil) }
    }
  }

  @Test func bytesThatAreNoRecordAreRefused() {
    let record = AuditRecord(chain: .tenant(acme), sequence: 1, content: .event(event(1)))
    let bytes = AuditEncoding.encode(record)
    for index in bytes.indices {
      var changed = bytes
      changed[index] ^= 0x80
      // Decoded or not, it is never taken for the same one.
      #expect(AuditEncoding.decode(changed) != record)
    }
    // A tenant's chain has no heads of others.
    let heads = AuditEncoding.encode(
      AuditRecord(
        chain: .tenant(acme), sequence: 1, content: .heads([], time: Timestamp(nanoseconds: 0))))
    #expect(AuditEncoding.decode(heads) == nil)
  }

  @Test func aNoteStandsInEachOfItsChainsAndNamesNoOtherTenant() throws {
    let export = Export.sample()
    let events = export.records.compactMap { stored -> (AuditChain, AuditEvent)? in
      guard case .event(let event) = AuditEncoding.decode(stored.bytes)?.content else { return nil }
      return (stored.chain, event)
    }
    #expect(events.filter { $0.0 == .tenant(globex) }.count == 4)
    #expect(events.filter { $0.0 == .tenant(acme) }.count == 8)
    #expect(events.allSatisfy { $0.1.tenant == nil || $0.1.tenant == $0.0.tenant })
  }

  @Test func wholeChainsVerify() {
    let export = Export.sample()
    let tenants: [AuditChain] = [.platform, .tenant(acme), .tenant(globex)]
    #expect(fault(export.lines, export.checkpoints()) == nil)
    #expect(fault(export.lines, export.checkpoints(tenants)) == nil)
    let own = export.records.filter { $0.chain == .tenant(acme) }.map { AuditLine($0).text }
    #expect(fault(own, export.checkpoints(tenants), isPartial: true) == nil)
    // What no checkpoint is about may be cut off.
    #expect(fault(export.lines, []) != nil)
    #expect(fault(own, export.checkpoints(), isPartial: true) != nil)
  }

  @Test func everyChangedCharacterShows() {
    let export = Export.sample()
    let (lines, checkpoints) = (export.lines, export.checkpoints())
    for (number, line) in lines.enumerated() {
      // Every seventh byte, others in each line: the whole takes long.
      for offset in stride(from: number % 7, to: line.utf8.count, by: 7) {
        var changed = Array(line.utf8)
        changed[offset] ^= 1
        var copy = lines
        copy[number] = String(decoding: changed, as: UTF8.self)
        #expect(fault(copy, checkpoints) != nil, "line \(number), byte \(offset)")
      }
    }
    for offset in checkpoints[0].utf8.indices.enumerated().map(\.offset) {
      var changed = Array(checkpoints[0].utf8)
      changed[offset] ^= 1
      #expect(fault(lines, [String(decoding: changed, as: UTF8.self)]) != nil, "byte \(offset)")
    }
  }

  @Test func namesOfOthersHoldNoControls() {
    #expect("acme-ü".withoutControls == "acme-ü")
    #expect("a\0b\u{1B}[2J\u{85}".withoutControls == "a\u{FFFD}b\u{FFFD}[2J\u{FFFD}")
  }

  @Test func whatIsRemovedOrMovedIsNamed() throws {
    let export = Export.sample()
    let (lines, checkpoints) = (export.lines, export.checkpoints())
    func lineNumber(_ chain: AuditChain, _ sequence: UInt64) throws -> Int {
      let prefix = "{\"chain\":\"\(chain)\",\"sequence\":\(sequence),"
      return try #require(lines.firstIndex { $0.hasPrefix(prefix) })
    }
    func expect(_ lines: [String], names what: String) {
      let found = fault(lines, checkpoints)
      #expect(found?.contains(what) ?? false, "\(found ?? "no fault")")
    }
    for (chain, count) in [(AuditChain.platform, 5), (.tenant(acme), 8), (.tenant(globex), 4)] {
      for sequence in 1...UInt64(count) {
        var copy = lines
        copy.remove(at: try lineNumber(chain, sequence))
        expect(copy, names: "chain \(chain): record \(sequence) is missing")
        guard sequence < count else { continue }
        copy = lines
        copy.swapAt(try lineNumber(chain, sequence), try lineNumber(chain, sequence + 1))
        expect(copy, names: "chain \(chain): record \(sequence) is missing")
      }
      let rest = lines.filter { !$0.contains("\"chain\":\"\(chain)\"") }
      expect(rest, names: "chain \(chain): record 1 is missing, and all after it")
    }
  }

  @Test func aRewrittenEndIsNamedByThePlatformsChain() throws {
    var export = Export.sample()
    let genuine = export
    // With all hashes made anew, but for those of the platform.
    export = Export()
    for number in 1...8 {
      export.append([
        AuditNote(event: event(Int64(number) + 100, home: acme), chains: [.tenant(acme)])
      ])
    }
    let forged = export.records.filter { $0.chain == .tenant(acme) }.map { AuditLine($0).text }
    let others = genuine.records.filter { $0.chain != .tenant(acme) }.map { AuditLine($0).text }
    let found = fault(others + forged, genuine.checkpoints())
    #expect(found?.contains("chain \(acme): record 2, or one before it, is another") ?? false)
    var longer = genuine
    longer.append([AuditNote(event: event(1), chains: [.tenant(globex)])])
    let extra = try #require(longer.records.last { $0.chain == .tenant(globex) })
    let unknown = fault(genuine.lines + [AuditLine(extra).text], genuine.checkpoints())
    #expect(unknown?.contains("record 5 is in no head") ?? false)
  }
}

@Suite struct AuditCheckpointTests {
  @Test func bothFormsComeBack() throws {
    let export = Export.sample()
    for life in [nil, "c0ffee"] {
      let text = try export.checkpoint(.tenant(acme), at: 2, of: life)
      let parsed = try #require(AuditCheckpoint(parsing: text))
      #expect(parsed.text == text && parsed.incarnation == life && parsed.kind == .end)
    }
    let begin = try export.checkpoint(.platform, at: 2, kind: .begin)
    #expect(AuditCheckpoint(parsing: begin)?.kind == .begin)
    let changed = begin.replacing("begin", with: "end")
    #expect(fault(export.lines, export.checkpoints() + [changed])?.contains("not signed") ?? false)
  }

  @Test func checkpointsOfEarlierVersionsHold() throws {
    let export = Export.sample()
    #expect(fault(export.lines, [try export.checkpoint(.platform, at: 5, of: nil)]) == nil)
    // Also for who has only an own chain, beside newer ones about others that name a life.
    let own = export.lines.filter { $0.contains("\(acme)\",\"sequence\"") }
    let mixed = [try export.checkpoint(.tenant(acme), at: 2, of: nil)] + export.checkpoints()
    #expect(fault(own, mixed, isPartial: true) == nil)
    #expect(fault(Array(own.dropLast(own.count - 1)), mixed, isPartial: true) != nil)
    let cut = export.lines.filter { !$0.contains("platform\",\"sequence\":5,") }
    #expect(fault(cut, [try export.checkpoint(.platform, at: 5, of: nil)]) != nil)
  }

  @Test func aChainMayBeginBehindACheckpointThatSaysSo() throws {
    let export = Export.sample()
    let end = export.checkpoints()
    let ordinary = try export.checkpoint(.tenant(acme), at: 3)
    let begin = try export.checkpoint(.tenant(acme), at: 3, kind: .begin)
    let rest = export.lines(without: 3, of: .tenant(acme))
    #expect(fault(rest, end + [begin]) == nil)
    // It need not.
    #expect(fault(export.lines, end + [begin]) == nil)
    // An ordinary one does not say so, nor one of another chain, nor is more than that removed.
    let missing = "chain \(acme): record 1 is missing"
    #expect(fault(rest, end + [ordinary])?.contains(missing) ?? false)
    #expect(fault(rest, end)?.contains(missing) ?? false)
    let less = export.lines(without: 4, of: .tenant(acme))
    let found = fault(less, end + [begin])
    #expect(found?.contains("chain \(acme): record 4 is missing") ?? false)
    // And what is behind it is as it was.
    #expect(fault(rest.filter { !$0.contains("\"sequence\":8,") }, end + [begin]) != nil)
  }

  @Test func thePlatformsChainMayBeginLater() throws {
    let export = Export.sample()
    let begin = try export.checkpoint(.platform, at: 2, kind: .begin)
    let rest = export.lines(without: 2, of: .platform)
    #expect(fault(rest, export.checkpoints() + [begin]) == nil)
    #expect(fault(rest, export.checkpoints()) != nil)
  }

  /// A restore, after which the chains go on from an earlier state.
  @Test func aFormerLifeIsNamedAndNotWrong() throws {
    var backup = Export()
    backup.append([AuditNote(event: event(1, home: acme), chains: [.tenant(acme)])])
    var former = backup
    for number in 2...4 {
      former.append([
        AuditNote(event: event(Int64(number)), chains: [.tenant(acme), .tenant(globex)])
      ])
    }
    let old = [
      try former.checkpoint(.platform, at: 1, of: "one"),
      try former.checkpoint(.platform, at: 4, of: "one"),
      try former.checkpoint(.tenant(acme), at: 3, of: "one"),
      try former.checkpoint(.tenant(globex), at: 2, of: nil),
    ]
    var restored = backup
    var restore = event(5)
    restore.action = AuditLives.restoreAction
    restore.named = "two"
    restored.append([AuditNote(event: restore, chains: [.platform])])
    restored.append([AuditNote(event: event(6, home: acme), chains: [.tenant(acme)])])
    let new = [try restored.checkpoint(.platform, at: 3, of: "two")]
    var verifier = AuditVerifier(hash: testHash, isSigned: { testHash($0) == $1 })
    for line in old + new { try verifier.add(checkpoint: line, at: "c") }
    for line in restored.lines(without: 0, of: .platform) { try verifier.add(line: line, at: "f") }
    try verifier.finish(isPartial: false)
    let note = try #require(verifier.notes.first)
    #expect(note.hasPrefix("3 checkpoints are of the former life") && note.contains("record 2"))

    // One that began after all restores that are told of: the tail that told of it was cut off.
    let cut = [try former.checkpoint(.platform, at: 4, of: "three", time: 5_000_000_000)]
    #expect(fault(restored.lines(without: 0, of: .platform), new + cut) != nil)
    // The former life's alone show no end of this one.
    #expect(fault(restored.lines(without: 0, of: .platform), old) != nil)
    // A life that no restore tells of is this one: what does not fit it is wrong.
    var silent = backup
    silent.append([AuditNote(event: event(6, home: acme), chains: [.tenant(acme)])])
    let lines = silent.lines(without: 0, of: .platform)
    let latest = [try silent.checkpoint(.platform, at: 2, of: "two")]
    #expect(fault(lines, latest) == nil)
    #expect(fault(lines, latest + old) != nil)
  }

  @Test func aLineThatWasCutOffIsNamedAndTheRestTaken() throws {
    let export = Export.sample()
    let whole = export.checkpoints()[0]
    var verifier = AuditVerifier(hash: testHash, isSigned: { testHash($0) == $1 })
    try verifier.add(checkpoint: String(whole.prefix(90)) + whole, at: "c:1")
    verifier.add(cutOffCheckpoint: String(whole.prefix(20)), at: "c:2")
    for line in export.lines { try verifier.add(line: line, at: "f") }
    try verifier.finish(isPartial: false)
    #expect(verifier.notes.count == 2)
    #expect(verifier.notes[0].hasPrefix("c:1: ") && verifier.notes[1].hasPrefix("c:2: "))
    #expect(throws: AuditFault.self) {
      try verifier.add(checkpoint: String(whole.prefix(90)), at: "c:3")
    }
  }
}
