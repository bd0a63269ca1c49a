import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.Audit`.
struct AuditService: Sendable {
  /// Records in one page.
  static let maximumPageSize = 500

  let plane: ControlPlane

  func methods(_ gate: Gate) -> [ServiceMethod] {
    [
      gate.async(V1.Audit.listAuditRecords) { (access, request) async throws(TenancyError) in
        let page = try await page(
          access, request.parent, size: request.pageSize, token: request.pageToken)
        return V1.ListAuditRecordsResponse(
          records: page.records.map(V1.AuditRecord.init), nextPageToken: page.next)
      },
      gate.async(V1.Audit.exportAuditRecords) { (access, request) async throws(TenancyError) in
        let page = try await page(
          access, request.parent, size: request.pageSize, token: request.pageToken)
        return V1.ExportAuditRecordsResponse(
          chain: page.chain.description,
          records: page.records.map {
            V1.ExportedAuditRecord(sequence: $0.sequence, record: $0.bytes, hash: $0.hash)
          },
          nextPageToken: page.next)
      },
    ]
  }

  private struct Found {
    let chain: AuditChain
    let records: [StoredAuditRecord]
    let next: String
  }

  private func page(
    _ access: Access, _ parent: String, size: Int32, token: String
  ) async throws(TenancyError) -> Found {
    let chain = try Self.chain(access, parent)
    let page = try Page(size: size, token: token, question: "audit \(chain)")
    guard let after = UInt64(page.after ?? "0") else {
      throw .invalid("page_token", "not one that this list gave out")
    }
    let limit = min(page.size, Self.maximumPageSize)
    // One more than asked for tells whether there is a page after this one.
    let reader = access.home.map { WritePayer.tenant($0.tenant.id) }
    var records = try await plane.auditRecords(
      of: chain, after: after, limit: limit + 1,
      by: reader ?? .platform(access.caller.subject))
    let isLast = records.count <= limit
    if !isLast { records.removeLast(records.count - limit) }
    var bytes = 0
    let fitting = records.prefix { record in
      defer { bytes += record.bytes.count + WorkBudget.elementBytes }
      return bytes < WorkBudget.auditPageBytes
    }
    let isWhole = isLast && fitting.count == records.count
    let next = isWhole ? "" : fitting.last.map { page.token(after: "\($0.sequence)") } ?? ""
    return Found(chain: chain, records: Array(fitting), next: next)
  }

  /// The chain that is asked for, if the caller may see it. The gate has judged the permission.
  static func chain(_ access: Access, _ parent: String) throws(TenancyError) -> AuditChain {
    let own = access.home.map { AuditChain.tenant($0.tenant.id) } ?? .platform
    if parent.isEmpty { return own }
    var parent = parent
    let found = parent.withUTF8 { name in
      Result { () throws(TenancyError) -> TenantRecord in
        let name = UnsafeRawBufferPointer(name)
        if let home = access.home {
          do throws(TenancyError) {
            try TenantNames.require(name, .tenant, field: "parent", toBe: home, at: access.now)
            return home
          } catch {
            guard error.reason == .tenantMismatch else { throw error }
            let bare = TenantNames.bareName(name, .tenant)
            throw .tenantMismatch(reaching: Denials.known(bare, access.snapshot))
          }
        }
        return try TenantNames.find(
          name, .tenant, field: "parent", access.snapshot.state, at: access.now)
      }
    }
    return .tenant(try found.get().tenant.id)
  }
}

extension WorkBudget {
  /// Of records in one page, roughly: pages end there.
  fileprivate static let auditPageBytes = 256 * 1024
}

extension V1.AuditRecord {
  /// What a stored record tells. Of one that does not decode, only its place is told: `tenantctl audit verify`
  /// says what is wrong.
  init(_ stored: StoredAuditRecord) {
    self.init(chain: stored.chain.description, sequence: stored.sequence)
    guard let record = AuditEncoding.decode(stored.bytes) else { return }
    time = GoogleProtobuf.Timestamp(record.time)
    switch record.content {
    case .heads(let heads, _):
      self.heads = heads.map {
        V1.AuditHead(
          tenant: $0.tenant.description, sequence: $0.head.sequence,
          hash: HexBytes.text($0.head.hash)
        )
      }
    case .event(let event): fill(event)
    }
  }

  private mutating func fill(_ event: AuditEvent) {
    home = event.origin.home?.description ?? ""
    subject = event.origin.subject
    credential = V1.AuditCredential(event.origin.credential)
    credentialId = event.origin.credentialID
    source = event.origin.source
    action = event.action
    tenant = event.tenant?.description ?? ""
    namedTenant = event.named
    decision = event.decision == .allowed ? .allowed : .denied
    reason = event.reason
    revision = event.revision
    requestId = event.origin.requestID
    count = event.count
    firstTime = GoogleProtobuf.Timestamp(event.firstTime)
  }
}

extension V1.AuditCredential {
  fileprivate init(_ credential: AuditOrigin.Credential) {
    switch credential {
    case .none: self = .unspecified
    case .certificate: self = .certificate
    case .unixUser: self = .unixUser
    case .insecure: self = .insecure
    }
  }
}
