import Tenancy
import TenancyWire

/// What a policy has answered, and to what.
final class RecordedDecision: Sendable {
  /// By which way it was asked.
  enum Source: Sendable { case check, batchCheck, authZEN }

  /// What was answered.
  struct Answer: Sendable, Equatable {
    /// `tenantInactive`: its policy was not asked.
    enum Reason: Sendable, Equatable { case role, noGrant, denied, tenantInactive }

    let reason: Reason
    /// The one that allows or denies it; empty where none does.
    let role: String

    var isAllowed: Bool { reason == .role }

    /// - Parameter decision: nil: the tenant is not active.
    init(_ decision: Decision?, _ policy: TenantPolicy) {
      switch decision {
      case .allowed(let number): (reason, role) = (.role, policy.roleID(number: number))
      case .denied(let number): (reason, role) = (.denied, policy.roleID(number: number))
      case .notAllowed: (reason, role) = (.noGrant, "")
      case nil: (reason, role) = (.tenantInactive, "")
      }
    }
  }

  let sequence: UInt64
  let time: Timestamp
  /// Of the state that answered.
  let revision: UInt64
  let subject, permission, resource: String
  let answer: Answer
  let source: Source
  let attributes: KeptAttributes

  init(
    sequence: UInt64, time: Timestamp, revision: UInt64, _ asked: AskedQuestion,
    _ answer: Answer, _ source: Source
  ) {
    self.sequence = sequence
    self.time = time
    self.revision = revision
    subject = asked.subject
    permission = asked.permission
    resource = asked.resource
    attributes = asked.attributes
    self.answer = answer
    self.source = source
  }

  /// What it takes in memory, about.
  var bytes: Int {
    Self.overhead + subject.utf8.count + permission.utf8.count + resource.utf8.count
      + attributes.bytes
  }

  /// The object itself, its texts and its place.
  private static let overhead = 288
}

/// What a policy was asked, as it is kept.
struct AskedQuestion: Sendable {
  let subject, permission, resource: String
  let attributes: KeptAttributes
}

/// What was told for conditions, without what is redacted or too large.
struct KeptAttributes: Sendable {
  /// As they are encoded; nil: none were told.
  private(set) var subject, resource, context: [UInt8]?
  /// Which were left out by the configuration.
  private(set) var redacted: [String] = []
  /// Whether they were too large.
  private(set) var areOmitted = false

  init(_ told: RequestAttributes, redacting paths: [AttributePath]) {
    let maps = [told.subject, told.resource, told.context]
    let limit = DecisionTerms.maximumAttributeBytes
    guard maps.allSatisfy({ ($0?.weight ?? 0) <= limit }) else {
      areOmitted = true
      return
    }
    subject = keep(told.subject, .subject, paths)
    resource = keep(told.resource, .resource, paths)
    context = keep(told.context, .context, paths)
    // Weights are of each of them or of all, as they were told.
    if [subject, resource, context].reduce(0, { $0 + ($1?.count ?? 0) }) > limit {
      (subject, resource, context, redacted) = (nil, nil, nil, [])
      areOmitted = true
    }
  }

  private mutating func keep(
    _ map: AttributeMap?, _ part: AttributePath.Part, _ paths: [AttributePath]
  ) -> [UInt8]? {
    guard let map else { return nil }
    var object = map.content
    for path in paths where path.part == part && path.redact(&object) { redacted.append(path.text) }
    return StructCodec.encode(object)
  }

  /// Whether a question with these is the one that was answered.
  var areExact: Bool { redacted.isEmpty && !areOmitted }

  var bytes: Int {
    [subject, resource, context].reduce(0) { $0 + ($1.map { $0.count + 32 } ?? 0) }
      + redacted.count * 16
  }

  /// For a question; each time anew, as values are made of them when a condition asks for them.
  var told: RequestAttributes {
    func map(_ bytes: [UInt8]?) -> AttributeMap? {
      Self.object(bytes).map { AttributeMap($0, weight: bytes?.count ?? 0) }
    }
    return RequestAttributes(
      subject: map(subject), resource: map(resource), context: map(context))
  }

  /// For an answer.
  var message: V1.CheckAttributes? {
    guard subject != nil || resource != nil || context != nil else { return nil }
    return V1.CheckAttributes(
      subject: Self.object(subject), resource: Self.object(resource),
      context: Self.object(context))
  }

  private static func object(_ bytes: [UInt8]?) -> [String: JSONValue]? {
    bytes.flatMap { bytes in
      // Our own encoding: what was decoded before can be again.
      unsafe bytes.withUnsafeBytes { try? unsafe StructCodec.decode($0, field: "attributes") }
    }
  }
}
