import Tenancy
import TenancyTokens

/// The body of a request of AuthZEN, read.
enum AuthZENRequest: Sendable {
  /// When the rest of the evaluations is left out.
  enum Semantic: String, CaseIterable, Sendable {
    case executeAll = "execute_all"
    case denyOnFirstDeny = "deny_on_first_deny"
    case permitOnFirstPermit = "permit_on_first_permit"

    /// Whether a decision is the last one.
    func ends(with decision: Bool) -> Bool {
      switch self {
      case .executeAll: false
      case .denyOnFirstDeny: !decision
      case .permitOnFirstPermit: decision
      }
    }
  }

  case one(AuthZENQuestion)
  /// What is wrong with one of them is no matter of the others.
  case several([Result<AuthZENQuestion, TenancyError>], Semantic)

  /// Bytes of a body, for one evaluation.
  static let maximumBytes = 256 * 1024
  /// Bytes of a body, for several.
  static let maximumBatchBytes = 1024 * 1024
  /// Objects and lists within one another.
  static let maximumDepth = 16
  /// Values of a body, of all depths together.
  static let maximumValues = 50_000

  /// - Throws: INVALID_ARGUMENT, with the field that is not as it has to be.
  init(_ body: [UInt8], isBatch: Bool) throws(TenancyError) {
    let root = AuthZENObject(try Self.members(body, isBatch: isBatch))
    let parts = Parts(root)
    guard isBatch, let list = root["evaluations"] else {
      self = .one(try parts.question(at: ""))
      return
    }
    guard case .list(let items) = list else { throw .invalid("evaluations", "must be a list") }
    // An empty one is as good as none.
    guard !items.isEmpty else {
      self = .one(try parts.question(at: ""))
      return
    }
    guard items.count <= CheckService.maximumBatch else {
      throw .invalid("evaluations", "must have at most \(CheckService.maximumBatch) elements")
    }
    try parts.checkDefaults()
    let semantic = try Self.semantic(of: root)
    self = .several(
      items.enumerated().map { index, item in
        Result { () throws(TenancyError) in
          let place = "evaluations[\(index)]"
          return try parts.overridden(by: AuthZENObject(item, at: place)).question(at: place)
        }
      }, semantic)
  }

  static func members(
    _ body: [UInt8], isBatch: Bool
  ) throws(TenancyError) -> [TokenJSON.Member] {
    var limits = TokenJSONReader.Limits(bytes: isBatch ? maximumBatchBytes : maximumBytes)
    limits.depth = maximumDepth
    limits.values = maximumValues
    do throws(TokenJSONError) {
      return try TokenJSONReader.object(body, limits)
    } catch {
      throw .invalid("body", description(of: error, limits))
    }
  }

  private static func description(
    of error: TokenJSONError, _ limits: TokenJSONReader.Limits
  ) -> String {
    switch error {
    case .malformed: "must be one JSON object (RFC 8259)"
    case .text: "has a text that is not UTF-8, or has a NUL or half of a surrogate pair in it"
    case .duplicate: "has two members of the same name in an object"
    case .limit:
      "must have at most \(limits.bytes) bytes, \(limits.depth) levels, \(limits.values) values, and "
        + "\(limits.numberBytes) bytes in a number"
    }
  }

  private static func semantic(of root: AuthZENObject) throws(TenancyError) -> Semantic {
    guard let value = root["options"] else { return .executeAll }
    let options = try AuthZENObject(value, at: "options")
    guard options["evaluations_semantic"] != nil else { return .executeAll }
    guard let semantic = Semantic(rawValue: try options.text("evaluations_semantic")) else {
      throw .invalid(
        options.field("evaluations_semantic"),
        "must be " + Semantic.allCases.map(\.rawValue).joined(separator: ", "))
    }
    return semantic
  }
}

/// What an evaluation is made of, each part as it was found or what was wrong with it. Those of the request are what its
/// evaluations have in common, and read once.
private struct Parts {
  private typealias Question = AuthZENQuestion
  private typealias Part<Value> = Result<Value, TenancyError>

  /// Nil: it is not there.
  private var subject: Part<Question.Subject>?
  private var action: Part<Question.Action>?
  private var resource: Part<Question.Resource>?
  private var context: Part<AuthZENAttributes>?

  init(_ object: AuthZENObject) {
    subject = Self.part("subject", of: object) { value, place throws(TenancyError) in
      try Question.Subject(value, at: place)
    }
    action = Self.part("action", of: object) { value, place throws(TenancyError) in
      try Question.Action(value, at: place)
    }
    resource = Self.part("resource", of: object) { value, place throws(TenancyError) in
      try Question.Resource(value, at: place)
    }
    context = Self.part("context", of: object) { value, place throws(TenancyError) in
      try AuthZENAttributes(AuthZENObject(value, at: place).members, at: place)
    }
  }

  private static func part<Value>(
    _ name: String, of object: AuthZENObject,
    _ read: (TokenJSON, String) throws(TenancyError) -> Value
  ) -> Part<Value>? {
    object[name].map { value in
      Part { () throws(TenancyError) in try read(value, object.field(name)) }
    }
  }

  /// - Throws: what is wrong with any of them, whether an evaluation needs it or not.
  func checkDefaults() throws(TenancyError) {
    _ = try subject?.get()
    _ = try action?.get()
    _ = try resource?.get()
    _ = try context?.get()
  }

  /// Each part that an evaluation has is its own as a whole.
  func overridden(by object: AuthZENObject) -> Parts {
    var parts = Parts(object)
    parts.subject = parts.subject ?? subject
    parts.action = parts.action ?? action
    parts.resource = parts.resource ?? resource
    parts.context = parts.context ?? context
    return parts
  }

  func question(at place: String) throws(TenancyError) -> AuthZENQuestion {
    func required<Value>(_ part: Part<Value>?, _ name: String) throws(TenancyError) -> Value {
      guard let part else {
        throw .invalid(place.isEmpty ? name : "\(place).\(name)", "is required")
      }
      return try part.get()
    }
    return AuthZENQuestion(
      try required(subject, "subject"), try required(action, "action"),
      try required(resource, "resource"), try context?.get())
  }
}
