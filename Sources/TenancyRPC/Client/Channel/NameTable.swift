internal import NIOCore

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
  private(set) var addresses: [ServerAddress] = []
  private(set) var state: State
  private var task: Task<Void, Never>?
  private var backoff = Backoff()
  private var lastLookUp: NIODeadline?
  private let hosts: [String]
  /// The addresses are others, or could not be found.
  var onChange: (() -> Void)?

  init(
    _ targets: [RPCChannel.Target], resolver: any RPCNameResolver, limits: ClientLimits,
    loop: any EventLoop, random: @escaping () -> Double
  ) {
    self.targets = targets
    self.resolver = resolver
    self.loop = loop
    self.random = random
    limit = limits.maximumAddresses
    var hosts: [String] = []
    for host in targets.compactMap(\.hostToResolve) where !hosts.contains(host) {
      hosts.append(host)
    }
    self.hosts = hosts
    state = .resolving
  }

  /// The first time, and after a failure when its pause is over.
  func resolveIfNeeded() {
    guard task == nil else { return }
    switch state {
    case .resolving: lookUp()
    case .failed(_, let until) where loop.now >= until: lookUp()
    case .failed, .resolved: break
    }
  }

  /// Connections fail: perhaps the addresses are others by now.
  func refresh() {
    let isDue = lastLookUp.map { loop.now >= $0 + .bounded(Self.pause) } ?? true
    if task == nil, isDue, !hosts.isEmpty { lookUp() }
  }

  func close() {
    task?.cancel()
    onChange = nil
  }

  private func lookUp() {
    lastLookUp = loop.now
    let literal = hosts.filter { (try? SocketAddress(ipAddress: $0, port: 0)) != nil }
    let names = hosts.filter { !literal.contains($0) }
    var found: [String: [String]] = [:]
    for host in literal { found[host] = [host] }
    guard !names.isEmpty else { return finish(.success(found)) }
    if case .failed = state { state = .resolving }
    let bound = NIOLoopBound(self, eventLoop: loop)
    let (resolver, loop, known) = (resolver, loop, found)
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
