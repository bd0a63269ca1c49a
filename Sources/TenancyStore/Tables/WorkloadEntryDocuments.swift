internal import Tenancy

/// What a process must be for a registration entry, as JSON has it, in the entry's row and in the log.
struct WorkloadSelectorsDocument: Codable {
  private let binaryPath, node, systemdUnit: String?
  private let groupID, userID: UInt32?

  private enum CodingKeys: String, CodingKey {
    case binaryPath, node, systemdUnit
    case groupID = "gid"
    case userID = "uid"
  }

  init(_ selectors: WorkloadEntry.Selectors) {
    binaryPath = selectors.binaryPath
    groupID = selectors.groupID
    node = selectors.node
    systemdUnit = selectors.systemdUnit
    userID = selectors.userID
  }

  var selectors: WorkloadEntry.Selectors {
    WorkloadEntry.Selectors(
      userID: userID, groupID: groupID, binaryPath: binaryPath, systemdUnit: systemdUnit,
      node: node)
  }

  /// As a row keeps them.
  static func text(of selectors: WorkloadEntry.Selectors) throws(StoreError) -> String {
    var json = JSONText(capacity: 128)
    try write(selectors, to: &json)
    return json.text
  }

  /// What the encoder makes of the document.
  static func write(
    _ selectors: WorkloadEntry.Selectors, to json: inout JSONText
  ) throws(StoreError) {
    try json.object { json throws(StoreError) in
      if let path = selectors.binaryPath { json.pair("binaryPath", path) }
      if let id = selectors.groupID { json.pair("gid", UInt64(id)) }
      if let node = selectors.node { json.pair("node", node) }
      if let unit = selectors.systemdUnit { json.pair("systemdUnit", unit) }
      if let id = selectors.userID { json.pair("uid", UInt64(id)) }
    }
  }
}

/// A registration entry as the log has it.
struct WorkloadEntryDocument: Codable {
  private let id, path: String
  private let tenant, hint: String?
  private let createTime, lifetime: Int64
  private let selectors: WorkloadSelectorsDocument

  init(_ entry: WorkloadEntry) {
    id = entry.id
    path = entry.path
    tenant = entry.tenant?.description
    hint = entry.hint.isEmpty ? nil : entry.hint
    createTime = entry.createTime.nanoseconds
    lifetime = entry.lifetime
    selectors = WorkloadSelectorsDocument(entry.selectors)
  }

  func entry() throws(ChangeDecodingError) -> WorkloadEntry {
    let owner = tenant.flatMap(TenantID.init(parsing:))
    guard (owner == nil) == (tenant == nil) else { throw .malformed }
    return WorkloadEntry(
      id: id, tenant: owner, path: path, selectors: selectors.selectors, lifetime: lifetime,
      hint: hint ?? "", createTime: Timestamp(nanoseconds: createTime))
  }

  /// What the encoder makes of the document.
  static func write(_ entry: WorkloadEntry, to json: inout JSONText) throws(StoreError) {
    try json.object { json throws(StoreError) in
      json.pair("createTime", entry.createTime)
      if !entry.hint.isEmpty { json.pair("hint", entry.hint) }
      json.pair("id", entry.id)
      json.key("lifetime")
      json.number(entry.lifetime)
      json.pair("path", entry.path)
      json.key("selectors")
      try WorkloadSelectorsDocument.write(entry.selectors, to: &json)
      if let tenant = entry.tenant { json.pair("tenant", tenant.description) }
    }
  }
}
