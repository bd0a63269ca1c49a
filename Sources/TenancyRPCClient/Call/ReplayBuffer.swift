/// A call's request messages: those that wait for an attempt, and those that another attempt would need.
struct ReplayBuffer {
  private var messages: [OutboundMessage] = []
  private var isFinished = false
  /// How many of `messages` the current attempt has been given.
  private var given = 0
  private var bytes = 0
  private let limit: Int
  /// No attempt will follow: messages are not kept.
  private(set) var isCommitted = false

  init(limit: Int) { self.limit = limit }

  mutating func add(_ added: [OutboundMessage], isFinished: Bool) {
    messages += added
    self.isFinished = self.isFinished || isFinished
    bytes += added.reduce(0) { $0 + $1.cost }
  }

  /// A new attempt begins with the first message.
  mutating func rewind() { given = 0 }

  /// What the current attempt has not been given.
  mutating func take() -> (messages: ArraySlice<OutboundMessage>, isFinished: Bool) {
    let new = messages[given...]
    given = messages.count
    if !isCommitted, bytes > limit { commit() } else if isCommitted { drop() }
    return (new, isFinished)
  }

  mutating func commit() {
    guard !isCommitted else { return }
    isCommitted = true
    drop()
  }

  private mutating func drop() {
    messages.removeFirst(given)
    given = 0
  }
}
