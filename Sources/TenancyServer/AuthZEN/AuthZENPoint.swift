public import Tenancy
public import TenancyRPC
import TenancyTokens
import TenancyWire

/// The policy decision point of AuthZEN 1.0 (OpenID Authorization API): the engine of `tenancy.v1.Authorization`, asked in
/// JSON. Callers are admitted as those of `Authorization.Check` are.
///
/// One request at a time is looked at: whatever tenants send, no more than one thread is busy with it.
public actor AuthZENPoint {
  /// What it is made of.
  public struct Terms: Sendable {
    /// How peers become callers.
    public var rules: IdentityRules
    /// Nil: tokens are not taken.
    public var tokens: TokenTerms?
    /// Nil: calls are not counted.
    public var counters: TenantCallCounters?
    /// Nil: nothing is recorded of what is answered.
    public var decisions: DecisionLog?
    /// `https` and a server's name: what metadata says of where it is; nil: there is none.
    public var base: String?

    /// With nothing but this.
    public init(rules: IdentityRules) { self.rules = rules }
  }

  private let gate: Gate
  private let terms: Terms
  private let judge: TokenJudge?
  private let reader: SnapshotReader
  private let shares = AuthZENShares()
  private let recorder: Recorder
  /// What has become of requests.
  public nonisolated let tally = AuthZENTally()
  private var swept: Timestamp

  /// - Parameter plane: who answers.
  public init(plane: ControlPlane, _ terms: Terms) {
    gate = Gate(plane: plane)
    self.terms = terms
    judge = terms.tokens.map { TokenJudge($0, terms.rules, clock: SteadyTime.nanoseconds) }
    reader = SnapshotReader(plane)
    recorder = Recorder(terms.decisions?.shared, .authZEN)
    swept = plane.now
  }

  /// Whether a path is one of AuthZEN's.
  public static nonisolated func takes(_ path: String) -> Bool { AuthZENRoute(path) != nil }

  // MARK: Requests

  /// Who may have sent a request.
  public struct Client: Sendable {
    let caller: Caller
  }

  /// - Parameters:
  ///   - refusal: why the peer is not accepted any more, or nil.
  ///   - source: names its connection.
  /// - Returns: nil: nobody who could be a caller.
  public nonisolated func client(
    _ peer: Peer, refusal: @escaping @Sendable () -> String?,
    source: @escaping @Sendable () -> String
  ) -> Client? {
    switch terms.rules.caller(peer, refusal: refusal, source: source) {
    case .success(let caller): Client(caller: caller)
    case .failure: nil
    }
  }

  /// A request whose body is waited for. Holds its share of what may be held until it is let go of.
  public struct Turn: Sendable {
    /// Bytes of the body, at most.
    public let maximumBytes: Int
    fileprivate let caller: Caller
    fileprivate let route: AuthZENRoute
    fileprivate let head: AuthZENHead
    fileprivate let share: AuthZENShares.Share
  }

  /// What becomes of a request whose body is not here yet.
  public enum Beginning: Sendable {
    /// Nothing is waited for.
    case answer(AuthZENAnswer)
    /// `answer` is to be called when it is here.
    case body(Turn)
  }

  /// Looks at the head of a request: only who may ask may send a body.
  public func begin(_ head: AuthZENHead, from client: Client) async -> Beginning {
    sweep()
    guard let route = AuthZENRoute(head.path) else {
      return .answer(finish(AuthZENAnswer(Self.noSuchPage, status: 404), head))
    }
    guard route.endpoint != .metadata else { return .answer(finish(metadata(route, head), head)) }
    guard head.method == "POST" else {
      return .answer(finish(Self.wrongMethod(allowed: "POST"), head))
    }
    var caller = client.caller
    do throws(TenancyError) {
      try Self.checkRequestID(head)
      caller = try identify(head, client.caller, route.rule)
      try await waitForState(head, caller, route.rule)
      _ = try admit(caller, route, head)
      try Self.checkContentType(head)
      guard let length = Self.length(of: head, route) else {
        return .answer(refusal(Self.tooLarge, of: caller, head, status: 413))
      }
      return .body(try turn(caller, route, head, length))
    } catch {
      return .answer(refusal(error, of: caller, head))
    }
  }

  /// Answers a request that was begun here.
  public func answer(_ turn: Turn, _ body: [UInt8]) -> AuthZENAnswer {
    do throws(TenancyError) {
      // Whatever has become of the caller since.
      let access = try admit(turn.caller, turn.route, turn.head)
      let text =
        if let kind = turn.route.endpoint.search {
          try AuthZENSearch(body, for: kind).answer(access)
        } else {
          try decide(AuthZENRequest(body, isBatch: turn.route.endpoint == .evaluations), access)
        }
      count(access.tag, .ok)
      return finish(AuthZENAnswer(json: text), turn.head)
    } catch {
      return refusal(error, of: turn.caller, turn.head)
    }
  }

  /// What is answered to more than `Turn.maximumBytes`.
  public func answerTooLarge(_ turn: Turn) -> AuthZENAnswer {
    refusal(Self.tooLarge, of: turn.caller, turn.head, status: 413)
  }

  // MARK: Callers

  /// Who asks: whom the token is for, or whose certificate it is.
  private func identify(
    _ head: AuthZENHead, _ client: Caller, _ rule: MethodRule
  ) throws(TenancyError) -> Caller {
    let values = head.values(of: BearerToken.metadataName.description)
    guard !values.isEmpty else { return client }
    let snapshot = reader.snapshot
    do throws(TokenDenial) {
      guard let judge else { throw TokenDenial(RequestTokens.notTaken) }
      guard values.count == 1, let value = values.first else { throw BearerToken.malformed }
      let account = CallerDirectory(gate.plane).account(of: client)
      return try value.utf8Span.span.bytes.withUnsafeBytes { bytes throws(TokenDenial) in
        guard let token = BearerToken.token(in: bytes) else { throw BearerToken.malformed }
        return try judge.caller(
          presenting: token, client, account: account, snapshot.state, at: gate.plane.now)
      }
    } catch {
      gate.denials.note(error, client, path: rule.path, snapshot, Self.requestID(head))
      throw error.error
    }
  }

  /// Judges a request as a call of the method that is its like.
  private func admit(
    _ caller: Caller, _ route: AuthZENRoute, _ head: AuthZENHead
  ) throws(TenancyError) -> Access {
    let (snapshot, rule) = (reader.snapshot, route.rule)
    let named = route.tenant ?? caller.ownTenant
    do throws(TenancyError) {
      if caller.refusal() != nil { throw Gate.revoked }
      guard let named else {
        _ = try gate.admit(caller, rule, tenantName: nil, .tenant, snapshot: snapshot)
        throw TenancyError.invalid(
          "path", "has to name a tenant: /tenants/{id or slug}/access/v1/…")
      }
      return try gate.admit(
        caller, rule, tenantName: named.utf8Span.span.bytes, .tenant, snapshot: snapshot)
    } catch {
      if let named {
        gate.denials.note(
          error, caller, rule, named.utf8Span.span.bytes, .tenant, snapshot, Self.requestID(head))
      } else {
        gate.denials.note(error, caller, rule, nil, .tenant, snapshot, Self.requestID(head))
      }
      throw error
    }
  }

  /// A request that carries a consistency token is answered from a state that is at least as fresh.
  private func waitForState(
    _ head: AuthZENHead, _ caller: Caller, _ rule: MethodRule
  ) async throws(TenancyError) {
    let values = head.values(of: ConsistencyMetadata.name)
    guard let text = values.first else { return }
    guard values.count == 1, let token = ConsistencyToken(parsing: text) else {
      throw .invalid(ConsistencyMetadata.name, "is not one consistency token of this API")
    }
    guard let payer = gate.payer(of: caller, rule, reader.snapshot.state) else { return }
    try await gate.plane.reach(token, payer: payer, by: nil)
  }

  private func turn(
    _ caller: Caller, _ route: AuthZENRoute, _ head: AuthZENHead, _ length: Int
  ) throws(TenancyError) -> Turn {
    let share = try shares.take(
      length, of: CallerDirectory(gate.plane).account(of: caller),
      caller.isPlatform ? .platform : .tenant)
    return Turn(maximumBytes: length, caller: caller, route: route, head: head, share: share)
  }

  /// Bytes of the body: who does not say how many come may send as many as there may be.
  /// - Returns: nil: too many.
  private static func length(of head: AuthZENHead, _ route: AuthZENRoute) -> Int? {
    let limit =
      route.endpoint == .evaluations
      ? AuthZENRequest.maximumBatchBytes : AuthZENRequest.maximumBytes
    guard let text = head.values(of: "content-length").first else { return limit }
    guard let length = Int(text), (0...limit).contains(length) else { return nil }
    return length
  }

  // MARK: Decisions

  private func decide(
    _ request: AuthZENRequest, _ access: Access
  ) throws(TenancyError) -> String {
    let tenant = try access.requireTarget()
    var budget = WorkBudget(visits: CheckService.maximumVisits)
    var text = ""
    switch request {
    case .one(let question):
      let decision = try AuthZENDecision.decide(
        question, access, tenant, &budget, recorder)
      decision.write(to: &text)
      tally.note(allowed: decision.isAllowed ? 1 : 0, denied: decision.isAllowed ? 0 : 1)
    case .several(let questions, let semantic):
      text = "{\"evaluations\":["
      var (allowed, denied) = (0, 0)
      for (index, question) in questions.enumerated() {
        guard !budget.isSpent else { throw Self.tooMuch }
        if index > 0 { text += "," }
        let isAllowed = try decide(question, access, tenant, &budget, &text)
        if isAllowed { allowed += 1 } else { denied += 1 }
        if semantic.ends(with: isAllowed) { break }
      }
      text += "]}"
      tally.note(allowed: allowed, denied: denied)
    }
    return text
  }

  /// One of several: what it can't be decided for is denied.
  private func decide(
    _ question: Result<AuthZENQuestion, TenancyError>, _ access: Access, _ tenant: TenantRecord,
    _ budget: inout WorkBudget, _ text: inout String
  ) throws(TenancyError) -> Bool {
    do throws(TenancyError) {
      let decision = try AuthZENDecision.decide(
        question.get(), access, tenant, &budget, recorder)
      decision.write(to: &text)
      return decision.isAllowed
    } catch {
      guard error.category == .invalidArgument else { throw error }
      AuthZENDecision.write(error, to: &text)
      return false
    }
  }

  // MARK: Metadata

  private func metadata(_ route: AuthZENRoute, _ head: AuthZENHead) -> AuthZENAnswer {
    guard head.method == "GET" || head.method == "HEAD" else {
      return Self.wrongMethod(allowed: "GET, HEAD")
    }
    guard let base = terms.base else { return AuthZENAnswer(Self.noSuchPage, status: 404) }
    // As it was asked for, whether there is such a tenant or not.
    let point = route.tenant.map { "\(base)/tenants/\($0)" } ?? base
    var members: [String: JSONValue] = ["policy_decision_point": .string(point)]
    for endpoint in AuthZENRoute.Endpoint.allCases {
      guard let name = endpoint.metadataName else { continue }
      members[name] = .string("\(point)/\(endpoint.rawValue)")
    }
    return AuthZENAnswer(json: JSONValue.object(members).text(), caching: "max-age=300")
  }

  // MARK: Answers

  private func refusal(
    _ error: TenancyError, of caller: Caller, _ head: AuthZENHead, status: Int? = nil
  ) -> AuthZENAnswer {
    count(
      Denials.tag(of: caller, reader.snapshot), StatusMapping.code(of: error.category))
    return finish(
      AuthZENAnswer(
        error, status: status,
        hasCredential: !head.values(of: BearerToken.metadataName.description).isEmpty), head)
  }

  private func count(_ tag: CallTag?, _ code: RPCStatus.Code) {
    if let tag { terms.counters?.note(tag, code) }
  }

  /// Every answer leaves here.
  private func finish(_ answer: AuthZENAnswer, _ head: AuthZENHead) -> AuthZENAnswer {
    tally.note(status: answer.status)
    guard let id = head.values(of: Self.requestIDField).first, Self.isEchoed(id) else {
      return answer
    }
    var answer = answer
    answer.fields.append(.init(Self.requestIDField, id))
    return answer
  }

  /// What an event loop does once a second, when there is something to do.
  private func sweep() {
    let now = gate.plane.now
    guard !(0..<1_000_000_000).contains(now.nanoseconds &- swept.nanoseconds) else { return }
    swept = now
    judge?.sweep(at: now)
  }

  // MARK: Fields

  private static let requestIDField = RequestID.metadataName
  /// Bytes of a request's id.
  private static let maximumRequestIDBytes = 256

  private static func isEchoed(_ id: String) -> Bool {
    id.utf8.count <= maximumRequestIDBytes && id.utf8.allSatisfy { (0x20...0x7E).contains($0) }
  }

  private static func checkRequestID(_ head: AuthZENHead) throws(TenancyError) {
    let values = head.values(of: requestIDField)
    guard values.count <= 1, values.allSatisfy(isEchoed) else {
      throw .invalid(
        requestIDField,
        "must be there once, with at most \(maximumRequestIDBytes) printable characters of ASCII")
    }
  }

  /// For the audit trail.
  private static func requestID(_ head: AuthZENHead) -> String {
    head.values(of: requestIDField).first.flatMap { Denials.isRequestID($0) ? $0 : nil } ?? ""
  }

  private static func checkContentType(_ head: AuthZENHead) throws(TenancyError) {
    let values = head.values(of: "content-type")
    let parts = values.first?.split(separator: ";", omittingEmptySubsequences: false)
      .map { $0.trimmingSpaces.lowercased() }
    guard values.count == 1, let parts, parts.first == "application/json",
      parts.dropFirst().allSatisfy({ $0 == "charset=utf-8" || $0 == "charset=\"utf-8\"" }),
      head.values(of: "content-encoding").isEmpty
    else {
      throw .invalid("content-type", "must be application/json, in UTF-8 and not compressed")
    }
  }

  // MARK: Errors

  private static let tooLarge = TenancyError(
    .resourceExhausted, .limitReached, "the body is larger than it may be")
  private static let tooMuch = TenancyError.invalid(
    "evaluations",
    "the subjects hold too many roles between them: one request looks at "
      + "\(CheckService.maximumVisits) at most")
  private static let noSuchPage = TenancyError(
    .unimplemented, .notImplemented, "there is no such page")

  private static func wrongMethod(allowed: String) -> AuthZENAnswer {
    var answer = AuthZENAnswer(
      .invalid("method", "must be \(allowed)"), status: 405)
    answer.fields.append(.init("allow", allowed))
    return answer
  }
}

extension AuthZENRoute {
  fileprivate var rule: MethodRule { MethodRule.of(endpoint.method) }
}

extension Caller {
  /// The name of its own tenant, by which it is called; nil for platform identities.
  fileprivate var ownTenant: String? {
    switch kind {
    case .platform: nil
    case .tenant(let name): name
    }
  }
}

extension Substring {
  fileprivate var trimmingSpaces: Substring {
    var text = drop { $0 == " " || $0 == "\t" }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
  }
}
