import TenancyRPC
import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyRPCCore
@testable import TenancyServer

/// How AuthZEN's requests are read, and decided.
struct AuthZENTests {
  private static let basic = """
    "subject": {"type": "user", "id": "ann", "properties": {"role": "admin"}},
    "action": {"name": "read", "properties": {"soft": true}},
    "resource": {"type": "docs", "id": "1", "properties": {"n": 1.5}}, "context": {"ip": null}
    """

  private func read(_ json: String, isBatch: Bool = false) throws(TenancyError) -> AuthZENRequest {
    try AuthZENRequest(Array(json.utf8), isBatch: isBatch)
  }

  private func questions(_ json: String) throws -> [AuthZENQuestion?] {
    switch try read(json, isBatch: true) {
    case .one(let question): [question]
    case .several(let questions, _): questions.map { try? $0.get() }
    }
  }

  private func field(_ json: String, isBatch: Bool = true) -> String? {
    do throws(TenancyError) {
      _ = try read(json, isBatch: isBatch)
      return nil
    } catch {
      return error.violations.first?.field
    }
  }

  // MARK: Paths

  @Test func paths() {
    typealias Route = AuthZENRoute
    #expect(Route("/access/v1/evaluation")?.endpoint == .evaluation)
    #expect(Route("/access/v1/evaluation")?.tenant == nil)
    let named = Route("/tenants/acme/access/v1/evaluations")
    #expect(named?.endpoint == .evaluations && named?.tenant == "acme")
    let metadata = Route("/.well-known/authzen-configuration/tenants/acme")
    #expect(metadata?.endpoint == .metadata && metadata?.tenant == "acme")
    #expect(Route("/access/v1/search/action")?.endpoint == .actionSearch)
    for path in [
      "", "/", "access/v1/evaluation", "/access/v1/evaluation/", "//access/v1/evaluation",
      "/tenants/", "/tenants/acme", "/tenants//access/v1/evaluation", "/tenants/acme/jwks.json",
      "/tenants/a%62/access/v1/evaluation", "/tenants/é/access/v1/evaluation",
      "/tenants/acme/.well-known/authzen-configuration", "/tenants/a/access/v1/evaluation/x",
      "/.well-known/authzen-configuration/", "/.well-known/authzen-configuration/tenants/",
      "/tenants/\(String(repeating: "a", count: 64))/access/v1/evaluation",
    ] {
      #expect(Route(path) == nil, "\(path)")
    }
  }

  // MARK: Mapping

  @Test func anEvaluationIsAQuestion() throws {
    guard case .one(let question) = try read("{\(Self.basic)}") else {
      Issue.record("several")
      return
    }
    #expect(question.subject == "user:ann")
    #expect(question.permission == "docs:read")
    #expect(question.resource == "1")
    #expect(question.subjectAttributes?.object == ["role": .string("admin")])
    #expect(question.actionAttributes?.object == ["soft": .bool(true)])
    #expect(question.resourceAttributes?.object == ["n": .number(1.5)])
    #expect(question.context?.object == ["ip": .null])
  }

