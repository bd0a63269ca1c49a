import Tenancy
import TenancyRPC
import TenancyWire

/// `tenancy.v1.Audit`.
struct AuditService: Sendable {
  /// Records in one page.
  static let maximumPageSize = 500

  let plane: ControlPlane

  func methods(_ gate: Gate) -> [TenancyMethod] {
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
          records: page.records.map(V1.ExportedAuditRecord.init),
          nextPageToken: page.next)
      },
      gate.serverStreaming(V1.Audit.streamAuditRecords) { request, responses, stream in
        try await send(request, responses, stream)
      },
    ]
  }

  /// One page after the other, none before the client has taken most of the one before.
  private func send(
    _ request: V1.StreamAuditRecordsRequest,
    _ responses: ResponseStream<V1.StreamAuditRecordsResponse>, _ stream: StreamCall
  ) async throws {
    let chain = try Self.chain(stream.access(), request.parent)
    let head = try await plane.auditHead(of: chain, by: stream.payer, isPatient: true)
    guard let last = head?.sequence else { return try requireKnown(chain) }
    var after = request.afterSequence
    while after < last {
      let (records, _) = try await read(
        chain, after: after, limit: Self.maximumPageSize, by: stream.payer, isPatient: true)
      guard let end = records.last else { return }
      // What need not be kept may have been removed between two pages.
      guard after == request.afterSequence || records.first?.sequence == after + 1 else {
        throw TenancyError(
          .outOfRange, .revisionCompacted, "records were removed meanwhile: begin again",
          metadata: ["oldest_sequence": "\(records.first?.sequence ?? 0)"])
      }
      let sent: Void? = try await stream.drain.cancelling {
        try await responses.send(
          V1.StreamAuditRecordsResponse(
            chain: chain.description, records: records.map(V1.ExportedAuditRecord.init)))
      }
      after = end.sequence
      // It comes before the status, whether the client has room for it yet or not.
      guard sent != nil else { throw StreamCall.interrupted(resumption: "\(after)") }
    }
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
    let (records, isWhole) = try await read(chain, after: after, limit: limit, by: access.payer)
    if records.isEmpty { try requireKnown(chain) }
    let next = isWhole ? "" : records.last.map { page.token(after: "\($0.sequence)") } ?? ""
    return Found(chain: chain, records: records, next: next)
  }

  /// Some records, and whether they are all that there are.
  private func read(
    _ chain: AuditChain, after: UInt64, limit: Int, by reader: WritePayer,
    isPatient: Bool = false
  ) async throws(TenancyError) -> ([StoredAuditRecord], isWhole: Bool) {
    // One more than asked for tells whether there is a page after this one.
    var records = try await plane.auditRecords(
      of: chain, after: after, limit: limit + 1, by: reader, isPatient: isPatient)
    let isLast = records.count <= limit
    if !isLast { records.removeLast(records.count - limit) }
    var bytes = 0
    let fitting = records.prefix { record in
      defer { bytes += record.bytes.count + WorkBudget.elementBytes }
      return bytes < WorkBudget.auditPageBytes
    }
    return (Array(fitting), isLast && fitting.count == records.count)
  }

  /// The chain that is asked for, if the caller may see it. The gate has judged the permission.
  static func chain(_ access: Access, _ parent: String) throws(TenancyError) -> AuditChain {
    let own = access.home.map { AuditChain.tenant($0.tenant.id) } ?? .platform
    if parent.isEmpty { return own }
    let name = parent.utf8Span.span.bytes
    guard let home = access.home else {
      do throws(TenancyError) {
        let found = try TenantNames.find(
          name, .tenant, field: "parent", access.snapshot.state, at: access.now)
        return .tenant(found.tenant.id)
      } catch {
        guard error.reason == .tenantNotFound,
          let id = purged(TenantNames.bareName(name, .tenant), access.snapshot.state)
        else { throw error }
        return .tenant(id)
      }
    }
    do throws(TenancyError) {
      try TenantNames.require(name, .tenant, field: "parent", toBe: home, at: access.now)
      return .tenant(home.tenant.id)
    } catch {
      guard error.reason == .tenantMismatch else { throw error }
      let bare = TenantNames.bareName(name, .tenant)
      throw .tenantMismatch(reaching: Denials.known(bare, access.snapshot))
    }
  }
}

/// What was done with tenants that are purged is known for as long as the trail is kept.
extension AuditService {
  /// Which tenant that is purged may be meant by an id, or by a slug that it had.
  private static func purged(_ name: RawSpan, _ state: ControlState) -> TenantID? {
    let text = name.decodedText
    let id = TenantID(parsing: text) ?? state.owner(of: ReservedName(.slug, text))
    return id.flatMap { state.find($0) == nil ? $0 : nil }
  }

  /// - Throws: NOT_FOUND if there is neither a tenant nor anything that was done with one.
  private func requireKnown(_ chain: AuditChain) throws(TenancyError) {
    if case .tenant(let id) = chain, plane.state.find(id) == nil { throw .tenantNotFound }
  }
}

extension WorkBudget {
  /// Of records in one page, roughly: pages end there.
  fileprivate static let auditPageBytes = 256 * 1024
}

extension V1.ExportedAuditRecord {
  init(_ stored: StoredAuditRecord) {
    self.init(sequence: stored.sequence, record: stored.bytes, hash: stored.hash)
  }
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
    case .token: self = .token
    }
  }
}
