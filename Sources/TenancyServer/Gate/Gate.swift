import Tenancy
import TenancyRPC
import TenancyWire

/// The one place where calls are admitted: who calls, may they, and for which tenant. Every method is
/// registered through it, and nothing is served that is not.
struct Gate: Sendable {
  let plane: ControlPlane
  let streams: StreamLeases

  init(plane: ControlPlane, streams: StreamLeases? = nil) {
    self.plane = plane
    self.streams = streams ?? StreamLeases(plane)
  }

  var denials: Denials { Denials(plane: plane) }

  // MARK: Admission

  /// Judges a call by its method's rule.
  /// - Parameters:
  ///   - tenantName: the request's tenant field; nil where the method has none.
  ///   - form: what that field holds.
  /// - Throws: `TenancyError`. Nothing else than returning admits.
  func admit(
    _ caller: Caller, _ rule: MethodRule, tenantName: RawSpan?,
    _ form: TenantNames.Form, snapshot: Snapshot
  ) throws(TenancyError) -> Access {
    let now = plane.now
    if plane.isStale(at: now) { throw ControlPlane.stale }
    if let error = caller.lapse(in: snapshot.state, at: now) { throw error }
    switch caller.kind {
    case .platform:
      if rule.permission != nil, !caller.permits(rule) {
        throw .missing(permission: rule.permissionText)
      }
      var target: TenantRecord?
      if let tenantName {
        target = try TenantNames.find(
          tenantName, form, field: rule.tenantField, snapshot.state, at: now)
      }
      return Access(caller: caller, home: nil, target: target, now: now, snapshot: snapshot)
    case .tenant(let name):
      let home = try Self.home(name, caller, rule, snapshot.state, now)
      try Self.judge(caller, rule, home, now)
      if let tenantName {
        try TenantNames.require(tenantName, form, field: rule.tenantField, toBe: home, at: now)
      }
      return Access(
        caller: caller, home: home, target: tenantName == nil ? nil : home, now: now,
        snapshot: snapshot)
    }
  }

  /// The caller's tenant, which must exist and, but for questions about oneself, be served.
  private static func home(
    _ name: String, _ caller: Caller, _ rule: MethodRule, _ state: borrowing ControlState,
    _ now: Timestamp
  ) throws(TenancyError) -> TenantRecord {
    guard let home = state.find(name.utf8Span.span.bytes, at: now), !home.tenant.state.isGone
    else { throw unknownHome }
    if let token = caller.token { try judge(token, caller.presenter, home, state, now) }
    if rule.scope != .ownSelf, let refusal = home.refusal(at: now) {
      throw refusal
    }
    return home
  }

  /// Whether the token that a caller has, if any, is still accepted.
  static func judgeToken(
    of caller: Caller, _ state: borrowing ControlState, _ now: Timestamp
  ) throws(TenancyError) {
    guard let token = caller.token else { return }
    guard let home = state.find(token.tenant), !home.tenant.state.isGone else {
      throw unknownHome
    }
    try judge(token, caller.presenter, home, state, now)
  }

  /// Whether a token is still accepted, and from who presents it: certificate and token are judged together.
  private static func judge(
    _ token: TokenGrant, _ presenter: Caller?, _ home: TenantRecord,
    _ state: borrowing ControlState, _ now: Timestamp
  ) throws(TenancyError) {
    if case .tenant(let name)? = presenter?.kind {
      guard let own = state.find(name.utf8Span.span.bytes, at: now), !own.tenant.state.isGone
      else { throw unknownHome }
      guard own.tenant.id == home.tenant.id else { throw credentialConflict(own.tenant.id) }
    }
    if let refusal = token.refusal(in: home, at: now) { throw refusal }
  }

