internal import NIOCore
internal import TenancyRPCCore

/// The addresses of a channel's targets, looked up when they are needed. Confined to the channel's
/// event loop.
final class NameTable {
  enum State {
    case resolving
    case resolved
    case failed(RPCStatus, until: NIODeadline)
  }

  /// Names are not looked up more often than this when connections fail.
  static let pause = Duration.seconds(30)

  private let targets: [RPCChannel.Target]
  private let resolver: any RPCNameResolver
  private let limit: Int
  private let loop: any EventLoop
  private let random: () -> Double
  /// Names are looked up again when this has passed; nil: only when connections fail.
  private let interval: Duration?
  private(set) var addresses: [ServerAddress] = []
  private(set) var state: State
  private var task: Task<Void, Never>?
  private var backoff = Backoff()
  private var lastLookUp: NIODeadline?
  /// What targets have that is to be looked up, and what is an address already.
  private let names: [String]
  private let literals: [String: [String]]
  /// The addresses are others, or could not be found.
  var onChange: (() -> Void)?

  init(
    _ targets: [RPCChannel.Target], resolver: any RPCNameResolver, limits: ClientLimits,
    interval: Duration? = nil, loop: any EventLoop, random: @escaping () -> Double
  ) {
    self.targets = targets
    self.resolver = resolver
    self.interval = interval
    self.loop = loop
    self.random = random
    limit = limits.maximumAddresses
    var hosts: [String] = []
    for host in targets.compactMap(\.hostToResolve) where !hosts.contains(host) {
      hosts.append(host)
    }
    func isLiteral(_ host: String) -> Bool {
      (try? SocketAddress(ipAddress: host, port: 0)) != nil  // The answer is what counts.
    }
    names = hosts.filter { !isLiteral($0) }
    literals = Dictionary(
      hosts.filter(isLiteral).map { ($0, [$0]) }, uniquingKeysWith: { first, _ in first })
    state = .resolving
  }

  /// The first time, after a failure when its pause is over, and where names were looked up long ago: what is known
  /// is used meanwhile.
  func resolveIfNeeded() {
    guard task == nil else { return }
    switch state {
    case .resolving: lookUp()
    case .failed(_, let until) where loop.now >= until: lookUp()
    case .resolved where isOld: lookUp()
    case .failed, .resolved: break
    }
  }

  var isLookingUp: Bool { task != nil }

  private var isOld: Bool {
    guard let interval, !names.isEmpty, let lastLookUp else { return false }
    return loop.now >= lastLookUp + .bounded(interval)
  }

  /// Connections fail: perhaps the addresses are others by now.
  func refresh() {
    let isDue = lastLookUp.map { loop.now >= $0 + .bounded(Self.pause) } ?? true
    if task == nil, isDue, !names.isEmpty { lookUp() }
  }

  func close() {
    task?.cancel()
    onChange = nil
  }

  private func lookUp() {
    lastLookUp = loop.now
    let found = literals
    guard !names.isEmpty else { return finish(.success(found)) }
    if case .failed = state { state = .resolving }
    let bound = NIOLoopBound(self, eventLoop: loop)
    let (resolver, loop, known, names) = (resolver, loop, found, names)
    task = Task {
      var found = known
      let result: Result<[String: [String]], RPCStatus>
      do {
        for name in names { found[name] = try await resolver.addresses(of: name) }
        result = .success(found)
      } catch {
        result = .failure(RPCStatus(.unavailable, "cannot find the server's address: \(error)"))
      }
      loop.execute { bound.value.finish(result) }
    }
  }

  private func finish(_ result: Result<[String: [String]], RPCStatus>) {
    task = nil
    switch result {
    case .success(let found):
      let all = targets.flatMap { target in
        guard let host = target.hostToResolve else { return [target.address("")] }
        return (found[host] ?? []).map(target.address)
      }
      var unique: [ServerAddress] = []
      for address in all where !unique.contains(address) && unique.count < limit {
        unique.append(address)
      }
      guard !unique.isEmpty else {
        return fail(RPCStatus(.unavailable, "cannot find the server's address: it has none"))
      }
      backoff.reset()
      if case .resolved = state, addresses == unique { return }
      addresses = unique
      state = .resolved
    case .failure(let status): return fail(status)
    }
    onChange?()
  }

  private func fail(_ status: RPCStatus) {
    // Addresses that were found before are better than none.
    guard addresses.isEmpty else { return state = .resolved }
    state = .failed(status, until: loop.now + .bounded(backoff.next(random())))
    onChange?()
  }
}
