/// How a tenant's configuration is given values again that it had.
extension TenantCommands {
  /// What is to be reverted.
  public struct Revert: Sendable {
    /// Fields as masks have them; empty: all that have changed since.
    public var fields: [String] = []
    /// The values are those of this revision.
    public var revision: UInt64
    /// Empty: any.
    public var etag = ""
    /// Empty: none.
    public var requestID = ""
    /// Of the request's content.
    public var digest = ""
    /// Says what would come of it, and changes nothing.
    public var validateOnly = false
    /// See `Update`.
    public var mayMove: Bool
    /// Judges the limits that come of it against those that there are.
    public var limits:
      @Sendable (LimitSettings?, LimitSettings?) throws(TenancyError) -> LimitSettings?

    /// Of all fields, unless it is said otherwise.
    public init(
      to revision: UInt64, mayMove: Bool,
      limits:
        @escaping @Sendable (LimitSettings?, LimitSettings?) throws(TenancyError) ->
        LimitSettings?
    ) {
      self.revision = revision
      self.mayMove = mayMove
      self.limits = limits
    }
  }

  /// Fields of one revert, at most.
  public static let maximumReverted = 2_000
  /// How often it is begun anew where the tenant changes meanwhile.
  private static let maximumRevertAttempts = 4

  /// Gives fields the values that they had at a revision. It is a change like any other, and judged as one.
  /// - Parameter reader: on whose account the history is read.
  /// - Returns: the tenant, and what was done to it.
  /// - Throws: as `update` and `ControlPlane.pasts`; `.etagMismatch` also if the tenant changes all the time.
  public func revert(
    _ id: TenantID, _ revert: Revert, by reader: WritePayer
  ) async throws(TenancyError) -> (tenant: Tenant, edits: [SettingEdit]) {
    try Self.check(revert)
    var attempt = 1
    while true {
      let state = plane.state
      let record = try Self.current(id, "", state)
      guard revert.revision <= state.revision else {
        throw .invalid("revision", "there is none such yet")
      }
      let pasts = try await plane.pasts(
        of: .tenant(id), at: [revert.revision], last: state.revision, by: reader,
        lookingFor: revert.requestID.isEmpty ? nil : (revert.requestID, actor))
      guard let past = pasts.first else { return (record.tenant, []) }
      // Before all else: whoever repeats it has the etag of before, and may have been answered.
      if let earlier = past.request {
        guard earlier == revert.request else {
          throw RequestKey.reused
        }
        return (record.tenant, [])
      }
      _ = try Self.current(id, revert.etag, state)
      try Self.refuseSecrets(revert, past)
      do throws(TenancyError) {
        let after = try await update(
          id, Self.update(revert, past, etag: record.tenant.etag), action: "tenants.revert",
          validateOnly: revert.validateOnly)
        return (after, after.configuration.edits(since: record.tenant.configuration))
      } catch {
        guard error.reason == .etagMismatch, revert.etag.isEmpty || !revert.requestID.isEmpty,
          attempt < Self.maximumRevertAttempts
        else { throw error }
        attempt += 1
      }
    }
  }

  private static func check(_ revert: Revert) throws(TenancyError) {
    var checks = FieldChecks()
    if revert.revision == 0 { checks.note(.invalid("revision", "is required")) }
    if revert.fields.count > maximumReverted {
      checks.note(.invalid("settings", "more than \(maximumReverted)"))
    } else {
      for (index, field) in revert.fields.enumerated() where !checks.isFull {
        try checks.value { () throws(TenancyError) in
          try ConfigurationField.require(field, field: "settings[\(index)]")
        }
      }
    }
    try checks.finish()
  }

  /// Of secrets, former values are not kept: they stay as they are, and naming one is a mistake.
  private static func refuseSecrets(
    _ revert: Revert, _ past: ConfigurationPast
  ) throws(TenancyError) {
    var checks = FieldChecks()
    for (index, field) in revert.fields.enumerated()
    where !checks.isFull && past.versions[ByteOrder(field)] != nil {
      checks.note(.invalid("settings[\(index)]", "is a secret: what it was is not kept"))
    }
    try checks.finish()
  }

  /// - Parameter etag: of the tenant by whose state the past is told.
  private static func update(
    _ revert: Revert, _ past: ConfigurationPast, etag: String
  ) -> Update {
    let wanted = Set(revert.fields.map(ByteOrder.init))
    let values = past.values.filter {
      past.versions[$0.key] == nil && (wanted.isEmpty || wanted.contains($0.key))
    }
    var update = Update(etag: etag, mayMove: revert.mayMove)
    update.historyRequest = revert.request
    update.namedSettings = ConfigurationField.settings(in: values.keys.map(\.text))
    update.configuration = { [limits = revert.limits] (before) throws(TenancyError) in
      var (after, checks) = (before, FieldChecks())
      for (field, value) in values.sorted(by: { $0.key < $1.key })
      where !after.set(field.text, to: value) {
        checks.note(
          .invalid("configuration.\(field.text)", "can't have the value any more that it had"))
      }
      try checks.finish()
      after.limits = try limits(after.limits, before.limits)
      return after
    }
    return update
  }
}

extension TenantCommands.Revert {
  /// As the history has it.
  fileprivate var request: String { requestID.isEmpty ? "" : "\(requestID) \(digest)" }
}
