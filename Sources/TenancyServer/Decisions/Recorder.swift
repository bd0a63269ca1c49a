import Tenancy

/// Who records what a call's questions are answered.
struct Recorder {
  /// Nobody.
  static let none = Recorder(nil, .check)

  private let shard: DecisionShard?
  private let source: RecordedDecision.Source

  @inline(__always)
  init(_ shard: DecisionShard?, _ source: RecordedDecision.Source) {
    self.shard = shard
    self.source = source
  }

  /// - Parameter decision: nil: the tenant is not active.
  @inline(__always)
  func note(
    _ decision: Decision?, _ record: TenantRecord, _ subject: RawSpan, _ permission: RawSpan,
    _ resource: RawSpan, _ attributes: RequestAttributes, _ access: Access
  ) {
    guard let shard, decision.map(shard.wants) ?? shard.wantsDenials else { return }
    shard.note(
      decision, of: record, by: source, subject: subject, permission: permission,
      resource: resource, attributes, access)
  }
}
