/// What is, or was, done to make or to destroy a tenant's resources: begun once, gone on with by whichever node holds
/// the lease, and over when all is done or a step of making has failed.
public struct TenantOperation: Hashable, Sendable {
  /// What it is to bring about. Raw values are those stored on disk.
  public enum Kind: String, Hashable, Sendable, CaseIterable, Codable {
    /// All that the tenant needs is made.
    case provision
    /// All that was made for the tenant is destroyed.
    case deprovision
  }

  /// How it stands.
  public enum State: Hashable, Sendable {
    /// It goes on: by itself, also after a failure of a deprovisioning.
    case running
    /// All is done.
    case succeeded
    /// A step failed. What was done stays, and the next of the kind goes on with it.
    case failed
    /// Another was begun before it was over.
    case superseded
  }

  /// What was done of it. Raw names are recorded: they never change.
  public struct Step: Hashable, Sendable {
    /// As `DataPlane.steps` has it, or the place that was cleared.
    public let name: String
    /// When it was begun by whoever has ended it.
    public let startTime: Timestamp
    /// When that it is done was recorded.
    public let endTime: Timestamp

    /// Of a step that is done.
    public init(name: String, startTime: Timestamp, endTime: Timestamp) {
      self.name = name
      self.startTime = startTime
      self.endTime = endTime
    }
  }

  /// The last that went wrong.
  public struct Failure: Hashable, Sendable {
    /// Which step; empty: before the first.
    public let step: String
    /// For operators.
    public let reason: String
    /// When.
    public let time: Timestamp

    /// Cuts the reason.
    public init(step: String, reason: String, time: Timestamp) {
      self.step = step
      self.reason = String(reason.prefix(Lifecycle.maximumReasonLength))
      self.time = time
    }
  }

  /// Of a tenant, the newest ones that are kept.
  public static let maximumKept = 8
  /// Of one operation.
  public static let maximumSteps = 64

  /// Whose resources.
  public let tenant: TenantID
  /// The tenant's epoch from its beginning on: later ones have greater numbers.
  public let number: UInt64
  /// What it is to bring about.
  public let kind: Kind
  /// Who asked for it.
  public let actor: String
  /// When it was begun.
  public let createTime: Timestamp
  /// Of the last that was recorded of it.
  public internal(set) var updateTime: Timestamp
  /// When it was over; nil: it is not.
  public internal(set) var endTime: Timestamp?
  /// Where it is done, as `DataPlane.place`; nil until that is chosen.
  public internal(set) var place: String?
  /// What it consists of, in order.
  public internal(set) var planned: [String] = []
  /// What is done.
  public internal(set) var steps: [Step] = []
  /// The last that went wrong; nil: nothing did.
  public internal(set) var failure: Failure?
  private(set) var isSuperseded = false

  init(_ kind: Kind, of tenant: Tenant, actor: String, at now: Timestamp) {
    self.init(
      tenant: tenant.id, number: tenant.epoch, kind: kind, actor: actor, createTime: now,
      updateTime: now)
  }

  private init(
    tenant: TenantID, number: UInt64, kind: Kind, actor: String, createTime: Timestamp,
    updateTime: Timestamp
  ) {
    self.tenant = tenant
    self.number = number
    self.kind = kind
    self.actor = actor
    self.createTime = createTime
    self.updateTime = updateTime
  }

  /// How it stands.
  public var state: State {
    guard endTime != nil else { return isSuperseded ? .superseded : .running }
    return failure == nil || kind == .deprovision ? .succeeded : .failed
  }

  /// What is done next; nil: nothing is.
  public var nextStep: String? {
    guard state == .running else { return nil }
    let done = Set(steps.map(\.name))
    return planned.first { !done.contains($0) }
  }

  /// The same when a later one of the tenant has begun.
  func followed(by newest: UInt64) -> TenantOperation {
    var operation = self
    operation.isSuperseded = endTime == nil && number < newest
    return operation
  }

  // MARK: Going on

