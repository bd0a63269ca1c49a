import Tenancy
import TenancyRPC

/// Methods beside those of the API.
extension Gate {
  /// Methods that whoever may connect may call: they tell nothing of any tenant, and answer whatever the state is.
  /// Their streams end with the credential.
  func connectionScoped(_ methods: [TenancyMethod]) -> [TenancyMethod] {
    methods.map { $0.intercepted(by: CredentialGuard(gate: self)) }
  }
}

/// Lets calls pass whose caller's credential is good, and streams for as long as it is.
private struct CredentialGuard: RPCServerInterceptor {
  let gate: Gate

  func intercept(
    _ call: InlineCall<TenancyDelegate>, of method: ServedMethod,
    _ request: UnsafeRawBufferPointer,
    next: (UnsafeRawBufferPointer) throws(RPCStatus) -> Void
  ) throws(RPCStatus) {
    try judgeTime(of: call.context)
    try next(request)
  }

  func intercept(
    _ call: TenancyCall, of method: ServedMethod, _ request: [UInt8],
    next: @escaping @Sendable ([UInt8]) async throws -> [UInt8]
  ) async throws -> [UInt8] {
    try judgeTime(of: call.context)
    return try await next(request)
  }

  func intercept(
    _ call: TenancyCall, of method: ServedMethod, _ requests: RequestMessages,
    _ responses: ResponseWriter,
    next: @escaping @Sendable (RequestMessages, ResponseWriter) async throws -> Void
  ) async throws {
    let lease = try Self.mapped { () throws(TenancyError) in
      try judge(call.context)
      return try hold(call.context, call.handle)
    }
    defer { gate.streams.release(lease) }
    guard method.kind == .bidirectional else { return try await next(requests, responses) }
    // Its client may say nothing for as long as it likes.
    if try await call.drain.cancelling({ try await next(requests, responses) }) == nil {
      throw StatusMapping.status(of: StreamCall.interrupted())
    }
  }

  private func hold(
    _ caller: Caller, _ handle: CallHandle
  ) throws(TenancyError) -> StreamLeases.Lease {
    try gate.streams.hold(
      StreamLeases.Terms(
        question: StreamLeases.Question(
          caller: ObjectIdentifier(caller), method: "", tenants: [], epochs: []),
        payer: payer(of: caller), isTenants: !caller.isPlatform,
        tenants: caller.token.map { [$0.tenant] } ?? [],
        judge: { _ throws(TenancyError) in
          try judge(caller)
          if caller.refusal() != nil { throw Gate.revoked }
          return caller.expireTime
        }, end: { handle.end(StatusMapping.status(of: $0)) }))
  }

  /// On whose account streams are that have to do with no tenant: all workloads of a tenant have one, by whichever
  /// of its names.
  private func payer(of caller: Caller) -> WritePayer {
    switch caller.kind {
    case .platform: return .platform(caller.subject)
    case .tenant(let name):
      let known = gate.plane.snapshot.state.find(name.utf8Span.span.bytes, at: gate.plane.now)
      // Who may not exist has the name that is in the certificate, and is not mistaken for a platform identity.
      return known.map { .tenant($0.tenant.id) } ?? .platform("tenant \(name)")
    }
  }

  private func judgeTime(of caller: Caller) throws(RPCStatus) {
    try Self.mapped { () throws(TenancyError) in try judge(caller) }
  }

  private func judge(_ caller: Caller) throws(TenancyError) {
    let (now, state) = (gate.plane.now, gate.plane.snapshot.state)
    if let error = caller.lapse(in: state, at: now) { throw error }
    if caller.token != nil { try Gate.judgeToken(of: caller, state, now) }
  }

  private static func mapped<Result>(
    _ body: () throws(TenancyError) -> Result
  ) throws(RPCStatus) -> Result {
    do throws(TenancyError) {
      return try body()
    } catch {
      throw StatusMapping.status(of: error)
    }
  }
}
