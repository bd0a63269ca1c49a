import Tenancy
import TenancyCrypto
import TenancyTokens

/// A search of AuthZEN 1.0, read: a question that leaves open whom, what or which action it is about.
struct AuthZENSearch {
  enum Kind: String, Sendable {
    case subject, resource, action
  }

  let kind: Kind
  /// Whom it is about; empty in a search for subjects.
  let subject: String
  let subjectType: String
  let resourceType: String
  /// Empty in a search for resources.
  let resource: String
  /// Empty in a search for actions.
  let action: String
  let limit: Int32
  let token: String
  private let subjectAttributes, actionAttributes, resourceAttributes, context: AuthZENAttributes?

  /// - Throws: INVALID_ARGUMENT, with the field that is not as it has to be.
  init(_ body: [UInt8], for kind: Kind) throws(TenancyError) {
    let root = AuthZENObject(try AuthZENRequest.members(body, isBatch: false))
    func part(_ name: String) throws(TenancyError) -> TokenJSON {
      guard let value = root[name] else { throw .invalid(name, "is required") }
      return value
    }
    self.kind = kind
    if kind == .subject {
      // An id of what is searched for is passed over, as it is to be.
      let object = try AuthZENObject(part("subject"), at: "subject")
      (subject, subjectType) = ("", try object.text("type"))
      guard AuthZENQuestion.isType(subjectType) else {
        throw AuthZENQuestion.Subject.notAType(object.field("type"))
      }
      subjectAttributes = try object.attributes("properties")
    } else {
      let found = try AuthZENQuestion.Subject(part("subject"), at: "subject")
      (subject, subjectType, subjectAttributes) = (found.text, "", found.attributes)
    }
    if kind == .action {
      (action, actionAttributes) = ("", nil)
    } else {
      let found = try AuthZENQuestion.Action(part("action"), at: "action")
      (action, actionAttributes) = (found.name, found.attributes)
    }
    if kind == .resource {
      let object = try AuthZENObject(part("resource"), at: "resource")
      (resource, resourceType) = ("", try object.text("type"))
      guard AuthZENQuestion.isName(resourceType) else {
        throw AuthZENQuestion.notAName(object.field("type"))
      }
      resourceAttributes = try object.attributes("properties")
    } else {
      let found = try AuthZENQuestion.Resource(part("resource"), at: "resource")
      guard ResourceScope.isPath(found.id.utf8Span.span.bytes) else {
        throw AuthZENDecision.notAPath
      }
      (resource, resourceType, resourceAttributes) = (found.id, found.type, found.attributes)
    }
    context = try root["context"].map { value throws(TenancyError) in
      try AuthZENAttributes(AuthZENObject(value, at: "context").members, at: "context")
    }
    (limit, token) = try Self.page(of: root)
  }

  private static func page(
    of root: AuthZENObject
  ) throws(TenancyError) -> (limit: Int32, token: String) {
    guard let value = root["page"] else { return (0, "") }
    let page = try AuthZENObject(value, at: "page")
    var (limit, token): (Int32, String) = (0, "")
    if let value = page["limit"] {
      guard case .number(let digits) = value, let number = Int32(digits), number >= 0 else {
        throw .invalid("page.limit", "must be an integer that is not negative")
      }
      limit = number
    }
    if let value = page["token"] {
      guard case .text(let text) = value else { throw .invalid("page.token", "must be a text") }
      token = text.text
    }
    return (limit, token)
  }

  private var attributes: RequestAttributes {
    RequestAttributes(
      subject: subjectAttributes?.map, resource: resourceAttributes?.map,
      context: AuthZENQuestion.context(context, with: actionAttributes)?.map)
  }

  // MARK: Answers

  /// One page, as JSON.
  /// - Throws: INVALID_ARGUMENT where the token is that of another search, or the subject holds too much.
  func answer(_ access: Access) throws(TenancyError) -> String {
    let page = try page(access)
    var context: [String: JSONValue] = [
      "revision": .number(Double(access.snapshot.state.revision))
    ]
    guard let record = try PolicyListService.target(access) else {
      context["reason"] = .string(AuthZENDecision.Reason.tenantInactive.rawValue)
      return Self.text([], next: "", context)
    }
    var budget = WorkBudget()
    let (start, found): (String, (results: [JSONValue], next: String?))
    start = page.after ?? ""
    switch kind {
    case .subject: found = try subjects(record, access.now, start, page.size, &budget)
    case .action: found = try actions(record, access.now, start, page.size, &budget)
    case .resource:
      found = try resources(record, access.now, start, page.size, &context, &budget)
    }
    return Self.text(found.results, next: found.next.map(page.token) ?? "", context)
  }

