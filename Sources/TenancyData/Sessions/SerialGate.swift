/// Lets one in at a time, in the order in which they come.
actor SerialGate {
  private var isTaken = false
  private var waiting = FirstInFirstOut<CheckedContinuation<Void, Never>>()

  /// To be left by `leave`, also by who was cancelled meanwhile.
  func enter() async {
    guard isTaken else {
      isTaken = true
      return
    }
    await withCheckedContinuation { waiting.append($0) }
  }

  func leave() {
    if let next = waiting.removeFirst() { next.resume() } else { isTaken = false }
  }
}
