import Synchronization
import TenancyConditions

/// What conditions of assignments may read, and how large they may be.
public enum PolicyConditions {
  /// Of a condition's text.
  public static let maximumBytes = 2_048
  /// Subjects hold at most so many roles under conditions.
  static let maximumPerSubject = 64
  /// Texts of conditions that one tenant has at most. Each is compiled once.
  static let maximumPerTenant = 1_000
  /// Units of an evaluation's cost that count as one look in a `WorkBudget`.
  static let unitsPerVisit = 2
  /// And bytes of attributes that are made into values.
  static let bytesPerVisit = 2

  /// The attributes, in the order of their declaration.
  struct Attributes {
    private(set) var all = ConditionAttributes()
    let subject, subjectAttributes, resourceType, resource, resourceAttributes, action, context,
      now: ConditionAttributes.Slot

    /// - Throws: nothing, as the names are good ones and differ.
    fileprivate init() throws(ConditionAttributes.DeclarationError) {
      let anything = ConditionType.map(key: .string, value: .dyn)
      subject = try all.declare("subject.id", .string)
      subjectAttributes = try all.declare("subject.attributes", anything)
      resourceType = try all.declare("resource.type", .string)
      resource = try all.declare("resource.id", .string, bounds: .init(bytes: 512))
      resourceAttributes = try all.declare("resource.attributes", anything)
      action = try all.declare("action", .string)
      context = try all.declare("context", anything)
      now = try all.declare("now", .timestamp)
    }
  }

  /// Nil never: then no condition could be compiled, and none would allow anything.
  static let attributes = try? Attributes()

  private static let limits = {
    var limits = ConditionLimits()
    limits.maximumSourceBytes = maximumBytes
    limits.maximumNodes = 512
    limits.maximumCost = 10_000
    limits.fuel = 10_000
    return limits
  }()

  /// - Throws: what is wrong with it, at which line and column.
  static func compile(_ source: String) throws(ConditionError) -> Condition {
    try Condition(
      parsing: source, attributes: attributes?.all ?? ConditionAttributes(), limits: limits)
  }
}

/// A condition of assignments of one tenant, once for all that have it.
final class CompiledCondition: Sendable {
  /// Nil for one that an earlier version has stored and this one does not take: it fails.
  private let condition: Condition?

  init(_ source: String) { condition = try? PolicyConditions.compile(source) }

  /// Whether an assignment under this condition is one where it is asked.
  func applies(
    to effect: ConditionOutcome.Effect, _ question: borrowing Question,
    _ attributes: inout RequestAttributes, _ budget: inout WorkBudget
  ) -> Bool {
    outcome(question, &attributes, &budget)?.applies(to: effect) ?? (effect == .deny)
  }

  /// - Returns: nil where it can't be evaluated, or the budget is spent: it has failed.
  func outcome(
    _ question: borrowing Question, _ attributes: inout RequestAttributes,
    _ budget: inout WorkBudget
  ) -> ConditionOutcome? {
    guard let condition else { return nil }
    guard !budget.isSpent else {
      attributes.cutShort()
      return nil
    }
    let (outcome, units) = condition.evaluateCounting(
      attributes.input(for: question, &budget))
    budget.visit(1 + Int(units) / PolicyConditions.unitsPerVisit)
    return outcome
  }

  /// Which of its parts decide. Takes many times an evaluation.
  func explain(
    _ question: borrowing Question, _ attributes: inout RequestAttributes,
    _ budget: inout WorkBudget
  ) -> ConditionExplanation? {
    condition?.explain(attributes.input(for: question, &budget))
  }
}

/// One map of what a caller tells for conditions, made into a value of theirs when the first of them is evaluated.
public final class AttributeMap: Sendable {
  /// What the caller tells.
  package let content: [String: JSONValue]
  /// Bytes of it, about.
  public let weight: Int
  private let made = Mutex<ConditionValue?>(nil)

  /// - Parameter weight: bytes of it, about; what making the value is taken to cost.
  public init(_ object: [String: JSONValue], weight: Int) {
    content = object
    self.weight = weight
  }

  fileprivate func value(_ budget: inout WorkBudget) -> ConditionValue {
    made.withLock { made in
      if let made { return made }
      budget.visit(weight / PolicyConditions.bytesPerVisit)
      let value = ConditionValue.map(ConditionMap(content.mapValues { ConditionValue($0) }))
      made = value
      return value
    }
  }
}

/// What one question brings for conditions.
public struct RequestAttributes: Sendable {
  package let subject, resource, context: AttributeMap?
  /// Made when the first condition is evaluated.
  private var made: ConditionInput?
  /// Whether something could not be looked at, as the budget was spent: then the answer may be another one.
  public private(set) var isCutShort = false

  /// - Parameters: as the caller tells them; nil: there are none, and what asks for one fails.
  public init(
    subject: AttributeMap? = nil, resource: AttributeMap? = nil, context: AttributeMap? = nil
  ) {
    (self.subject, self.resource, self.context) = (subject, resource, context)
  }

  mutating func cutShort() { isCutShort = true }

  /// The same for every condition of one question.
  fileprivate mutating func input(
    for question: borrowing Question, _ budget: inout WorkBudget
  ) -> ConditionInput {
    if let made { return made }
    guard let slots = PolicyConditions.attributes else {
      return ConditionInput(for: ConditionAttributes())
    }
    var input = ConditionInput(for: slots.all)
    input[slots.subject] = .string(question.named.decodedText)
    input[slots.subjectAttributes] = subject?.value(&budget)
    let (permission, colon) = (question.permission, question.colon)
    input[slots.resourceType] = .string(permission.extracting(0..<colon).decodedText)
    if !question.resource.isEmpty {
      input[slots.resource] = .string(question.resource.decodedText)
    }
    input[slots.resourceAttributes] = resource?.value(&budget)
    input[slots.action] = .string(
      permission.extracting((colon + 1)..<permission.byteCount).decodedText)
    input[slots.context] = context?.value(&budget)
    input[slots.now] = ConditionTimestamp(
      seconds: question.now.seconds, nanoseconds: question.now.subsecondNanoseconds
    ).map { .timestamp($0) }
    made = input
    return input
  }
}

extension ConditionValue {
  /// Numbers of JSON are doubles.
  fileprivate init(_ value: JSONValue) {
    self =
      switch value {
      case .null: .null
      case .bool(let value): .bool(value)
      case .number(let value): .double(value)
      case .string(let value): .string(value)
      case .array(let values): .list(values.map { ConditionValue($0) })
      case .object(let object): .map(ConditionMap(object.mapValues { ConditionValue($0) }))
      }
  }
}
