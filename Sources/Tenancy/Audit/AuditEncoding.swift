/// The bytes of an audit record, version 1, so that chains can be verified in any language.
///
/// Numbers are big-endian; times are nanoseconds since 1970, as signed numbers; a tenant is the 16 bytes of
/// its UUID, and 16 zeros where there is none; a text is its length in bytes (4) and its UTF-8.
///
///     record  = 01 ‖ kind (1) ‖ chain (16) ‖ sequence (8) ‖ time (8) ‖ content
///     kind 1  = home (16) ‖ subject ‖ credential (1) ‖ credential id ‖ source ‖ action ‖ tenant (16)
///               ‖ named ‖ decision (1) ‖ reason ‖ revision (8) ‖ request id ‖ count (8) ‖ first time (8)
///     kind 2  = n (4) ‖ n × (tenant (16) ‖ sequence (8) ‖ hash (32))
///
/// The chain is a tenant, or 16 zeros for the platform's. Sequences are counted from 1. The second kind is in
/// the platform's chain only, after the records whose heads it names, and of the same transaction.
///
///     hash    = SHA-256("tenancy.audit" ‖ 01 ‖ hash of the record before (32, zeros for the first) ‖ record)
///
/// A checkpoint is signed with Ed25519 (RFC 8032) over
///
///     "tenancy.audit.checkpoint" ‖ 02 ‖ kind (1) ‖ chain (16) ‖ sequence (8) ‖ hash (32) ‖ count (8)
///         ‖ time (8) ‖ incarnation
///
/// and earlier versions have signed, of the first kind only,
///
///     "tenancy.audit.checkpoint" ‖ 01 ‖ chain (16) ‖ sequence (8) ‖ hash (32) ‖ count (8) ‖ time (8)
///
/// Kind 1 says that the chain had this record, and no later one. Kind 2 says that it begins after this record:
/// what is up to it was removed for its age or number. A chain may begin at 1, or behind a record of which
/// a checkpoint of the second kind tells, whose hash then stands for that of the record before; behind any other, a
/// record is missing. Heads of what was removed can't be compared, and are left out. Before records of the
/// platform's chain are removed, the heads in them where chains still end are said again in a new record.
///
/// The incarnation is the store's life in which the checkpoint was made (a text). A restore from a backup begins
/// another one, with an event in the platform's chain: its action is `store.restore`, `named` the incarnation
/// that begins, and `source` tells of the backup: its incarnation, revision and time. What a
/// checkpoint of a former life says of records after those that the backup had is of what the restore gave up; up
/// to there it holds. A life whose beginning is not in the platform's chain ends at the first restore there.
///
/// Equal records have equal bytes, and no others decode.
public enum AuditEncoding {
  /// Of records: their first byte.
  public static let version: UInt8 = 1
  /// Bytes of a hash (SHA-256).
  public static let hashBytes = 32
  private static let checkpointVersion: UInt8 = 2

  private static let eventKind: UInt8 = 1
  private static let headsKind: UInt8 = 2

  /// Equal records have equal bytes. They are what is hashed, stored and exported.
  public static func encode(_ record: AuditRecord) -> [UInt8] {
    var out = ByteWriter()
    out.put(version)
    switch record.content {
    case .event: out.put(eventKind)
    case .heads: out.put(headsKind)
    }
    out.put(record.chain.tenant)
    out.put(record.sequence)
    out.put(record.time)
    switch record.content {
    case .event(let event): put(event, into: &out)
    case .heads(let heads, _):
      out.put(UInt32(clamping: heads.count))
      for head in heads {
        out.put(head.tenant)
        out.put(head.head.sequence)
        out.bytes += head.head.hash
      }
    }
    return out.bytes
  }

  private static func put(_ event: AuditEvent, into out: inout ByteWriter) {
    out.put(event.origin.home)
    out.put(event.origin.subject)
    out.put(event.origin.credential.rawValue)
    out.put(event.origin.credentialID)
    out.put(event.origin.source)
    out.put(event.action)
    out.put(event.tenant)
    out.put(event.named)
    out.put(event.decision.rawValue)
    out.put(event.reason)
    out.put(event.revision)
    out.put(event.origin.requestID)
    out.put(event.count)
    out.put(event.firstTime)
  }

  /// Nil for what `encode` does not make.
  public static func decode(_ bytes: [UInt8]) -> AuditRecord? {
    var input = ByteReader(bytes)
    guard input.byte() == version, let kind = input.byte(), let chain = input.tenant(),
      let sequence = input.number(), let time = input.time()
    else { return nil }
    let content: AuditRecord.Content? =
      switch kind {
      case eventKind: event(&input, time).map { .event($0) }
      case headsKind where chain.id == nil: heads(&input).map { .heads($0, time: time) }
      default: nil
      }
    guard let content, input.isAtEnd else { return nil }
    return AuditRecord(
      chain: chain.id.map(AuditChain.tenant) ?? .platform, sequence: sequence, content: content)
  }