  /// Where it is done from now on, and what that takes. What was done elsewhere does not count any more.
  mutating func settle(at place: String, _ planned: [String], done: Set<String>, at now: Timestamp)
  {
    if self.place != place { steps = [] }
    self.place = place
    self.planned = Array(planned.prefix(Self.maximumSteps))
    // Those of before there were operations, and of one that failed, have no times of their own here.
    let known = Set(steps.map(\.name))
    for step in self.planned where done.contains(step) && !known.contains(step) {
      steps.append(Step(name: step, startTime: createTime, endTime: createTime))
    }
    updateTime = now
  }

  mutating func finish(_ step: String, begunAt start: Timestamp, at now: Timestamp) {
    steps.removeAll { $0.name == step }
    if steps.count < Self.maximumSteps {
      steps.append(Step(name: step, startTime: min(start, now), endTime: now))
    }
    updateTime = now
  }

  mutating func fail(_ step: String, _ reason: String, at now: Timestamp) {
    failure = Failure(step: step, reason: reason, time: now)
    updateTime = now
  }

  mutating func end(at now: Timestamp) {
    endTime = now
    updateTime = now
  }

  /// What is written of it, about, in bytes.
  var contentBytes: Int {
    256 + actor.utf8.count + (failure?.reason.utf8.count ?? 0)
      + planned.reduce(0) { $0 + $1.utf8.count + 4 }
      + steps.reduce(0) { $0 + $1.name.utf8.count + 64 }
  }
}

/// How it is stored. Times are nanoseconds since 1970.
extension TenantOperation: Codable {
  private enum Key: String, CodingKey {
    case tenant, number, kind, actor, createTime, updateTime, endTime, place, planned, steps,
      failure
  }

  private struct StepDocument: Codable {
    let name: String
    let start, end: Int64
  }

  private struct FailureDocument: Codable {
    let step, reason: String
    let time: Int64
  }

  /// - Throws: `DecodingError` for what is none.
  public init(from decoder: any Decoder) throws {
    let box = try decoder.container(keyedBy: Key.self)
    func time(_ key: Key) throws -> Timestamp {
      Timestamp(nanoseconds: try box.decode(Int64.self, forKey: key))
    }
    guard let tenant = TenantID(parsing: try box.decode(String.self, forKey: .tenant)) else {
      throw DecodingError.dataCorruptedError(
        forKey: .tenant, in: box, debugDescription: "not the id of a tenant")
    }
    self.init(
      tenant: tenant, number: try box.decode(UInt64.self, forKey: .number),
      kind: try box.decode(Kind.self, forKey: .kind),
      actor: try box.decode(String.self, forKey: .actor), createTime: try time(.createTime),
      updateTime: try time(.updateTime))
    endTime = try box.decodeIfPresent(Int64.self, forKey: .endTime).map(
      Timestamp.init(nanoseconds:))
    place = try box.decodeIfPresent(String.self, forKey: .place)
    planned = try box.decode([String].self, forKey: .planned)
    steps = try box.decode([StepDocument].self, forKey: .steps).map {
      Step(
        name: $0.name, startTime: Timestamp(nanoseconds: $0.start),
        endTime: Timestamp(nanoseconds: $0.end))
    }
    failure = try box.decodeIfPresent(FailureDocument.self, forKey: .failure).map {
      Failure(step: $0.step, reason: $0.reason, time: Timestamp(nanoseconds: $0.time))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var box = encoder.container(keyedBy: Key.self)
    try box.encode(tenant.description, forKey: .tenant)
    try box.encode(number, forKey: .number)
    try box.encode(kind, forKey: .kind)
    try box.encode(actor, forKey: .actor)
    try box.encode(createTime.nanoseconds, forKey: .createTime)
    try box.encode(updateTime.nanoseconds, forKey: .updateTime)
    try box.encodeIfPresent(endTime?.nanoseconds, forKey: .endTime)
    try box.encodeIfPresent(place, forKey: .place)
    try box.encode(planned, forKey: .planned)
    try box.encode(
      steps.map {
        StepDocument(name: $0.name, start: $0.startTime.nanoseconds, end: $0.endTime.nanoseconds)
      }, forKey: .steps)
    try box.encodeIfPresent(
      failure.map {
        FailureDocument(step: $0.step, reason: $0.reason, time: $0.time.nanoseconds)
      }, forKey: .failure)
  }
}
