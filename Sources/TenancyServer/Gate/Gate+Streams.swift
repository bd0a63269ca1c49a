import Synchronization
import Tenancy
import TenancyRPC
import TenancyWire

/// What the handler of an admitted stream has besides its messages. It holds no state: a stream may last, and
/// would keep the one that it began with in memory.
struct StreamCall: Sendable {
  /// Fires when the stream is to go on elsewhere: see `interrupted`.
  let drain: DrainSignal
  fileprivate let grounds: StreamGrounds
  fileprivate let gate: Gate

  /// The admission on the newest state. Not to be kept while the handler waits for something.
  /// - Throws: why the stream is not admitted any more.
  func access() throws(TenancyError) -> Access { try gate.judge(grounds, gate.plane.snapshot) }

  /// On whose account it reads.
  var payer: WritePayer { grounds.payer }

  /// What a handler throws when the drain has begun.
  /// - Parameter resumption: from where the client goes on; the method says how it is asked for.
  static func interrupted(resumption: String? = nil) -> TenancyError {
    TenancyError(
      .unavailable, .serverStopping, "the server is about to stop: go on with another",
      metadata: resumption.map { ["resume_token": $0] } ?? [:], retryAfterSeconds: 1)
  }
}

/// The requests of a stream, each admitted when it is read.
struct AdmittedRequests<Request: WireMessage>: Sendable {
  fileprivate let messages: RequestMessages
  fileprivate let admit: @Sendable ([UInt8]) throws(TenancyError) -> (Access, Request)

  /// The next, and what it may see; nil once the client has sent all.
  /// - Throws: `TenancyError` for one that is not admitted; `RPCStatus` when the call is over.
  func next() async throws -> (access: Access, request: Request)? {
    guard let received = try await messages.next() else { return nil }
    return try admit(received.bytes)
  }
}

/// What the admission of a stream rests on.
struct StreamGrounds: Sendable {
  fileprivate struct Tenant: Sendable, Equatable {
    let id: TenantID
    let epoch: UInt64

    init?(_ record: TenantRecord?) {
      guard let record else { return nil }
      id = record.tenant.id
      epoch = record.tenant.epoch
    }
  }

  let caller: Caller
  let rule: MethodRule
  let requestID: String
  fileprivate let home: Tenant?
  /// That the request names; nil where it names none, or each message does.
  fileprivate let target: Tenant?

  fileprivate init(_ access: Access, _ rule: MethodRule, _ requestID: String) {
    caller = access.caller
    self.rule = rule
    self.requestID = requestID
    home = Tenant(access.home)
    target = Tenant(access.target)
  }

  fileprivate var question: StreamLeases.Question {
    StreamLeases.Question(
      caller: ObjectIdentifier(caller), method: rule.path, tenants: [home?.id, target?.id],
      epochs: [home?.epoch, target?.epoch])
  }

  fileprivate var payer: WritePayer { home.map { .tenant($0.id) } ?? .platform(caller.subject) }
  fileprivate var tenants: [TenantID] { Array(Set([home, target].compactMap { $0?.id })) }
  fileprivate var tag: CallTag? {
    (target ?? home).map { CallTag(high: $0.id.high, low: $0.id.low) }
  }
}

/// Streams are admitted where all calls are, and for as long as that holds.
extension Gate {
  /// A method that answers one request with any number of messages.
  func serverStreaming<Request, Response>(
    _ spec: MethodSpec<Request, Response>, names form: TenantNames.Form = .tenant,
    _ body:
      @escaping @Sendable (Request, ResponseStream<Response>, StreamCall) async throws -> Void
  ) -> TenancyMethod {
    let rule = MethodRule.of(spec.identity)
    return streaming(spec, .serverStreaming) { call, caller, requests, responses in
      guard let message = try await requests.next() else { throw Self.noRequest }
      let (grounds, request) = try admitRequest(
        caller, rule, spec, form, message.bytes, Denials.requestID(in: call.metadata))
      try await holding(grounds, call) { stream in
        try await body(request, responses, stream)
      }
    }
  }

