internal import NIOCore
internal import TenancyRPCCore

/// Spreads the calls of a channel over its addresses: in turn over those that are connected and
/// healthy. Confined to the channel's event loop.
final class Balancer: CallPlacer, SubchannelOwner {
  typealias MakeSubchannel = (ServerAddress, any SubchannelOwner) -> Subchannel

  let shared: ClientCall.Shared
  private let names: NameTable
  private let makeSubchannel: MakeSubchannel
  /// In the order in which they take turns.
  private var subchannels: [Subchannel] = []
  /// Addresses that are gone, with calls that are not over.
  private var retired: [ObjectIdentifier: Subchannel] = [:]
  private var turn = 0
  private var calls: [ObjectIdentifier: ClientCall] = [:]
  /// Calls without a connection yet, some of them over.
  private var waiting: [ClientCall] = []
  private var retryTimer: Scheduled<Void>?
  private var isClosed = false
  private var whenClosed: [() -> Void] = []

  init(_ shared: ClientCall.Shared, names: NameTable, makeSubchannel: @escaping MakeSubchannel) {
    self.shared = shared
    self.names = names
    self.makeSubchannel = makeSubchannel
    names.onChange = { [weak self] in self?.addressesChanged() }
  }

  private var loop: any EventLoop { shared.loop }

  // MARK: Calls

  func start(_ call: ClientCall, onEnd: @escaping () -> Void) {
    let id = ObjectIdentifier(call)
    calls[id] = call
    let limit = shared.limits.maximumCalls
    let refusal: RPCStatus? =
      if isClosed {
        RPCStatus(.unavailable, "the channel is closed")
      } else if calls.count > limit {
        RPCStatus(.resourceExhausted, "the channel has \(limit) calls in flight already")
      } else {
        nil
      }
    call.begin(self, refusal: refusal) { [self] in
      calls[id] = nil
      onEnd()
    }
  }

  func place(_ call: ClientCall) {
    switch pick() {
    case .connection(let connection): call.submit(to: connection)
    case .wait: enqueue(call)
    case .failure(let status, let retry):
      guard call.plan.waitsForReady else { return call.attemptFailed(status) }
      enqueue(call)
      scheduleRetry(retry)
    }
  }

  private func enqueue(_ call: ClientCall) {
    // Calls that ran into their deadline are still there.
    if waiting.count >= shared.limits.maximumCalls { waiting.removeAll { $0.isDone } }
    waiting.append(call)
  }

  // MARK: Picking

  private enum Pick {
    case connection(ClientConnection)
    /// An address is being connected to, or looked up.
    case wait
    /// Nothing will change before `retry`, as far as is known.
    case failure(RPCStatus, retry: NIODeadline?)
  }

  /// The next ready one in turn. Wakes those that are idle on the way.
  private func pick() -> Pick {
    names.resolveIfNeeded()
    var found: (connection: ClientConnection, at: Int)?
    var isConnecting = false
    var failure: (status: RPCStatus, until: NIODeadline?)?
    // An attempt may fail at once, and change the list.
    let candidates = subchannels
    for offset in candidates.indices {
      let index = (turn + offset) % candidates.count
      let subchannel = candidates[index]
      if case .idle = subchannel.availability { subchannel.connect() }
      switch subchannel.availability {
      case .ready(let connection): if found == nil { found = (connection, index) }
      case .connecting, .idle: isConnecting = true
      case .failed(let status, let until):
        let earliest = [failure?.until, until].compactMap(\.self).min()
        failure = (status, earliest)
      }
    }
    if let found {
      turn = (found.at + 1) % candidates.count
      return .connection(found.connection)
    }
    if isConnecting { return .wait }
    if let failure { return .failure(failure.status, retry: failure.until) }
    switch names.state {
    case .resolving: return .wait
    case .failed(let status, let until): return .failure(status, retry: until)
    case .resolved: return .failure(RPCStatus(.unavailable, "no address"), retry: nil)
    }
  }

  /// Gives waiting calls another chance, in order.
  private func placeWaiting() {
    guard !waiting.isEmpty else { return }
    let calls = waiting
    waiting = []
    for call in calls where !call.isDone { place(call) }
  }

  private func scheduleRetry(_ deadline: NIODeadline?) {
    guard let deadline, retryTimer == nil else { return }
    retryTimer = loop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
      self?.retryTimer = nil
      self?.placeWaiting()
    }
  }

  // MARK: Changes

  func subchannelChanged(_ subchannel: Subchannel) { placeWaiting() }

  func subchannelFailed(_ subchannel: Subchannel) {
    if !isClosed { names.refresh() }
  }

  func subchannelEmptied(_ subchannel: Subchannel) {
    retired[ObjectIdentifier(subchannel)] = nil
    notifyIfClosed()
  }

  private func addressesChanged() {
    guard !isClosed else { return }
    let wanted = names.addresses
    let gone = subchannels.filter { !wanted.contains($0.address) }
    subchannels = wanted.map { address in
      subchannels.first { $0.address == address } ?? makeSubchannel(address, self)
    }
    turn = 0
    for subchannel in gone {
      if !subchannel.isEmpty { retired[ObjectIdentifier(subchannel)] = subchannel }
      subchannel.retire()
    }
    placeWaiting()
  }

  // MARK: Closing

  func close(_ done: @escaping () -> Void) {
    whenClosed.append(done)
    guard !isClosed else { return notifyIfClosed() }
    isClosed = true
    retryTimer?.cancel()
    names.close()
    let status = RPCStatus(.cancelled, "the channel was closed")
    for call in calls.values { call.end(status) }
    waiting = []
    shared.timers.stop()
    for subchannel in subchannels + retired.values { subchannel.close(status) }
    notifyIfClosed()
  }

  private func notifyIfClosed() {
    guard isClosed, subchannels.allSatisfy(\.isEmpty), retired.isEmpty else { return }
    subchannels = []
    let done = whenClosed
    whenClosed = []
    for callback in done { callback() }
  }
}