  @Test func partsAreOverriddenAsAWhole() throws {
    let found = try questions(
      """
      {\(Self.basic), "evaluations": [
        {}, {"subject": {"type": "user", "id": "bob"}}, {"context": {}},
        {"resource": {"type": "docs", "id": "2"}, "action": {"name": "write"}}, {"action": {}}]}
      """)
    #expect(found.map { $0?.subject } == ["user:ann", "user:bob", "user:ann", "user:ann", nil])
    #expect(
      found.map { $0?.permission } == ["docs:read", "docs:read", "docs:read", "docs:write", nil])
    #expect(found.map { $0?.resource } == ["1", "1", "1", "2", nil])
    #expect(
      found[1]?.subjectAttributes == nil
        && found[1]?.actionAttributes?.object == ["soft": .bool(true)])
    #expect(found[2]?.context?.object == [:] && found[0]?.context?.object == ["ip": .null])
    #expect(found[3]?.resourceAttributes == nil)
  }

  @Test func errorsNameTheirField() {
    #expect(field("{}") == "subject")
    #expect(field("{\"evaluations\": 1}") == "evaluations")
    #expect(
      field("{\"evaluations\": [{}], \"options\": {\"evaluations_semantic\": \"x\"}}")
        == "options.evaluations_semantic")
    #expect(field("{\"evaluations\": [{}], \"subject\": 1}") == "subject")
    #expect(field("{\(Self.basic), \"evaluations\": []}") == nil)
    // Where there is but one, `evaluations` is a field like any other that is not known.
    #expect(field("{\(Self.basic), \"evaluations\": 1}", isBatch: false) == nil)
    let several = "[" + Array(repeating: "{}", count: 1001).joined(separator: ",") + "]"
    #expect(field("{\(Self.basic), \"evaluations\": \(several)}") == "evaluations")
  }

  /// A colon in a type would make two entities one subject.
  @Test(arguments: ["user:x", "", "us er", "us/er", "é", "user\n"])
  func typesOfSubjects(_ type: String) {
    let value = JSONValue.string(type).text()
    let json = """
      {"subject": {"type": \(value), "id": "ann"}, "action": {"name": "read"},
       "resource": {"type": "docs", "id": "1"}}
      """
    #expect(field(json) == "subject.type")
  }

  // MARK: Decisions

  private static let acme = Sample.tenant(1, "acme")
  private static let subjects = ["user:ann", "user:bob", "service:x", "user:eve"]
  private static let permissions = [
    "docs:read", "docs:write", "bills:pay", "bills:read", "tenancy.roles:get",
  ]

  private func plane(_ random: inout SeededGenerator) throws -> ControlPlane {
    var changes: [Change] = []
    for number in 0..<6 {
      let granted = ["docs:*", "*:read", "*:*"] + Self.permissions
      let role = Role(
        id: "role-\(number)", title: "", summary: "",
        permissions: [granted[Int.random(in: 0..<granted.count, using: &random)]], version: 1,
        createTime: Sample.moment, updateTime: Sample.moment)
      changes.append(.putRole(Self.acme.id, role))
      guard let subject = Self.subjects.dropLast().randomElement(using: &random) else { continue }
      let assignment = RoleAssignment(
        id: "\(number)", subject: subject, role: role.id, createTime: Sample.moment,
        expireTime: Bool.random(using: &random) ? nil : Sample.moment + Days(Int64(number % 2)))
      changes.append(.putAssignment(Self.acme.id, assignment))
    }
    return try Sample.plane([Self.acme], changes)
  }

  /// What `BatchCheck` answers.
  private func checks(
    _ plane: ControlPlane, _ asked: [(subject: String, permission: String)]
  ) throws -> [V1.CheckResponse] {
    let record = plane.state.find("acme")
    let access = Access(
      caller: Sample.workload, home: record, target: record, now: Sample.moment,
      snapshot: plane.snapshot)
    let arena = Arena()
    let request = V1.BatchCheckRequest(
      tenant: "acme",
      items: asked.map { V1.BatchCheckItem(subject: $0.subject, permission: $0.permission) }
    ).write(into: arena)
    var budget = WorkBudget(visits: CheckService.maximumVisits)
    var response = MessageBuilder<V1.BatchCheckResponse>(in: arena)
    let view = MessageView<V1.BatchCheckRequest>(request, in: arena)
    try CheckService().batch(access, view.items, RequestAttributes(), &budget, &response)
    let encoded = [UInt8](response.finish().bytes)
    return try encoded.withUnsafeBytes {
      try V1.BatchCheckResponse(decoding: $0, arena: Arena()).results
    }
  }

  @Test(arguments: 0..<20)
  func decisionsAreThoseOfChecks(_ seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    let plane = try plane(&random)
    let asked = Self.subjects.flatMap { subject in
      Self.permissions.map { (subject: subject, permission: $0) }
    }
    let items = asked.map { subject, permission in
      let (kind, action) = (subject.split(separator: ":"), permission.split(separator: ":"))
      return """
        {"subject": {"type": "\(kind[0])", "id": "\(kind[1])"}, "action": {"name": "\(action[1])"},
         "resource": {"type": "\(action[0])", "id": "1"}}
        """
    }
    let checks = try checks(plane, asked)
    let point = AuthZENPoint(plane: plane, .init(rules: IdentityRules(trustDomains: ["d"])))
    let text = try await answer(
      point, "/access/v1/evaluations",
      "{\"evaluations\": [\(items.joined(separator: ","))]}"
    ).body
    var expected = "{\"evaluations\":["
    for (index, check) in checks.enumerated() {
      if index > 0 { expected += "," }
      AuthZENDecision(
        isAllowed: check.allowed, reason: check.allowed ? .role : .noGrant,
        role: check.allowed ? check.role : nil, revision: plane.state.revision
      ).write(to: &expected)
    }
    #expect(text == expected + "]}")
  }

  private func answer(
    _ point: AuthZENPoint, _ path: String, _ body: String, by caller: Caller = Sample.workload
  ) async throws -> AuthZENAnswer {
    let head = AuthZENHead(
      method: "POST", path: path,
      fields: [("Content-Type", "application/json"), ("content-length", "\(body.utf8.count)")])
    switch await point.begin(head, from: AuthZENPoint.Client(caller: caller)) {
    case .answer(let answer): return answer
    case .body(let turn): return await point.answer(turn, Array(body.utf8))
    }
  }

  @Test func whoMayNotAskIsToldNothing() async throws {
    let plane = try Sample.plane([Self.acme, Sample.tenant(2, "asleep", state: .suspended)])
    let rules = IdentityRules(trustDomains: ["d"])
    let point = AuthZENPoint(plane: plane, .init(rules: rules))
    let path = "/tenants/acme/access/v1/evaluation"
    func status(_ caller: Caller, _ path: String) async throws -> Int {
      let answer = try await answer(point, path, "{\(Self.basic)}", by: caller)
      #expect(answer.status == 200 || !answer.body.contains("decision"))
      #expect(!answer.body.contains("true"))
      return answer.status
    }
    func caller(_ kind: Caller.Kind) -> Caller {
      Caller(kind, subject: "x", source: .certificate, certificate: nil, rules: rules)
    }
    #expect(try await status(Caller(bearerFrom: "::1", connection: { "" }), path) == 401)
    let revoked = Caller(
      .tenant(name: "acme"), subject: "x", source: .certificate, certificate: nil, rules: rules,
      refusal: { "it is revoked" })
    #expect(try await status(revoked, path) == 401)
    #expect(try await status(caller(.platform(roles: [])), path) == 403)
    #expect(try await status(caller(.tenant(name: "asleep")), path) == 403)
    #expect(try await status(caller(.tenant(name: "asleep")), "/access/v1/evaluation") == 403)
    #expect(try await status(caller(.tenant(name: "nobody")), "/access/v1/evaluation") == 403)
    #expect(try await status(Sample.operator, "/access/v1/evaluation") == 400)
    #expect(try await status(Sample.operator, path) == 200)
    #expect(try await status(Sample.operator, "/tenants/nobody/access/v1/evaluation") == 404)
    #expect(try await status(Sample.operator, "/tenants/asleep/access/v1/evaluation") == 200)
    #expect(point.tally.count(ofDecision: true) == 0)
    #expect(point.tally.count(ofDecision: false) == 2)
  }

  // MARK: Limits

  @Test func sharesAreGivenBack() throws {
    let shares = AuthZENShares()
    let limits = AuthZENShares.Limits(requests: 2, bytes: 10)
    var held = [try shares.take(4, of: 1, limits), try shares.take(6, of: 1, limits)]
    #expect(throws: TenancyError.self) { _ = try shares.take(0, of: 1, limits) }
    held.removeLast()
    #expect(throws: TenancyError.self) { _ = try shares.take(7, of: 1, limits) }
    held.append(try shares.take(6, of: 1, limits))
    #expect(throws: Never.self) { _ = try shares.take(10, of: 2, limits) }
    held.removeAll()
    #expect(shares.accountCount == 0)
    let all = AuthZENShares.Limits(requests: 1, bytes: .max)
    held = [try shares.take(AuthZENShares.maximumBytes, of: 1, all)]
    #expect(throws: TenancyError.self) { _ = try shares.take(1, of: 2, all) }
  }

  @Test func whatComesByNoLoopIsCounted() async {
    let counters = TenantCallCounters()
    counters.note(CallTag(Self.acme.id), .ok)
    counters.note(CallTag(Self.acme.id), .permissionDenied)
    let usage = await counters.usage(of: Self.acme.id)
    #expect(usage.counts.ok == 1 && usage.counts.denied == 1)
    #expect(await counters.summary().usage(of: Self.acme.id)?.counts.all == 2)
  }
}
