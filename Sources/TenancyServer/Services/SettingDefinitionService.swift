import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.SettingDefinitions`.
struct SettingDefinitionService: Sendable {
  private static let names = CatalogNames(
    collection: "settingDefinitions/", kind: "setting",
    maximumBytes: SettingDefinition.maximumNameBytes)
  private static let fields = [
    "description", "type", "default_value", "minimum", "maximum", "allowed_values",
    "minimum_length", "maximum_length", "secret", "editor", "since_version",
  ]

  let plane: ControlPlane

  func methods(_ gate: Gate) -> [TenancyMethod] {
    typealias API = V1.SettingDefinitions
    return [
      gate.async(
        API.createSettingDefinition,
        again: { (_, request, _) throws(TenancyError) in
          try told(request.settingDefinitionId)
        }, create),
      gate.async(API.getSettingDefinition) { (access, request) throws(TenancyError) in
        V1.SettingDefinition(try find(Self.names.id(in: request.name), access))
      },
      gate.async(API.listSettingDefinitions) { (access, request) throws(TenancyError) in
        var budget = WorkBudget()
        return try list(access, request, &budget)
      },
      gate.async(
        API.updateSettingDefinition,
        again: { (_, request, _) throws(TenancyError) in
          try told(
            Self.names.id(
              in: request.settingDefinition?.name ?? "", field: "setting_definition.name"))
        }, update),
      gate.async(
        API.deleteSettingDefinition, again: { _, _, _ in V1.DeleteSettingDefinitionResponse() }
      ) { (access, request) throws(TenancyError) in
        try await commands(access, validateOnly: request.validateOnly).delete(
          Self.names.id(in: request.name), etag: request.etag)
        return V1.DeleteSettingDefinitionResponse()
      },
      gate.async(API.listSettingConflicts) { (access, request) throws(TenancyError) in
        var budget = WorkBudget()
        return try conflicts(access, request, &budget)
      },
    ]
  }

  private func commands(
    _ access: Access, validateOnly: Bool = false
  ) throws(TenancyError) -> SettingCommands {
    SettingCommands(
      plane, actor: access.caller.subject,
      judge: try access.requireJudge().validating(only: validateOnly))
  }

  private func find(_ id: String, _ access: Access) throws(TenancyError) -> SettingDefinition {
    guard let found = access.snapshot.state.catalog.setting(id) else {
      throw SettingCommands.notFound
    }
    return found
  }

  /// A definition as it is by now.
  private func told(_ id: String) throws(TenancyError) -> V1.SettingDefinition {
    guard let found = plane.state.catalog.setting(id) else { throw SettingCommands.notFound }
    return V1.SettingDefinition(found)
  }

  private func create(
    _ access: Access, _ request: V1.CreateSettingDefinitionRequest
  ) async throws(TenancyError) -> V1.SettingDefinition {
    guard let sent = request.settingDefinition else {
      throw .invalid("setting_definition", "is required")
    }
    var checks = FieldChecks()
    let new = try sent.domain(named: request.settingDefinitionId, &checks)
    guard let new else { throw checks.failure }
    return V1.SettingDefinition(
      try await commands(access).create(new, checks: checks, validateOnly: request.validateOnly))
  }

  private func update(
    _ access: Access, _ request: V1.UpdateSettingDefinitionRequest
  ) async throws(TenancyError) -> V1.SettingDefinition {
    let sent = request.settingDefinition ?? V1.SettingDefinition()
    let id = try Self.names.id(in: sent.name, field: "setting_definition.name")
    let mask = try UpdateMask(
      request.updateMask, all: Self.fields, isKnown: Self.fields.contains)
    var checks = FieldChecks()
    let type =
      try mask.covers("type", populated: sent.type != .unspecified) ? sent.type(&checks) : nil
    let editor =
      try mask.covers("editor", populated: sent.editor != .unspecified) ? sent.editor(&checks) : nil
    let updated = try await commands(access).update(
      id, etag: sent.etag, checks: checks, validateOnly: request.validateOnly
    ) { definition in
      if let type { definition.type = type }
      if let editor { definition.editor = editor }
      sent.apply(mask, to: &definition)
    }
    return V1.SettingDefinition(updated)
  }

  private func list(
    _ access: Access, _ request: V1.ListSettingDefinitionsRequest, _ budget: inout WorkBudget
  ) throws(TenancyError) -> V1.ListSettingDefinitionsResponse {
    let page = try Page(
      size: request.pageSize, token: request.pageToken, question: "setting definitions")
    let all = access.snapshot.state.catalog.settings(after: page.after)
    let (found, next) = page.collect(all, &budget, key: \.name) { definition in
      (V1.SettingDefinition(definition), definition.answerBytes)
    }
    return V1.ListSettingDefinitionsResponse(settingDefinitions: found, nextPageToken: next)
  }

  private func conflicts(
    _ access: Access, _ request: V1.ListSettingConflictsRequest, _ budget: inout WorkBudget
  ) throws(TenancyError) -> V1.ListSettingConflictsResponse {
    let id = try Self.names.id(in: request.name)
    let definition: SettingDefinition
    if let sent = request.settingDefinition {
      var checks = FieldChecks()
      guard let proposed = try sent.domain(named: id, &checks) else { throw checks.failure }
      try SettingCommands.check(proposed)
      definition = proposed
    } else {
      definition = try find(id, access)
    }
    let page = try Page(
      size: request.pageSize, token: request.pageToken, question: "setting conflicts \(id)")
    let after = try page.after.map { text throws(TenancyError) in
      guard let id = TenantID(parsing: text) else {
        throw .invalid("page_token", "not one that this list gave out")
      }
      return id
    }
    var problem = ""
    let (found, next) = page.collect(
      access.snapshot.state.tenants(after: after), &budget, key: \.idText,
      where: { record, budget in
        guard !record.tenant.state.isGone,
          let value = record.tenant.configuration.customSettings[id]
        else { return false }
        budget.visit(value.visits)
        problem = definition.problem(with: value) ?? ""
        return !problem.isEmpty
      }
    ) { record in
      let conflict = V1.SettingConflict(
        tenant: "\(TenantNames.collection)\(record.idText)", description: problem)
      return (conflict, 64 + problem.utf8.count)
    }
    return V1.ListSettingConflictsResponse(conflicts: found, nextPageToken: next)
  }
}

extension JSONValue {
  /// What it takes to look at it, in elements.
  fileprivate var visits: Int {
    switch self {
    case .string(let text): 1 + text.utf8.count / 64
    case .array(let items): 1 + items.count
    case .null, .bool, .number, .object: 1
    }
  }
}

extension SettingDefinition {
  fileprivate var answerBytes: Int {
    var bytes = 0
    if let defaultValue { bytes = StructCodec.encode(value: defaultValue).count }
    return allowedValues.reduce(256 + name.utf8.count + summary.utf8.count + bytes) {
      $0 + 8 + $1.utf8.count
    }
  }
}

extension V1.SettingDefinition {
  init(_ definition: SettingDefinition) {
    self.init(
      name: "settingDefinitions/\(definition.name)", description: definition.summary,
      type: V1.SettingType(definition.type), defaultValue: definition.defaultValue,
      minimum: definition.minimum, maximum: definition.maximum,
      allowedValues: definition.allowedValues,
      minimumLength: definition.minimumLength.map { UInt32(clamping: $0) },
      maximumLength: definition.maximumLength.map { UInt32(clamping: $0) },
      secret: definition.isSecret, editor: V1.SettingEditor(definition.editor),
      sinceVersion: definition.sinceVersion, etag: definition.etag,
      createTime: GoogleProtobuf.Timestamp(definition.createTime),
      updateTime: GoogleProtobuf.Timestamp(definition.updateTime))
  }

  /// A definition as it was sent, its version and times yet to come.
  /// - Returns: nil where that is noted to be wrong without which there is none.
  fileprivate func domain(
    named id: String, _ checks: inout FieldChecks
  ) throws(TenancyError) -> SettingDefinition? {
    let (type, editor) = (try type(&checks), try editor(&checks))
    guard let type, let editor else { return nil }
    let begin = Timestamp(nanoseconds: 0)
    var definition = SettingDefinition(
      name: id, type: type, editor: editor, createTime: begin, updateTime: begin)
    apply(nil, to: &definition)
    return definition
  }

  fileprivate func type(
    _ checks: inout FieldChecks
  ) throws(TenancyError) -> SettingDefinition.ValueType? {
    try checks.value { () throws(TenancyError) in
      guard let type = type.domain else {
        throw .invalid("setting_definition.type", "is required, and one of SettingType")
      }
      return type
    }
  }

  fileprivate func editor(
    _ checks: inout FieldChecks
  ) throws(TenancyError) -> SettingDefinition.Editor? {
    try editor.domain(field: "setting_definition.editor", &checks)
  }

  /// What else there is of it.
  /// - Parameter mask: nil: all.
  fileprivate func apply(_ mask: UpdateMask?, to definition: inout SettingDefinition) {
    func covers(_ path: String, _ populated: Bool) -> Bool {
      mask?.covers(path, populated: populated) ?? true
    }
    if covers("description", !description.isEmpty) { definition.summary = description }
    if covers("default_value", defaultValue != nil) { definition.defaultValue = defaultValue }
    if covers("minimum", minimum != nil) { definition.minimum = minimum }
    if covers("maximum", maximum != nil) { definition.maximum = maximum }
    if covers("allowed_values", !allowedValues.isEmpty) {
      definition.allowedValues = allowedValues
    }
    if covers("minimum_length", minimumLength != nil) {
      definition.minimumLength = minimumLength.map(Int.init)
    }
    if covers("maximum_length", maximumLength != nil) {
      definition.maximumLength = maximumLength.map(Int.init)
    }
    if covers("secret", secret) { definition.isSecret = secret }
    if covers("since_version", !sinceVersion.isEmpty) { definition.sinceVersion = sinceVersion }
  }
}

extension V1.SettingEditor {
  init(_ editor: SettingDefinition.Editor) {
    switch editor {
    case .platform: self = .platform
    case .tenant: self = .tenant
    }
  }

  /// - Returns: nil for what is none, which is noted.
  func domain(
    field: String, _ checks: inout FieldChecks
  ) throws(TenancyError) -> SettingDefinition.Editor? {
    try checks.value { () throws(TenancyError) in
      switch self {
      case .unspecified, .platform: return .platform
      case .tenant: return .tenant
      default: throw .invalid(field, "PLATFORM or TENANT")
      }
    }
  }
}

extension V1.SettingType {
  init(_ type: SettingDefinition.ValueType) {
    switch type {
    case .string: self = .string
    case .integer: self = .integer
    case .number: self = .number
    case .bool: self = .bool
    case .duration: self = .duration
    case .stringList: self = .stringList
    case .json: self = .json
    }
  }

  /// Nil for what is none.
  fileprivate var domain: SettingDefinition.ValueType? {
    switch self {
    case .string: .string
    case .integer: .integer
    case .number: .number
    case .bool: .bool
    case .duration: .duration
    case .stringList: .stringList
    case .json: .json
    default: nil
    }
  }
}
