import Tenancy
import TenancyRPC
import TenancyWire

/// Answers who changed what of a configuration.
struct SettingHistory: Sendable {
  let plane: ControlPlane
  /// Of settings that are secret by now, former values in the clear are not told.
  let catalog: ConfigurationCatalog

  // MARK: Listing

  /// Where a page begins: behind some edits of the entry that ends at a place.
  private struct Position {
    let place: UInt64
    let edits: Int

    init(place: UInt64, edits: Int) { (self.place, self.edits) = (place, edits) }

    /// - Throws: INVALID_ARGUMENT for what is none.
    init?(_ text: String?) throws(TenancyError) {
      guard let text else { return nil }
      let parts = text.split(separator: "/", omittingEmptySubsequences: false)
      guard parts.count == 2, let place = UInt64(parts[0]), place < .max,
        let edits = Int(parts[1]), edits >= 0
      else { throw .invalid("page_token", "not one that this list gave out") }
      self.init(place: place, edits: edits)
    }

    var text: String { "\(place)/\(edits)" }
  }

  /// - Parameters:
  ///   - setting: empty: all.
  ///   - reader: on whose account it is read.
  func list(
    _ owner: ConfigurationOwner, setting: String, size: Int32, token: String, by reader: WritePayer
  ) async throws(TenancyError) -> V1.ListSettingHistoryResponse {
    if !setting.isEmpty { try ConfigurationField.require(setting, field: "setting") }
    let page = try Page(
      size: size, token: token, question: "history \(owner.text) \(setting)")
    let begin = try Position(page.after)
    // The entry in which the page before has ended is read again.
    let entries = try await plane.configurationHistory(
      of: owner, before: begin.map { $0.place + ($0.edits > 0 ? 1 : 0) }, limit: page.size + 1,
      by: reader)
    var budget = WorkBudget()
    var changes: [V1.SettingChange] = []
    for entry in entries {
      let isBegun = begin.map { $0.edits > 0 && $0.place == entry.place } ?? false
      let told = isBegun ? begin?.edits ?? 0 : 0
      for (index, edit) in entry.edits.enumerated().dropFirst(told) {
        guard setting.isEmpty || edit.field.utf8.elementsEqual(setting.utf8) else { continue }
        if changes.count == page.size || budget.isFull {
          let end =
            index > 0
            ? Position(place: entry.place, edits: index)
            : Position(place: entry.place + 1, edits: 0)
          return V1.ListSettingHistoryResponse(
            changes: changes, nextPageToken: page.token(after: end.text))
        }
        budget.answer(bytes: WorkBudget.elementBytes + edit.bytes + entry.actor.utf8.count)
        changes.append(V1.SettingChange(catalog.telling(edit), of: entry))
      }
    }
    guard let last = entries.last, !last.isFirst else {
      return V1.ListSettingHistoryResponse(changes: changes)
    }
    let end = Position(place: last.place, edits: 0)
    return V1.ListSettingHistoryResponse(
      changes: changes, nextPageToken: page.token(after: end.text))
  }

  // MARK: Comparing

  func diff(
    _ record: TenantRecord, _ request: V1.DiffTenantConfigurationRequest, in state: ControlState,
    by reader: WritePayer
  ) async throws(TenancyError) -> V1.DiffTenantConfigurationResponse {
    let (from, to) = (request.fromRevision, request.toRevision)
    var checks = FieldChecks()
    if from == 0 { checks.note(.invalid("from_revision", "is required")) }
    for (field, revision) in [("from_revision", from), ("to_revision", to)]
    where revision > state.revision {
      checks.note(.invalid(field, "there is none such yet"))
    }
    try checks.finish()
    let end = to == 0 ? state.revision : to
    let pasts = try await plane.pasts(
      of: .tenant(record.tenant.id), at: [from, end], last: state.revision, by: reader)
    guard pasts.count == 2 else { return V1.DiffTenantConfigurationResponse() }
    let differences = record.tenant.configuration.differences(between: pasts[0], pasts[1])
    return V1.DiffTenantConfigurationResponse(
      differences: differences.map { V1.SettingDifference(catalog.telling($0)) },
      fromRevision: from, toRevision: end)
  }
}

extension V1.SettingChange {
  fileprivate init(_ edit: SettingEdit, of entry: RecordedEdit) {
    self.init(
      setting: edit.field, oldValue: edit.before, newValue: edit.after, revision: entry.revision,
      time: GoogleProtobuf.Timestamp(entry.time), actor: entry.actor, action: entry.action,
      secret: edit.isSecret, oldVersion: edit.versionBefore ?? 0,
      newVersion: edit.versionAfter ?? 0)
  }
}

extension V1.SettingDifference {
  init(_ edit: SettingEdit) {
    self.init(
      setting: edit.field, oldValue: edit.before, newValue: edit.after, secret: edit.isSecret,
      oldVersion: edit.versionBefore ?? 0, newVersion: edit.versionAfter ?? 0)
  }
}
