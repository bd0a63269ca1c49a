/// Two observers of one server: both are told everything, the first one first.
public struct CombinedObserver: ServerObserver {
  private let first: any ServerObserver
  private let second: any ServerObserver

  /// Both see everything, `first` first.
  public init(_ first: any ServerObserver, _ second: any ServerObserver) {
    self.first = first
    self.second = second
  }

  public func makeLoopObserver(methods: [String], loop: ObservedLoop) -> LoopObserver {
    CombinedLoopObserver(
      first.makeLoopObserver(methods: methods, loop: loop),
      second.makeLoopObserver(methods: methods, loop: loop))
  }

  public func loopsEnd() {
    first.loopsEnd()
    second.loopsEnd()
  }
}

private final class CombinedLoopObserver: LoopObserver {
  private let first: LoopObserver
  private let second: LoopObserver

  init(_ first: LoopObserver, _ second: LoopObserver) {
    self.first = first
    self.second = second
  }

  override func callBegan() {
    first.callBegan()
    second.callBegan()
  }

  override func callEnded(_ call: borrowing CallRecord, _ details: borrowing CallDetails) {
    first.callEnded(call, details)
    second.callEnded(call, details)
  }

  override func connectionBegan(_ wire: CallRecord.Wire, _ peer: CallRecord.PeerKind) {
    first.connectionBegan(wire, peer)
    second.connectionBegan(wire, peer)
  }

  override func connectionEnded(_ wire: CallRecord.Wire, _ peer: CallRecord.PeerKind) {
    first.connectionEnded(wire, peer)
    second.connectionEnded(wire, peer)
  }

  override func connectionBegan(of tag: CallTag) {
    first.connectionBegan(of: tag)
    second.connectionBegan(of: tag)
  }

  override func connectionEnded(of tag: CallTag) {
    first.connectionEnded(of: tag)
    second.connectionEnded(of: tag)
  }

  override func handshakeEnded(succeeded: Bool) {
    first.handshakeEnded(succeeded: succeeded)
    second.handshakeEnded(succeeded: succeeded)
  }

  override func loopWasLate(by nanoseconds: UInt64) {
    first.loopWasLate(by: nanoseconds)
    second.loopWasLate(by: nanoseconds)
  }
}
