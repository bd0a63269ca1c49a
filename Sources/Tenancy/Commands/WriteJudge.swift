/// Whether who asked for a change may still make it, judged on the state that the change is applied to: a
/// call is admitted on a snapshot, and much can be committed while it waits for the writer.
public struct WriteJudge: Sendable {
  /// Who asked, for the queue and the budgets.
  let payer: WritePayer
  /// Whether what is judged is to be kept.
  private(set) var isRehearsal = false
  /// How large the request is.
  private let requestBytes: Int
  private let origin: AuditOrigin?
  /// What the call is known by; nil: it is not to be known again.
  private var request: RequestKey?
  private let body: @Sendable (ControlState, Timestamp) throws(TenancyError) -> Void

  /// - Parameters:
  ///   - payer: on whose account the change is.
  ///   - requestBytes: the size of the request.
  ///   - origin: who asked, for the audit trail; nil: the server itself.
  ///   - body: runs on the writer, so it must be quick; what it throws refuses the change.
  public init(
    payer: WritePayer, requestBytes: Int, origin: AuditOrigin? = nil,
    _ body: @escaping @Sendable (ControlState, Timestamp) throws(TenancyError) -> Void
  ) {
    self.payer = payer
    self.requestBytes = requestBytes
    self.origin = origin
    self.body = body
  }

  /// For what the server goes on with by itself.
  public static let server = WriteJudge(payer: .server, requestBytes: 0) {
    (_, _) throws(TenancyError) in
  }

  /// How the change waits for the writer.
  /// - Parameters:
  ///   - bytes: of what is there and is written again with the change.
  ///   - changes: how many there are beside the one.
  func terms(
    _ priority: WriteTerms.Priority = .ordinary, rewriting bytes: Int = 0, changes: Int = 0
  ) -> WriteTerms {
    var terms = WriteTerms(
      payer: payer, priority: priority,
      cost: WriteTerms.cost(ofBytes: requestBytes + bytes) + changes)
    terms.isRehearsal = isRehearsal
    return terms
  }

  /// The same judge, of a change that is made in full and then kept nowhere: what would refuse it does.
  /// - Parameter only: false: of one that is kept.
  public func validating(only: Bool) -> WriteJudge {
    var judge = self
    judge.isRehearsal = only
    return judge
  }

  /// Judges what is no change of the state, on the newest.
  /// - Throws: why it may not be done any more.
  public func judge(on state: ControlState, at now: Timestamp) throws(TenancyError) {
    try body(state, now)
  }

  /// The same judge, of a call that is carried out once.
  public func knowing(_ request: RequestKey) -> WriteJudge {
    var judge = self
    judge.request = request
    return judge
  }

  /// The same judge, of a transaction that is not the last of its call: that one remembers the request. So what a
  /// crash leaves half done is gone on with by whoever asks again.
  var beginning: WriteJudge {
    var judge = self
    judge.request?.remembers = false
    return judge
  }

  /// The server itself, which ends what a call began.
  func ending(_ judge: WriteJudge) -> WriteJudge {
    var ending = self
    ending.request = judge.isRehearsal ? nil : judge.request
    ending.request?.isBegun = true
    return ending
  }

  func judge(_ transaction: inout Transaction) throws(TenancyError) {
    transaction.origin = origin
    try body(transaction.state, transaction.now)
    if !isRehearsal { try request?.pass(&transaction) }
  }
}