  private static func judge(
    _ caller: Caller, _ rule: MethodRule, _ home: TenantRecord, _ now: Timestamp
  ) throws(TenancyError) {
    switch rule.scope {
    case .ownSelf, .anonymous: return
    case .platform: throw .missing(permission: rule.permissionText)
    case .tenant: break
    }
    let isPermitted = caller.permits(rule)
    if isPermitted, !home.policy.denies { return }
    guard isPermitted || rule.permission.map(caller.allows) ?? false else {
      throw .missing(permission: rule.permissionText)
    }
    switch decision(caller, rule.permissionText, home, now) {
    case .allowed: return
    // Whatever the configuration permits, the tenant may deny.
    case .notAllowed where isPermitted: return
    case .denied, .notAllowed, nil: throw .missing(permission: rule.permissionText)
    }
  }

  /// What the tenant's policy says of a caller of its own; nil for what is no question.
  static func decision(
    _ caller: Caller, _ permission: String, _ home: TenantRecord, _ now: Timestamp
  ) -> Decision? {
    let question = permission.utf8Span.span.bytes
    guard let colon = Permission.colon(in: question) else { return nil }
    var budget = WorkBudget(visits: visitsOfDecision)
    return home.decide(
      Question(
        subject: caller.subject.utf8Span.span.bytes, permission: question, colon: colon, now: now),
      &budget)
  }

  /// A call's own admission looks at no more of its roles and conditions: what is beyond allows nothing.
  private static var visitsOfDecision: Int { CheckService.maximumVisits }

  /// Judges an admitted call again, on the state that its change is applied to, and by the CAs and CRLs of
  /// that moment. What platform identities may do does not change while the server runs.
  private static func judge(
    _ access: Access, _ rule: MethodRule, _ requestID: String, requestBytes: Int
  ) -> WriteJudge {
    let (caller, id) = (access.caller, access.home?.tenant.id)
    // A platform identity waits on its own account whichever tenant it writes about.
    let payer = id.map { WritePayer.tenant($0) } ?? .platform(caller.subject)
    return WriteJudge(
      payer: payer, requestBytes: requestBytes,
      origin: Denials.origin(caller, home: id, requestID)
    ) {
      (state, now) throws(TenancyError) in
      if let error = caller.lapse(in: state, at: now) { throw error }
      if caller.refusal() != nil { throw revoked }
      guard case .tenant(let name) = caller.kind else { return }
      let home = try home(name, caller, rule, state, now)
      guard home.tenant.id == id else { throw unknownHome }
      try judge(caller, rule, home, now)
    }
  }

  /// On whose account a call waits for a fresher state than this one, before it is admitted on that. All
  /// workloads of a tenant are one, by whichever of its names. Who would not be admitted now may be then, as
  /// where the tenant or the role is what was just written.
  /// - Returns: nil for who would not be admitted then either.
  func payer(
    of caller: Caller, _ rule: MethodRule, _ state: borrowing ControlState
  ) -> ReadPayer? {
    let now = plane.now
    if plane.isStale(at: now) || caller.lapse(in: state, at: now) != nil { return nil }
    switch caller.kind {
    case .platform:
      if rule.permission != nil, !caller.permits(rule) { return nil }
      return .admitted("platform \(caller.subject)")
    case .tenant(let name):
      if rule.scope == .platform { return nil }
      do throws(TenancyError) {
        let home = try Self.home(name, caller, rule, state, now)
        try Self.judge(caller, rule, home, now)
        return .admitted("tenant \(home.idText)")
      } catch {
        let known = state.find(name.utf8Span.span.bytes, at: now)
        return .stranger("tenant \(known?.idText ?? name)")
      }
    }
  }

  static let expired = TenancyError(
    .unauthenticated, .identityExpired, "the certificate has expired")
  static let tokenMissing = TenancyError(
    .unauthenticated, .credentialMissing, "the call has neither a certificate nor a token")
  static let revoked = TenancyError(
    .unauthenticated, .identityRevoked, "the certificate is not accepted any more")
  static let unregistered = TenancyError(
    .unauthenticated, .identityRevoked, "the certificate is not accepted: " + Registration.reason)
  static let unknownHome = TenancyError(
    .permissionDenied, .identityUnknown, "the caller's tenant is not known here")
  /// - Parameter tenant: the certificate's, for the audit trail.
  private static func credentialConflict(_ tenant: TenantID) -> TenancyError {
    TenancyError(
      .permissionDenied, .credentialConflict,
      "the certificate and the token are of different tenants", attempted: tenant)
  }

