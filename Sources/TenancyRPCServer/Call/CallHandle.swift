public import TenancyRPCCore

/// Ends one call from outside of its handler. Thread-safe; may be kept after the call is over, and does
/// nothing then.
public struct CallHandle: Sendable {
  private let mailbox: ConnectionMailbox?
  private let key: StreamKey

  init(_ mailbox: ConnectionMailbox, _ key: StreamKey) {
    self.mailbox = mailbox
    self.key = key
  }

  /// Of no connection.
  init() {
    mailbox = nil
    key = StreamKey(slot: 0, generation: 0)
  }

  /// Ends the call with `status`, unless it is over: messages of the handler that are not with the
  /// connection yet are not sent, its reads and sends fail with the status, and its task is cancelled. OK is for
  /// handlers that return: here it becomes INTERNAL.
  public func end(_ status: RPCStatus) { mailbox?.post(end: key, status) }
}
