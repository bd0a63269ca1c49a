import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.FeatureFlags`.
struct FeatureFlagService: Sendable {
  private static let names = CatalogNames(
    collection: "featureFlags/", kind: "flag", maximumBytes: SettingDefinition.maximumNameBytes)
  private static let fields = [
    "description", "rollout_basis_points", "tenants", "subjects", "salt", "editor",
  ]

  let plane: ControlPlane

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.FeatureFlags
    return [
      gate.async(
        API.createFeatureFlag,
        again: { (_, request, _) throws(TenancyError) in
          try told(request.featureFlagId)
        }, create),
      gate.async(API.getFeatureFlag) { (access, request) throws(TenancyError) in
        let id = try Self.names.id(in: request.name)
        guard let flag = access.snapshot.state.catalog.flag(id) else {
          throw FlagCommands.notFound
        }
        return V1.FeatureFlag(flag)
      },
      gate.async(API.listFeatureFlags) { (access, request) throws(TenancyError) in
        var budget = WorkBudget()
        let page = try Page(
          size: request.pageSize, token: request.pageToken, question: "feature flags")
        let all = access.snapshot.state.catalog.flags(after: page.after)
        let (found, next) = page.collect(all, &budget, key: \.name) { flag in
          (V1.FeatureFlag(flag), flag.answerBytes)
        }
        return V1.ListFeatureFlagsResponse(featureFlags: found, nextPageToken: next)
      },
      gate.async(
        API.updateFeatureFlag,
        again: { (_, request, _) throws(TenancyError) in
          try told(Self.names.id(in: request.featureFlag?.name ?? "", field: "feature_flag.name"))
        }, update),
      gate.async(API.deleteFeatureFlag, again: { _, _, _ in V1.DeleteFeatureFlagResponse() }) {
        (access, request) throws(TenancyError) in
        let id = try Self.names.id(in: request.name)
        try await commands(access, validateOnly: request.validateOnly).delete(
          id, etag: request.etag)
        return V1.DeleteFeatureFlagResponse()
      },
    ]
  }

  private func commands(
    _ access: Access, validateOnly: Bool = false
  ) throws(TenancyError) -> FlagCommands {
    FlagCommands(
      plane, actor: access.caller.subject,
      judge: try access.requireJudge().validating(only: validateOnly))
  }

  /// A flag as it is by now.
  private func told(_ id: String) throws(TenancyError) -> V1.FeatureFlag {
    guard let flag = plane.state.catalog.flag(id) else { throw FlagCommands.notFound }
    return V1.FeatureFlag(flag)
  }

  private func create(
    _ access: Access, _ request: V1.CreateFeatureFlagRequest
  ) async throws(TenancyError) -> V1.FeatureFlag {
    guard let sent = request.featureFlag else { throw .invalid("feature_flag", "is required") }
    var checks = FieldChecks()
    let editor = try sent.editor.domain(field: "feature_flag.editor", &checks)
    let begin = Timestamp(nanoseconds: 0)
    let new = FeatureFlag(
      name: request.featureFlagId, summary: sent.description, rollout: sent.rolloutBasisPoints,
      tenants: sent.tenants, subjects: sent.subjects, salt: sent.salt,
      editor: editor ?? .platform, createTime: begin, updateTime: begin)
    return V1.FeatureFlag(
      try await commands(access).create(new, checks: checks, validateOnly: request.validateOnly))
  }

  private func update(
    _ access: Access, _ request: V1.UpdateFeatureFlagRequest
  ) async throws(TenancyError) -> V1.FeatureFlag {
    let sent = request.featureFlag ?? V1.FeatureFlag()
    let id = try Self.names.id(in: sent.name, field: "feature_flag.name")
    let mask = try UpdateMask(
      request.updateMask, all: Self.fields, isKnown: Self.fields.contains)
    var checks = FieldChecks()
    let editor =
      try mask.covers("editor", populated: sent.editor != .unspecified)
      ? sent.editor.domain(field: "feature_flag.editor", &checks) : nil
    let updated = try await commands(access).update(
      id, etag: sent.etag, checks: checks, validateOnly: request.validateOnly
    ) { flag in
      if let editor { flag.editor = editor }
      if mask.covers("description", populated: !sent.description.isEmpty) {
        flag.summary = sent.description
      }
      if mask.covers("rollout_basis_points", populated: sent.rolloutBasisPoints != 0) {
        flag.rollout = sent.rolloutBasisPoints
      }
      if mask.covers("tenants", populated: !sent.tenants.isEmpty) { flag.tenants = sent.tenants }
      if mask.covers("subjects", populated: !sent.subjects.isEmpty) {
        flag.subjects = sent.subjects
      }
      if mask.covers("salt", populated: !sent.salt.isEmpty) {
        flag.salt = sent.salt.isEmpty ? flag.name : sent.salt
      }
    }
    return V1.FeatureFlag(updated)
  }
}

extension FeatureFlag {
  fileprivate var answerBytes: Int {
    (tenants + subjects).reduce(256 + name.utf8.count + summary.utf8.count) {
      $0 + $1.utf8.count + 8
    }
  }
}

extension V1.FeatureFlag {
  init(_ flag: FeatureFlag) {
    self.init(
      name: "featureFlags/\(flag.name)", description: flag.summary,
      rolloutBasisPoints: flag.rollout, tenants: flag.tenants, subjects: flag.subjects,
      salt: flag.salt, editor: V1.SettingEditor(flag.editor), etag: flag.etag,
      createTime: GoogleProtobuf.Timestamp(flag.createTime),
      updateTime: GoogleProtobuf.Timestamp(flag.updateTime))
  }
}