  // MARK: Registration

  /// A method answered from memory whose handler reads the request where it lies, and writes the answer field by
  /// field: for the hot ones.
  func inline<Request, Response>(
    viewing spec: MethodSpec<Request, Response>, names form: TenantNames.Form = .tenant,
    _ body: @escaping Viewing<Request, Response>
  ) -> TenancyMethod {
    inline(onLoop: spec, names: form) { (access, _, request, response) throws(TenancyError) in
      try body(access, request, &response)
    }
  }

  /// The same for handlers that use what their event loop keeps.
  func inline<Request, Response>(
    onLoop spec: MethodSpec<Request, Response>, names form: TenantNames.Form = .tenant,
    _ body: @escaping ViewingOnLoop<Request, Response>
  ) -> TenancyMethod {
    let rule = MethodRule.of(spec.identity)
    let waiting = afterWaiting(spec, names: form, body)
    return .inline(path: spec.path, orElse: waiting) { (call, message) throws(RPCStatus) in
      do throws(TenancyError) {
        if try mustWait(call) { return call.putOff() }
        let response = try answer(
          spec, form, rule, call.context, call.loop.snapshot, message, call.arena,
          requestID: Denials.requestID(in: call.metadata)
        ) { (access, request, response) throws(TenancyError) in
          if let tag = access.tag { call.tag(tag) }
          try body(access, call.loop, request, &response)
          if let mark = call.loop.takeMark() { call.tag(mark.tag, mark.verdict) }
        }
        call.reply(count: response.bytes.count) { response.copy(to: $0) }
      } catch {
        if let tag = Denials.tag(of: call.context, call.loop.snapshot) { call.tag(tag) }
        throw StatusMapping.status(of: error)
      }
    }
  }

  /// Answers an admitted call from memory. The request is the call's, and not to be kept.
  typealias Viewing<Request: WireMessage, Response: WireMessage> =
    @Sendable (
      Access, borrowing MessageView<Request>, inout MessageBuilder<Response>
    ) throws(TenancyError) -> Void

  /// - Parameter loop: nil where the call had to wait, and is answered elsewhere.
  typealias ViewingOnLoop<Request: WireMessage, Response: WireMessage> =
    @Sendable (
      _ access: Access, _ loop: ServiceLoop?, borrowing MessageView<Request>,
      inout MessageBuilder<Response>
    ) throws(TenancyError) -> Void

  /// Admits and answers one call, and tells the audit trail if that is denied.
  @inline(__always)
  func answer<Request, Response>(
    _ spec: MethodSpec<Request, Response>, _ form: TenantNames.Form, _ rule: MethodRule,
    _ caller: Caller, _ snapshot: Snapshot, _ message: UnsafeRawBufferPointer, _ arena: Arena,
    requestID: @autoclosure () -> String,
    _ body:
      (Access, borrowing MessageView<Request>, inout MessageBuilder<Response>)
      throws(TenancyError) -> Void
  ) throws(TenancyError) -> EncodedMessage<Response> {
    try WireErrors.withView(Request.self, of: message, arena, rule) {
      request throws(TenancyError) in
      do throws(TenancyError) {
        let access = try admit(
          caller, rule, tenantName: spec.tenantName(in: request), form, snapshot: snapshot)
        var response = MessageBuilder<Response>(in: arena, capacity: Self.answerBytes)
        try body(access, request, &response)
        return response.finish()
      } catch {
        if Denials.isDenial(error) {
          denials.note(
            error, caller, rule, spec.tenantName(in: request), form, snapshot, requestID())
        }
        throw error
      }
    }
  }

  /// Room for most answers from memory.
  private static var answerBytes: Int { 512 }