  /// A method that answers any number of messages with one.
  func clientStreaming<Request, Response>(
    _ spec: MethodSpec<Request, Response>, names form: TenantNames.Form = .tenant,
    _ body: @escaping @Sendable (AdmittedRequests<Request>, StreamCall) async throws -> Response
  ) -> TenancyMethod {
    streaming(spec, .clientStreaming) { call, caller, requests, responses in
      try await admitting(spec, form, call, caller, requests) { requests, stream in
        try await responses.send(try await body(requests, stream))
      }
    }
  }

  /// A method both sides of which send any number of messages.
  func bidirectional<Request, Response>(
    _ spec: MethodSpec<Request, Response>, names form: TenantNames.Form = .tenant,
    _ body:
      @escaping @Sendable (AdmittedRequests<Request>, ResponseStream<Response>, StreamCall)
      async throws -> Void
  ) -> TenancyMethod {
    streaming(spec, .bidirectional) { call, caller, requests, responses in
      try await admitting(spec, form, call, caller, requests) { requests, stream in
        try await body(requests, responses, stream)
      }
    }
  }

  // MARK: Admission

  private func streaming<Request, Response>(
    _ spec: MethodSpec<Request, Response>, _ kind: CallKind,
    _ body:
      @escaping @Sendable (TenancyCall, Caller, RequestMessages, ResponseStream<Response>)
      async throws -> Void
  ) -> TenancyMethod {
    // In range: the methods are ours.
    precondition(spec.method.kind == kind, "\(spec.path) does not stream as declared")
    let rule = MethodRule.of(spec.identity)
    return .streaming(path: spec.path, kind: kind, on: .concurrentPool) {
      call, requests, responses in
      do {
        try await waitForState(call, call.context, rule)
        try await body(call, call.context, requests, ResponseStream(responses))
      } catch let error as TenancyError {
        if let tag = Denials.tag(of: call.context, plane.snapshot) { call.response.tag(tag) }
        throw StatusMapping.status(of: error)
      }
    }
  }

  private func admitRequest<Request, Response>(
    _ caller: Caller, _ rule: MethodRule, _ spec: MethodSpec<Request, Response>,
    _ form: TenantNames.Form, _ message: [UInt8], _ requestID: String
  ) throws(TenancyError) -> (StreamGrounds, Request) {
    let (access, request) = try admitDecoded(caller, rule, spec, form, message, requestID)
    return (StreamGrounds(access, rule, requestID), request)
  }

  /// Admits the caller before there is a message, and each message with what it names.
  private func admitting<Request, Response>(
    _ spec: MethodSpec<Request, Response>, _ form: TenantNames.Form, _ call: TenancyCall,
    _ caller: Caller, _ messages: RequestMessages,
    _ body: @escaping @Sendable (AdmittedRequests<Request>, StreamCall) async throws -> Void
  ) async throws {
    let rule = MethodRule.of(spec.identity)
    let requestID = Denials.requestID(in: call.metadata)
    let grounds = try admitCaller(caller, rule, form, requestID)
    let requests = AdmittedRequests<Request>(messages: messages) { bytes throws(TenancyError) in
      // The stream itself, which may have been begun before its tenant's epoch has moved.
      _ = try judge(grounds, plane.snapshot)
      return try admitDecoded(caller, rule, spec, form, bytes, requestID, notesDenials: false)
    }
    try await holding(grounds, call) { stream in try await body(requests, stream) }
  }

  private func admitCaller(
    _ caller: Caller, _ rule: MethodRule, _ form: TenantNames.Form, _ requestID: String
  ) throws(TenancyError) -> StreamGrounds {
    let snapshot = plane.snapshot
    do throws(TenancyError) {
      let access = try admit(caller, rule, tenantName: nil, form, snapshot: snapshot)
      return StreamGrounds(access, rule, requestID)
    } catch {
      denials.note(error, caller, rule, nil, form, snapshot, requestID)
      throw error
    }
  }

