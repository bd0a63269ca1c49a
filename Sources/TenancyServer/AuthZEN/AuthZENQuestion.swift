import Tenancy
import TenancyCrypto
import TenancyTokens

/// One access evaluation, as the engine is asked it.
struct AuthZENQuestion: Sendable, Equatable {
  /// As assignments name it.
  let subject: String
  /// `resource:action`, without wildcards.
  let permission: String
  /// The instance of the permission's resource that it is about.
  let resource: String
  /// Nil where they are not sent: to conditions they are not there.
  let subjectAttributes, actionAttributes, resourceAttributes, context: AuthZENAttributes?

  init(
    _ subject: Subject, _ action: Action, _ resource: Resource, _ context: AuthZENAttributes?
  ) {
    self.subject = subject.text
    permission = "\(resource.type):\(action.name)"
    self.resource = resource.id
    subjectAttributes = subject.attributes
    actionAttributes = action.attributes
    resourceAttributes = resource.attributes
    self.context = context
  }

  /// As conditions see them: of the action, which is a text to them, as `context.action`.
  var attributes: RequestAttributes {
    RequestAttributes(
      subject: subjectAttributes?.map, resource: resourceAttributes?.map,
      context: Self.context(context, with: actionAttributes)?.map)
  }

  static func context(
    _ context: AuthZENAttributes?, with action: AuthZENAttributes?
  ) -> AuthZENAttributes? {
    guard let action, !action.object.isEmpty else { return context }
    var all = context?.object ?? [:]
    guard all["action"] == nil else { return context }
    all["action"] = .object(action.object)
    return AuthZENAttributes(all, weight: action.map.weight + (context?.map.weight ?? 0))
  }

  // MARK: Entities

  /// Who wants to do something.
  struct Subject: Sendable, Equatable {
    /// Types whose ids are whole subjects: they are SPIFFE IDs.
    static let workloadTypes = ["spiffe", "workload"]
    /// The type whose ids are subjects as assignments and tokens have them.
    static let wholeType = "subject"

    let text: String
    let attributes: AuthZENAttributes?

    static func notAType(_ field: String) -> TenancyError {
      .invalid(field, "must be 1 to 64 of the characters a-z, A-Z, 0-9, _, - and .")
    }

    /// `{type}:{id}`. In no type there is a colon, so that no two of them are one subject.
    init(_ value: TokenJSON, at place: String) throws(TenancyError) {
      let object = try AuthZENObject(value, at: place)
      let (type, id) = (try object.text("type"), try object.text("id"))
      guard AuthZENQuestion.isType(type) else { throw Self.notAType(object.field("type")) }
      let isWhole = Self.workloadTypes.contains(type)
      guard !isWhole || SPIFFEID(parsing: id) != nil else {
        throw .invalid(object.field("id"), "must be a SPIFFE ID, as \(type) is the type")
      }
      text = isWhole || type == Self.wholeType ? id : "\(type):\(id)"
      guard text.utf8.count <= RoleCommands.maximumSubjectBytes else {
        throw .invalid(
          object.field("id"),
          "type and id must have at most \(RoleCommands.maximumSubjectBytes) bytes together")
      }
      attributes = try object.attributes("properties")
    }
  }

  /// What it wants to do.
  struct Action: Sendable, Equatable {
    let name: String
    let attributes: AuthZENAttributes?

    init(_ value: TokenJSON, at place: String) throws(TenancyError) {
      let object = try AuthZENObject(value, at: place)
      name = try object.text("name")
      guard AuthZENQuestion.isName(name) else {
        throw AuthZENQuestion.notAName(object.field("name"))
      }
      attributes = try object.attributes("properties")
    }
  }

  /// To what.
  struct Resource: Sendable, Equatable {
    /// Bytes of an id.
    static let maximumIDBytes = ResourceScope.maximumBytes

    let type: String
    let id: String
    let attributes: AuthZENAttributes?

    init(_ value: TokenJSON, at place: String) throws(TenancyError) {
      let object = try AuthZENObject(value, at: place)
      (type, id) = (try object.text("type"), try object.text("id"))
      guard AuthZENQuestion.isName(type) else {
        throw AuthZENQuestion.notAName(object.field("type"))
      }
      guard id.utf8.count <= Self.maximumIDBytes else {
        throw .invalid(object.field("id"), "must have at most \(Self.maximumIDBytes) bytes")
      }
      attributes = try object.attributes("properties")
    }
  }

  // MARK: Names

  static func notAName(_ field: String) -> TenancyError {
    .invalid(
      field,
      "must be 1 to \(Permission.maximumPartLength) of the characters a-z, 0-9, _, - and .")
  }

  /// Whether it can be a part of a permission.
  static func isName(_ text: String) -> Bool {
    isType(text) && text.utf8.allSatisfy { !(0x41...0x5A).contains($0) }
  }

  static func isType(_ text: String) -> Bool {
    (1...Permission.maximumPartLength).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0)
          || [UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: ".")].contains($0)
      }
  }
}