  private static func event(_ input: inout ByteReader, _ time: Timestamp) -> AuditEvent? {
    guard let home = input.tenant(), let subject = input.text(),
      let credential = input.byte().flatMap(AuditOrigin.Credential.init(rawValue:)),
      let credentialID = input.text(), let source = input.text(), let action = input.text(),
      let tenant = input.tenant(), let named = input.text(),
      let decision = input.byte().flatMap(AuditEvent.Decision.init(rawValue:)),
      let reason = input.text(), let revision = input.number(), let requestID = input.text(),
      let count = input.number(), let firstTime = input.time()
    else { return nil }
    return AuditEvent(
      origin: AuditOrigin(
        home: home.id, subject: subject, credential: credential, credentialID: credentialID,
        source: source, requestID: requestID),
      action: action, tenant: tenant.id, named: named, decision: decision, reason: reason,
      revision: revision, count: count, firstTime: firstTime, time: time)
  }

  private static func heads(_ input: inout ByteReader) -> [AuditRecord.TenantHead]? {
    guard let count = input.number(bytes: 4) else { return nil }
    var heads: [AuditRecord.TenantHead] = []
    for _ in 0..<count {
      guard let tenant = input.tenant()?.id, let sequence = input.number(),
        let hash = input.take(hashBytes)
      else { return nil }
      heads.append(
        AuditRecord.TenantHead(
          tenant: tenant, head: AuditHead(sequence: sequence, hash: Array(hash))))
    }
    return heads
  }

  /// What is hashed for a record's place in its chain.
  public static func hashInput(_ record: [UInt8], after previous: [UInt8]) -> [UInt8] {
    Array("tenancy.audit".utf8) + [version] + previous + record
  }

  /// What a checkpoint's signature is over.
  public static func checkpointInput(
    _ kind: AuditCheckpoint.Kind, _ chain: AuditChain, _ head: AuditHead, count: UInt64,
    time: Timestamp, incarnation: String?
  ) -> [UInt8] {
    var out = ByteWriter(bytes: Array("tenancy.audit.checkpoint".utf8))
    if incarnation == nil {
      out.put(version)
    } else {
      out.put(checkpointVersion)
      out.put(kind.code)
    }
    out.put(chain.tenant)
    out.put(head.sequence)
    out.bytes += head.hash
    out.put(count)
    out.put(time)
    if let incarnation { out.put(incarnation) }
    return out.bytes
  }
}

extension AuditCheckpoint.Kind {
  fileprivate var code: UInt8 {
    switch self {
    case .end: 1
    case .begin: 2
    }
  }
}

private struct ByteWriter {
  var bytes: [UInt8] = []

  mutating func put(_ byte: UInt8) { bytes.append(byte) }

  mutating func put(_ number: UInt32) {
    for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: number >> shift)) }
  }

  mutating func put(_ number: UInt64) {
    put(UInt32(truncatingIfNeeded: number >> 32))
    put(UInt32(truncatingIfNeeded: number))
  }

  mutating func put(_ time: Timestamp) { put(UInt64(bitPattern: time.nanoseconds)) }

  mutating func put(_ tenant: TenantID?) {
    put(tenant?.high ?? 0)
    put(tenant?.low ?? 0)
  }

  mutating func put(_ text: String) {
    put(UInt32(clamping: text.utf8.count))
    bytes += text.utf8
  }
}

/// Reads from the front; nil for what is not there or is none.
private struct ByteReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
    guard count <= rest.count else { return nil }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  mutating func byte() -> UInt8? { take(1)?.first }

  mutating func number(bytes count: Int = 8) -> UInt64? {
    take(count)?.reduce(0) { $0 << 8 | UInt64($1) }
  }

  mutating func time() -> Timestamp? {
    number().map { Timestamp(nanoseconds: Int64(bitPattern: $0)) }
  }

  /// Nil only where there are no 16 bytes, or they are no tenant's.
  mutating func tenant() -> (id: TenantID?, Void)? {
    guard let high = number(), let low = number() else { return nil }
    if high == 0, low == 0 { return (nil, ()) }
    guard let id = TenantID(parsing: TenantID(high: high, low: low).description) else { return nil }
    return (id, ())
  }

  mutating func text() -> String? {
    guard let count = number(bytes: 4), let bytes = take(Int(count)) else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }
}
