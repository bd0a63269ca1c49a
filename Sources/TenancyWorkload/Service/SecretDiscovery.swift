internal import Synchronization
internal import Tenancy
internal import TenancyRPC

/// Envoy's secret discovery service (SDS), from the same certificates: so a sidecar needs no files. Who asks is known as
/// by the Workload API; a metadata entry is not asked for, since Envoys send none.
extension WorkloadService {
  var secretMethods: [ServiceMethod<WorkloadDelegate>] {
    typealias API = EnvoySecret.SecretDiscoveryService
    return [
      .bidirectional(API.streamSecrets) { [self] call, requests, responses in
        tally.note(.streamSecrets)
        try admit(call.context)
        try enter(call.context)
        defer { streams.leave(call.context.userID) }
        let ended: Void? = try await call.drain.cancelling { [self] in
          try await SecretStream(service: self, peer: call.context).run(requests, responses)
        }
        if ended == nil {
          throw RPCStatus(.unavailable, "the server is stopping", retryAfter: .seconds(1))
        }
      },
      .unary(API.fetchSecrets) { [self] call, request in
        tally.note(.fetchSecrets)
        try admit(call.context)
        try enter(call.context)
        defer { streams.leave(call.context.userID) }
        return try await secrets(
          for: call.context, request, API.fetchSecrets.path
        ).response(nonce: "")
      },
    ]
  }

  fileprivate func secrets(
    for peer: WorkloadPeer, _ request: EnvoySecret.DiscoveryRequest, _ method: String
  ) async throws(RPCStatus) -> SecretAnswer {
    do throws(RPCStatus) {
      try SecretResources.check(request)
    } catch {
      throw tally.refused(.request, error)
    }
    let changes = streams.changes
    let answer = try await answer(for: peer, method, signing: true)
    let found = SecretResources(answer, names: request.resourceNames)
    guard !found.resources.isEmpty else {
      throw tally.refused(.identity, WorkloadIssuer.noIdentity)
    }
    return SecretAnswer(found: found, term: answer.term(of: peer), changes: changes)
  }
}

/// Secrets, and how long they hold.
private struct SecretAnswer: Sendable {
  let found: SecretResources
  let term: WorkloadStreams.Term
  /// As they were before it was found out.
  let changes: UInt64

  func response(nonce: String) -> EnvoySecret.DiscoveryResponse {
    EnvoySecret.DiscoveryResponse(
      versionInfo: found.version, resources: found.resources, typeUrl: SecretResources.typeURL,
      nonce: nonce)
  }
}

/// One stream. A client asks, and answers each response: that it has taken it, that it has not, or that it wants others.
private struct SecretStream: Sendable {
  let service: WorkloadService
  let peer: WorkloadPeer
  /// The last request that was not looked at.
  private let pending = SharedRequest()

  init(service: WorkloadService, peer: WorkloadPeer) {
    self.service = service
    self.peer = peer
  }

  func run(
    _ requests: RequestStream<EnvoySecret.DiscoveryRequest>,
    _ responses: ResponseStream<EnvoySecret.DiscoveryResponse>
  ) async throws {
    // One event is as good as several: the loop looks at all there is.
    let (events, told) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [pending] in
        defer { told.finish() }
        while let request = try await requests.next() {
          pending.put(request)
          told.yield()
        }
      }
      try await withThrowingTaskGroup(of: Void.self) { watchers in
        var (wanted, sent, number) = (EnvoySecret.DiscoveryRequest?.none, "", 0)
        for await _ in events {
          var isNew = false
          if let request = pending.take() {
            guard request.responseNonce.isEmpty || request.responseNonce == "\(number)" else {
              // Of a response that was not the last by then: the answer to that is to come.
              continue
            }
            isNew = wanted?.resourceNames != request.resourceNames
            if isNew { try service.admit(peer) }
            wanted = request
          }
          guard let wanted else { continue }
          let answer = try await service.secrets(
            for: peer, wanted, EnvoySecret.SecretDiscoveryService.streamSecrets.path)
          if isNew || answer.found.version != sent {
            number += 1
            sent = answer.found.version
            try await responses.send(answer.response(nonce: "\(number)"))
          }
          if pending.watch() {
            watchers.addTask { [service, pending] in
              await service.streams.wait(for: answer.term, after: answer.changes)
              pending.watched()
              told.yield()
            }
          }
        }
        watchers.cancelAll()
      }
      group.cancelAll()
    }
  }
}

/// What the parts of a stream tell each other. Thread-safe.
private final class SharedRequest: Sendable {
  private struct State {
    var request: EnvoySecret.DiscoveryRequest?
    var isWatched = false
  }
  private let state = Mutex(State())

  func put(_ new: EnvoySecret.DiscoveryRequest) { state.withLock { $0.request = new } }
  func take() -> EnvoySecret.DiscoveryRequest? { state.withLock { $0.request.take() } }

  /// - Returns: whether nobody waits for changes yet.
  func watch() -> Bool {
    state.withLock { state in
      defer { state.isWatched = true }
      return !state.isWatched
    }
  }

  func watched() { state.withLock { $0.isWatched = false } }
}
