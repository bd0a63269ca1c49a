import Tenancy
import TenancyRPC

/// Methods beside those of the API.
extension Gate {
  /// Methods that whoever may connect may call: they tell nothing of any tenant, and answer whatever the state is.
  /// Their streams end with the credential.
  func connectionScoped(_ methods: [ServiceMethod]) -> [ServiceMethod] {
    methods.map { method in
      method.guarded { call throws(RPCStatus) in
        try Self.mapped { () throws(TenancyError) in
          try judgeTime(of: Self.caller(call.context))
        }
      } others: { call, next in
        let lease = try Self.mapped { () throws(TenancyError) -> StreamLeases.Lease? in
          let caller = try Self.caller(call.context)
          try judgeTime(of: caller)
          return method.kind == .unary ? nil : try hold(caller, call.handle)
        }
        defer { if let lease { streams.release(lease) } }
        guard method.kind == .bidirectional else { return try await next() }
        // Its client may say nothing for as long as it likes.
        if try await call.drain.cancelling(next) == nil {
          throw StatusMapping.status(of: StreamCall.interrupted())
        }
      }
    }
  }

  private func hold(
    _ caller: Caller, _ handle: CallHandle
  ) throws(TenancyError) -> StreamLeases.Lease {
    try streams.hold(
      StreamLeases.Terms(
        question: StreamLeases.Question(
          caller: ObjectIdentifier(caller), method: "", tenants: [], epochs: []),
        payer: connectionPayer(of: caller), isTenants: !caller.isPlatform, tenants: [],
        judge: { _ throws(TenancyError) in
          try judgeTime(of: caller)
          if caller.refusal() != nil { throw Self.revoked }
          return caller.expireTime
        }, end: { handle.end(StatusMapping.status(of: $0)) }))
  }

  /// On whose account streams are that have to do with no tenant: all workloads of a tenant have one, by whichever
  /// of its names.
  private func connectionPayer(of caller: Caller) -> WritePayer {
    switch caller.kind {
    case .platform: return .platform(caller.subject)
    case .tenant(let name):
      let known = plane.snapshot.state.find(name.utf8Span.span.bytes, at: plane.now)
      // Who may not exist has the name that is in the certificate, and is not mistaken for a platform identity.
      return known.map { .tenant($0.tenant.id) } ?? .platform("tenant \(name)")
    }
  }

  private func judgeTime(of caller: Caller) throws(TenancyError) {
    if let end = caller.expireTime, end < plane.now { throw Self.expired }
  }

  private static func caller(_ context: AnyObject) throws(TenancyError) -> Caller {
    guard let caller = context as? Caller else { throw unknownHome }
    return caller
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
