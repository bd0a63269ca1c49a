/// How much of each chain of audit records is kept: all of it, unless it is said otherwise. The last record is,
/// however old it is.
public struct AuditRetention: Sendable {
  /// Records of earlier days may go, by UTC; nil: none for its age.
  public var days: Days?
  /// What is beyond so many of a chain goes, however new it is; nil: none for its number. The platform's
  /// keeps as many as it takes to tell where all tenants' chains end.
  public var records: UInt64?

  /// Without any of the two, everything is kept.
  public init(days: Days? = nil, records: UInt64? = nil) {
    self.days = days
    self.records = records
  }

  /// Whether any records are.
  public var removes: Bool { days != nil || records != nil }

  private static let day: Int64 = 86_400 * 1_000_000_000

  /// What is older may go. Whole days: a chain is looked at once a day, and not for each record.
  func moment(at now: Timestamp) -> Timestamp? {
    guard let days else { return nil }
    return Timestamp(nanoseconds: now.nanoseconds - now.nanoseconds % Self.day) + Days(-days.count)
  }

  /// A chain that is too long loses some more than it must, and so not a few all the time.
  private static let slack: UInt64 = 16

  /// The last record that goes for the number of those that follow.
  /// - Parameter least: what is kept in any case.
  func end(from begin: UInt64, to last: UInt64, least: UInt64) -> UInt64 {
    guard let records = records.map({ max($0, least, 1) }), last > begin, last - begin > records
    else { return begin }
    return last - max(1, records - records / Self.slack)
  }
}

/// How many records chains may have.
public struct AuditLength: Hashable, Sendable {
  /// Records in each tenant's chain.
  public let tenants: UInt64
  /// The platform's chain; not less.
  public let platform: UInt64

  /// The platform's chain gets at least what tenants' chains get.
  public init(tenants: UInt64, platform: UInt64) {
    self.tenants = tenants
    self.platform = max(tenants, platform)
  }

  /// Records that the chain may have.
  public func of(_ chain: AuditChain) -> UInt64 { chain == .platform ? platform : tenants }
}

/// Where a chain begins: behind the last record that was removed.
public struct AuditBegin: Hashable, Sendable {
  /// The chain that it is about.
  public let chain: AuditChain
  /// `AuditHead.start`: none was.
  public let floor: AuditHead

  /// - Parameter floor: the last record that was removed.
  public init(chain: AuditChain, floor: AuditHead) {
    self.chain = chain
    self.floor = floor
  }
}

/// Where a chain ends.
public struct AuditEnd: Hashable, Sendable {
  /// The chain that it is about.
  public let chain: AuditChain
  /// Its newest record.
  public let head: AuditHead

  /// - Parameter head: of the newest record.
  public init(chain: AuditChain, head: AuditHead) {
    self.chain = chain
    self.head = head
  }
}

/// How a chain's begin moves on, and what is then known of it.
public struct AuditTrim: Hashable, Sendable {
  /// As it is before.
  public let begin: AuditBegin
  /// The last record to be removed, which must be there, and not the chain's last; nil: none is removed.
  public let through: AuditHead?
  /// Of the oldest record then, or of an earlier one: it is looked at again when that is old. Nil: there is only
  /// the last, and nothing to look at before there are more.
  public let oldestTime: Timestamp?
  /// The last record that was there when that was found out.
  public let last: UInt64

  /// What begins behind `through`, if that is given, and else where it did.
  public init(_ begin: AuditBegin, through: AuditHead?, oldestTime: Timestamp?, last: UInt64) {
    self.begin = begin
    self.through = through
    self.oldestTime = oldestTime
    self.last = last
  }
}

/// A lease without which what is written together with it is refused, and for how long it is held on.
public struct LeaseHold: Hashable, Sendable {
  /// The lease that has to be held still.
  public let lease: Lease
  /// From the moment of the write.
  public let duration: Duration

  /// Refused is what is written while somebody else holds the lease.
  public init(_ lease: Lease, lasting duration: Duration) {
    self.lease = lease
    self.duration = duration
  }
}

/// What may go of a chain, as far as its records were read.
struct AuditTrimPlan {
  let trim: AuditTrim
  /// Where tenants' chains ended by records that go.
  let heads: [TenantID: AuditHead]

  /// Records whose hashes don't fit stay: a signature must not cover up what was changed.
  struct Fault: Error {
    let record: UInt64
  }

  /// - Parameters:
  ///   - records: those behind the begin, as many as may go at once and one more.
  ///   - last: where the chain ends.
  ///   - end: the last record that goes for the number of those that follow.
  ///   - moment: before which records go for their age.
  init(
    _ begin: AuditBegin, _ records: [StoredAuditRecord], last: UInt64, end: UInt64,
    moment: Timestamp?, hash: AuditHash
  ) throws(Fault) {
    var (through, heads) = (begin.floor, [TenantID: AuditHead]())
    var oldest: Timestamp?
    for stored in records {
      let record = try Self.checked(stored, of: begin.chain, after: through, hash)
      oldest = record.time
      let isGone = record.sequence <= end || moment.map { record.time < $0 } ?? false
      guard isGone, record.sequence < last, stored != records.last || records.count == 1 else {
        break
      }
      if case .heads(let ends, _) = record.content {
        guard heads.isEmpty || heads.count + ends.count <= AuditTrimmer.maximumHeads else { break }
        for end in ends { heads[end.tenant] = end.head }
      }
      through = AuditHead(sequence: stored.sequence, hash: stored.hash)
    }
    if records.isEmpty { throw Fault(record: begin.floor.sequence + 1) }
    self.heads = heads
    let removes = through != begin.floor
    // That there is only one is noted when nothing goes, for then it is known what that one is.
    let isAlone = !removes && begin.floor.sequence + 1 >= last
    trim = AuditTrim(
      begin, through: removes ? through : nil, oldestTime: isAlone ? nil : oldest, last: last)
  }

  private static func checked(
    _ stored: StoredAuditRecord, of chain: AuditChain, after last: AuditHead, _ hash: AuditHash
  ) throws(Fault) -> AuditRecord {
    let sequence = last.sequence + 1
    guard stored.sequence == sequence,
      hash(AuditEncoding.hashInput(stored.bytes, after: last.hash)) == stored.hash,
      let record = AuditEncoding.decode(stored.bytes), record.chain == chain,
      record.sequence == sequence
    else { throw Fault(record: sequence) }
    return record
  }
}
