/// What one call may look at and answer with. Reads run on event loops, where each keeps all others
/// waiting: one that has spent its budget answers with what it has, or refuses.
///
/// It counts work and not time, so that tests can tell how a call's cost grows with what it touches.
public struct WorkBudget: Sendable {
  /// Elements that one call of a list looks at: tenants, roles or assignments, and each comparison of
  /// a filter with one of them.
  public static let maximumVisits = 2_000
  /// Bytes of one page's messages, roughly. A page ends early rather than grow over this.
  public static let maximumAnswerBytes = 256 * 1024
  /// What an element of an answer costs besides its text, in bytes.
  public static let elementBytes = 32

  @usableFromInline let visitLimit: Int
  private let answerLimit: Int
  @usableFromInline var visited = 0
  /// Elements that were looked at so far.
  @inlinable public var visits: Int { visited }
  /// Bytes that were put into the answer so far, roughly.
  public private(set) var answerBytes = 0

  /// A budget is for one call: copies count apart.
  public init(visits: Int = maximumVisits, answerBytes: Int = maximumAnswerBytes) {
    visitLimit = visits
    answerLimit = answerBytes
  }

  /// No limit, only a count: for the writer, which has limits of its own.
  public static var uncapped: WorkBudget { WorkBudget(visits: .max, answerBytes: .max) }

  /// Nothing more may be looked at.
  @inlinable public var isSpent: Bool { visited >= visitLimit }

  /// Nothing more may be put into the answer.
  public var isFull: Bool { answerBytes > answerLimit }

  /// Counts elements that are looked at. Whether more may be is for the caller to ask: `isSpent`.
  @inlinable
  public mutating func visit(_ count: Int = 1) { visited += count }

  /// Counts what is put into the answer. Whether more may be is for the caller to ask: `isFull`.
  public mutating func answer(bytes: Int) { answerBytes += bytes }
}