  /// Runs a stream's handler for as long as its admission holds.
  private func holding(
    _ grounds: StreamGrounds, _ call: TenancyCall,
    _ body: @Sendable (StreamCall) async throws -> Void
  ) async throws {
    let handle = call.handle
    let note = NoteOnce(denials, grounds)
    let terms = StreamLeases.Terms(
      question: grounds.question, payer: grounds.payer, isTenants: !grounds.caller.isPlatform,
      tenants: grounds.tenants,
      judge: { snapshot throws(TenancyError) in try judge(grounds, snapshot).nextEnd },
      end: { error in
        note(error)
        handle.end(StatusMapping.status(of: error))
      })
    do {
      let lease = try streams.hold(terms)
      defer { streams.release(lease) }
      if let tag = grounds.tag { call.response.tag(tag) }
      giveToken(call)
      try await body(StreamCall(drain: call.drain, grounds: grounds, gate: self))
    } catch {
      // Whoever has found out first: what it has said, as far as that has not begun to go out, is not for this
      // caller any more.
      if let refusal = refusal(of: grounds) {
        note(refusal)
        handle.end(StatusMapping.status(of: refusal))
      } else if let error = error as? TenancyError {
        note(error)
      }
      throw error
    }
  }

  private func refusal(of grounds: StreamGrounds) -> TenancyError? {
    do throws(TenancyError) {
      _ = try judge(grounds, plane.snapshot)
      return nil
    } catch {
      return error
    }
  }

  /// Judges a stream that was admitted before.
  fileprivate func judge(
    _ grounds: StreamGrounds, _ snapshot: Snapshot
  ) throws(TenancyError) -> Access {
    if grounds.caller.refusal() != nil { throw Self.revoked }
    let access = try admit(grounds, snapshot)
    let (home, target) = (
      StreamGrounds.Tenant(access.home), StreamGrounds.Tenant(access.target)
    )
    guard home?.id == grounds.home?.id else { throw Self.unknownHome }
    guard home == grounds.home, target == grounds.target else { throw Self.epochMoved }
    return access
  }

  private func admit(
    _ grounds: StreamGrounds, _ snapshot: Snapshot
  ) throws(TenancyError) -> Access {
    guard let target = grounds.target else {
      return try admit(
        grounds.caller, grounds.rule, tenantName: nil, .tenant, snapshot: snapshot)
    }
    // By its id: the name that the request gave may have become another's.
    let name = target.id.description
    return try admit(
      grounds.caller, grounds.rule, tenantName: name.utf8Span.span.bytes, .tenant,
      snapshot: snapshot)
  }

  private static let noRequest = RPCStatus(.internalError, "the request has no message")
  private static let epochMoved = TenancyError(
    .unavailable, .epochMoved, "the tenant's state has changed: begin again",
    retryAfterSeconds: 1)
}

/// Tells the audit trail once why a stream was not admitted any more, or what it asked for was denied: whoever finds
/// out first.
private final class NoteOnce: Sendable {
  private let denials: Denials
  private let grounds: StreamGrounds
  private let isNoted = Atomic(false)

  init(_ denials: Denials, _ grounds: StreamGrounds) {
    self.denials = denials
    self.grounds = grounds
  }

  func callAsFunction(_ error: TenancyError) {
    guard Denials.isDenial(error), !isNoted.exchange(true, ordering: .relaxed) else { return }
    denials.note(error, grounds)
  }
}

extension Denials {
  /// Notes how a stream ended, if it was not admitted any more, or what it asked for was denied.
  fileprivate func note(_ error: TenancyError, _ grounds: StreamGrounds) {
    note(
      error, grounds.caller, grounds.rule, home: grounds.home?.id,
      named: grounds.target?.id.description, target: error.attempted ?? grounds.target?.id,
      grounds.requestID)
  }
}

extension Access {
  /// When something that it rests on ends by itself; nil: nothing does.
  fileprivate var nextEnd: Timestamp? {
    let role = home?.nextRoleEnd(of: caller.subject, after: now)
    return [caller.expireTime, role].compactMap(\.self).min()
  }
}
