/// Whether who asked for a change may still make it, judged on the state that the change is applied to: a
/// call is admitted on a snapshot, and much can be committed while it waits for the writer.
public struct WriteJudge: Sendable {
  private let body: @Sendable (ControlState, Timestamp) throws(TenancyError) -> Void

  /// - Parameter body: runs on the writer, so it must be quick; what it throws refuses the change.
  public init(_ body: @escaping @Sendable (ControlState, Timestamp) throws(TenancyError) -> Void) {
    self.body = body
  }

  /// For what the server goes on with by itself.
  public static let server = WriteJudge { (_, _) throws(TenancyError) in }

  func judge(_ transaction: borrowing Transaction) throws(TenancyError) {
    try body(transaction.state, transaction.now)
  }
}