  private func page(_ access: Access) throws(TenancyError) -> Page {
    let told = [subjectAttributes, actionAttributes, resourceAttributes, context].map {
      $0.map { JSONValue.object($0.object).text() } ?? ""
    }
    let question =
      [
        "search", kind.rawValue, try access.requireTarget().idText, subject, subjectType,
        resourceType, resource, action, String(limit),
      ] + told
    do throws(TenancyError) {
      return try Page(size: limit, token: token, question: question.joined(separator: "\n"))
    } catch { throw Self.badToken }
  }

  private static let badToken = TenancyError.invalid(
    "page.token", "not one that was given out for the same search")

  private func subjects(
    _ record: TenantRecord, _ now: Timestamp, _ start: String, _ size: Int,
    _ budget: inout WorkBudget
  ) throws(TenancyError) -> (results: [JSONValue], next: String?) {
    guard let permission = Permission(parsing: "\(resourceType):\(action)"),
      let page = record.subjects(
        with: permission, on: resource, attributes, at: now, after: start, size: size, &budget,
        where: { id(of: $0) != nil })
    else { throw Self.badToken }
    let results = page.elements.compactMap { found in
      id(of: found.subject).map {
        JSONValue.object(["type": .string(subjectType), "id": .string($0)])
      }
    }
    return (results, page.next)
  }

  /// What a subject is called among those of the type; nil: it is none of them.
  private func id(of subject: String) -> String? {
    if subjectType == AuthZENQuestion.Subject.wholeType { return subject }
    if AuthZENQuestion.Subject.workloadTypes.contains(subjectType) {
      return SPIFFEID(parsing: subject) == nil ? nil : subject
    }
    let prefix = subjectType + ":"
    guard subject.utf8.starts(with: prefix.utf8), subject.utf8.count > prefix.utf8.count else {
      return nil
    }
    return String(decoding: subject.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
  }

  private func actions(
    _ record: TenantRecord, _ now: Timestamp, _ start: String, _ size: Int,
    _ budget: inout WorkBudget
  ) throws(TenancyError) -> (results: [JSONValue], next: String?) {
    guard
      let page = record.actions(
        of: subject, onType: resourceType, resource, attributes, at: now, after: start, size: size,
        &budget)
    else { throw PolicyListService.tooMuch }
    return (page.elements.map { .object(["name": .string($0)]) }, page.next)
  }

  /// Those that assignments name are results; whatever is of several is in the context.
  private func resources(
    _ record: TenantRecord, _ now: Timestamp, _ start: String, _ size: Int,
    _ context: inout [String: JSONValue], _ budget: inout WorkBudget
  ) throws(TenancyError) -> (results: [JSONValue], next: String?) {
    guard let permission = Permission(parsing: "\(resourceType):\(action)"),
      let page = record.resources(
        of: subject, permission, attributes, at: now, after: start, size: size, &budget)
    else { throw PolicyListService.tooMuch }
    var (results, patterns) = ([JSONValue](), [JSONValue]())
    for listed in page.elements {
      if let id = listed.id {
        results.append(.object(["type": .string(resourceType), "id": .string(id)]))
      } else {
        patterns.append(Self.pattern(listed))
      }
    }
    if !patterns.isEmpty { context["patterns"] = .array(patterns) }
    return (results, page.next)
  }

  private static func pattern(_ listed: ListedResource) -> JSONValue {
    func told(_ scope: ResourceScope, _ isConditional: Bool) -> [String: JSONValue] {
      isConditional
        ? ["resource": .string(scope.text), "conditional": .bool(true)]
        : ["resource": .string(scope.text)]
    }
    var pattern = told(listed.resource, listed.isConditional)
    if !listed.exclusions.isEmpty {
      pattern["exclusions"] = .array(
        listed.exclusions.map { .object(told($0.resource, $0.isConditional)) })
    }
    return .object(pattern)
  }

  /// What tells of the page comes first.
  private static func text(
    _ results: [JSONValue], next: String, _ context: [String: JSONValue]
  ) -> String {
    let page = JSONValue.object([
      "count": .number(Double(results.count)), "next_token": .string(next),
    ])
    return "{\"page\":\(page.text()),\"context\":\(JSONValue.object(context).text()),"
      + "\"results\":\(JSONValue.array(results).text())}"
  }
}