  /// A method answered from memory.
  func inline<Request, Response>(
    _ spec: MethodSpec<Request, Response>, names form: TenantNames.Form = .tenant,
    _ body: @escaping @Sendable (Access, Request) throws(TenancyError) -> Response
  ) -> TenancyMethod {
    inline(viewing: spec, names: form) { (access, request, response) throws(TenancyError) in
      response.write(try body(access, try WireErrors.read(request)))
    }
  }

  /// Enough for most requests and answers of methods off the loop. There are two arenas and not one, because
  /// many calls wait for the writer between the one and the other, and hold nothing meanwhile.
  static let arenaBytes = 2 * 1024

  /// A method that writes, or whose answers can be large: answered off the event loop, where the runtime
  /// lets a connection have a few such calls at a time.
  /// - Parameter instead: answers the platform's callers where there is no such tenant; nil from it: nothing does.
  func async<Request, Response>(
    _ spec: MethodSpec<Request, Response>, names form: TenantNames.Form = .tenant,
    instead: (@Sendable (Caller, Request) throws(TenancyError) -> Response?)? = nil,
    _ body: @escaping @Sendable (Access, Request) async throws(TenancyError) -> Response
  ) -> TenancyMethod {
    let rule = MethodRule.of(spec.identity)
    return .async(path: spec.path) { call, message in
      do throws(TenancyError) {
        let caller = call.context
        try await waitForState(call, caller, rule)
        let requestID = Denials.requestID(in: call.metadata)
        let (access, request): (Access, Request)
        do throws(TenancyError) {
          (access, request) = try admitDecoded(caller, rule, spec, form, message, requestID)
        } catch {
          // A tenant is looked for after the platform's callers are judged.
          guard let instead, caller.isPlatform, error.reason == .tenantNotFound,
            let response = try instead(caller, decoded(message, rule))
          else { throw error }
          return response.encode(arena: Arena(firstBlock: Self.arenaBytes))
        }
        if let tag = access.tag { call.response.tag(tag) }
        do throws(TenancyError) {
          let response = try await body(access, request)
          giveToken(call)
          return response.encode(arena: Arena(firstBlock: Self.arenaBytes))
        } catch {
          denials.note(error, access, rule, requestID)
          throw error
        }
      } catch {
        if let tag = Denials.tag(of: call.context, plane.snapshot) { call.response.tag(tag) }
        throw StatusMapping.status(of: error)
      }
    }
  }

  private func decoded<Request: WireMessage>(
    _ message: [UInt8], _ rule: MethodRule
  ) throws(TenancyError) -> Request {
    try message.span.bytes.withUnsafeBytes { bytes throws(TenancyError) in
      try WireErrors.withView(Request.self, of: bytes, Arena(firstBlock: Self.arenaBytes), rule) {
        request throws(TenancyError) in try WireErrors.read(request)
      }
    }
  }

  func admitDecoded<Request, Response>(
    _ caller: Caller, _ rule: MethodRule, _ spec: MethodSpec<Request, Response>,
    _ form: TenantNames.Form, _ message: [UInt8], _ requestID: String, notesDenials: Bool = true
  ) throws(TenancyError) -> (Access, Request) {
    let arena = Arena(firstBlock: Self.arenaBytes)
    return try message.span.bytes.withUnsafeBytes { bytes throws(TenancyError) in
      try WireErrors.withView(Request.self, of: bytes, arena, rule) {
        request throws(TenancyError) in
        let snapshot = plane.snapshot
        var access: Access
        do throws(TenancyError) {
          access = try admit(
            caller, rule, tenantName: spec.tenantName(in: request), form, snapshot: snapshot)
        } catch {
          if notesDenials {
            denials.note(
              error, caller, rule, spec.tenantName(in: request), form, snapshot, requestID)
          }
          throw error
        }
        access.judge = Self.judge(access, rule, requestID, requestBytes: message.count)
        return (access, try WireErrors.read(request))
      }
    }
  }
}
