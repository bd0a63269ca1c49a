import Tenancy
import TenancyRPC
import TenancyWire

/// Consistency tokens travel in the metadata of calls, so that no message needs a field for them: a request
/// that carries one is answered from a state that is at least as fresh, and the answers of methods that can
/// write carry one. (Answers over ttrpc have no metadata: what is written there gives none.)
enum ConsistencyMetadata {
  static let key: StaticString = "tenancy-consistency-token"
  static let name = key.description

  /// - Throws: INVALID_ARGUMENT if there is one that is none, or more than one.
  static func token(in metadata: RPCMetadata) throws(TenancyError) -> ConsistencyToken? {
    let values = metadata[name]
    guard let text = values.first else { return nil }
    guard values.count == 1 else { throw .invalid(name, "is there more than once") }
    guard let token = ConsistencyToken(parsing: text) else {
      throw .invalid(name, "is not a consistency token of this API")
    }
    return token
  }
}

extension Gate {
  /// Whether a call must wait for the state that it asks for: not where others are served.
  @inline(__always)
  func mustWait(_ call: InlineCallState) throws(TenancyError) -> Bool {
    // Looked for in every call, and most have none.
    guard call.hasMetadata(ConsistencyMetadata.key),
      let token = try ConsistencyMetadata.token(in: call.metadata)
    else { return false }
    return try !plane.hasReached(token)
  }

  /// Waits for it, on the account of who may wait. Who is refused whatever the state is does not wait for it:
  /// the admission that follows says why.
  func waitForState(
    _ call: TenancyCall, _ caller: Caller, _ rule: MethodRule
  ) async throws(TenancyError) {
    guard let token = try ConsistencyMetadata.token(in: call.metadata),
      let payer = payer(of: caller, rule, plane.snapshot.state)
    else { return }
    try await plane.reach(token, payer: payer, by: call.deadline)
  }

  /// Tells who may have written of what state to ask others for.
  func giveToken(_ call: TenancyCall) {
    call.response.addHeaders([ConsistencyMetadata.name: plane.token.text])
  }

  /// What answers a method from memory when its call must wait.
  func afterWaiting<Request, Response>(
    _ spec: MethodSpec<Request, Response>, names form: TenantNames.Form,
    _ body: @escaping ViewingOnLoop<Request, Response>
  ) -> TenancyMethod.AsyncHandler {
    let rule = MethodRule.of(spec.identity)
    return { call, message in
      do throws(TenancyError) {
        let caller = call.context
        try await waitForState(call, caller, rule)
        return try message.span.bytes.withUnsafeBytes { bytes throws(TenancyError) in
          let arena = Arena(firstBlock: Self.arenaBytes)
          let response = try answer(
            spec, form, rule, caller, plane.snapshot, bytes, arena,
            requestID: Denials.requestID(in: call.metadata)
          ) { (access, request, response) throws(TenancyError) in
            if let tag = access.tag { call.response.tag(tag) }
            try body(access, nil, request, &response)
          }
          return [UInt8](response.bytes)
        }
      } catch {
        if let tag = Denials.tag(of: call.context, plane.snapshot) { call.response.tag(tag) }
        throw StatusMapping.status(of: error)
      }
    }
  }
}
