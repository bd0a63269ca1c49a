import Tenancy
import TenancyRPC
import TenancyWire

/// Calls that are carried out once.
extension Gate {
  /// Answers a call that was carried out before, as things are now. The caller has been judged again.
  typealias Again<Request, Response> =
    @Sendable (Access, Request, RememberedRequest) async throws(TenancyError) -> Response

  /// A method that writes, and knows a call again by its `request_id`.
  /// - Parameters:
  ///   - again: answers a call that was carried out before.
  ///   - gone: answers it where it has taken its tenant away; nil: it does not.
  func async<Request: IdentifiedRequest, Response>(
    _ spec: MethodSpec<Request, Response>, names form: TenantNames.Form = .tenant,
    again: @escaping Again<Request, Response>,
    gone: (@Sendable (RememberedRequest) -> Response)? = nil,
    _ body: @escaping @Sendable (Access, Request) async throws(TenancyError) -> Response
  ) -> TenancyMethod {
    let instead = gone.map { whereGone(spec, $0) }
    return async(spec, names: form, instead: instead) {
      (access, request) async throws(TenancyError) -> Response in
      guard try Self.isIdentified(request) else { return try await body(access, request) }
      let key = Self.key(
        access.caller, home: access.home?.tenant.id,
        about: (access.target ?? access.home)?.tenant.id, spec.path, request)
      if let earlier = try key.earlier(in: plane.state, at: plane.now) {
        return try await repeated(access, request, earlier, again)
      }
      var known = access
      known.judge = try access.requireJudge().knowing(key)
      do throws(TenancyError) {
        let response = try await body(known, request)
        // Nothing was to be done for it, or the server has done it by itself.
        if !key.isCarriedOut { try await remember(known) }
        return response
      } catch {
        // Another call of this id was faster.
        guard !key.isCarriedOut, let earlier = try key.earlier(in: plane.state, at: plane.now)
        else { throw error }
        return try await repeated(access, request, earlier, again)
      }
    }
  }

  /// Remembers a call for which nothing was written.
  private func remember(_ access: Access) async throws(TenancyError) {
    try await plane.remember(by: access.caller.subject, judge: try access.requireJudge())
  }

  private func whereGone<Request: IdentifiedRequest, Response>(
    _ spec: MethodSpec<Request, Response>,
    _ gone: @escaping @Sendable (RememberedRequest) -> Response
  ) -> @Sendable (Caller, Request) throws(TenancyError) -> Response? {
    let path = spec.path
    return { (caller, request) throws(TenancyError) -> Response? in
      guard try Self.isIdentified(request) else { return nil }
      if caller.refusal() != nil { throw Self.revoked }
      let key = Self.key(caller, home: nil, about: nil, path, request)
      guard let earlier = try key.earlier(in: plane.state, at: plane.now) else { return nil }
      return gone(earlier)
    }
  }

  private func repeated<Request, Response>(
    _ access: Access, _ request: Request, _ earlier: RememberedRequest,
    _ again: Again<Request, Response>
  ) async throws(TenancyError) -> Response {
    try access.requireJudge().judge(on: plane.state, at: plane.now)
    return try await again(access, request, earlier)
  }

  /// Whether a call is to be known again. What only validates keeps nothing, its id neither.
  private static func isIdentified(
    _ request: some IdentifiedRequest
  ) throws(TenancyError) -> Bool {
    if request.requestId.isEmpty { return false }
    guard RequestIDs.isWellFormed(request.requestId) else {
      throw .invalid("request_id", "must be a UUID")
    }
    return !request.validateOnly
  }

  private static func key(
    _ caller: Caller, home: TenantID?, about tenant: TenantID?, _ path: String,
    _ request: some IdentifiedRequest
  ) -> RequestKey {
    RequestKey(
      key: RememberedRequest.Key(
        payer: home, actor: caller.subject, requestID: request.requestId.lowercased()),
      digest: RequestIDs.digest(of: request, path: path), about: tenant)
  }
}
