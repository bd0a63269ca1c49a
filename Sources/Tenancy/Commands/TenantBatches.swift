/// Several tenants in one transaction.
extension TenantCommands {
  /// Tenants that are created together at most: they keep the writer from others.
  public static let maximumBatch = 100

  /// Creates several tenants, or none.
  /// - Throws: as for one, with fields below `requests[n]`.
  public func create(_ all: [NewTenant]) async throws(TenancyError) -> [Tenant] {
    try await write("tenants.batchCreate", changes: all.count) {
      [actor, plans, sealer = plane.sealer] (transaction) throws(TenancyError) -> [Tenant] in
      var (taken, made) = (Taken(), [Tenant]())
      Self.makeRoom(for: all, of: actor, &transaction)
      for (index, new) in all.enumerated() {
        do throws(TenancyError) {
          try taken.take(request: new.requestID)
          made.append(
            try Self.create(new, by: actor, plans, sealer, &transaction) {
              (tenant) throws(TenancyError) in try taken.take(tenant)
            })
        } catch {
          throw error.below("requests[\(index)]")
        }
      }
      return made
    }
  }

  /// What the same request has made before; nil: nothing.
  /// - Throws: REQUEST_REUSED where it was another.
  static func made(
    by new: NewTenant, of actor: String, _ state: ControlState
  ) throws(TenancyError) -> Tenant? {
    guard !new.requestID.isEmpty, let earlier = state.request(new.requestID, of: actor) else {
      return nil
    }
    guard earlier.digest == new.digest else { throw RequestKey.reused }
    guard let record = earlier.tenant.flatMap({ state.find($0) }) else { throw .tenantNotFound }
    return record.tenant
  }

  /// What one batch has given away, which the state does not know yet.
  private struct Taken {
    private var names: Set<ReservedName> = []
    private var places: Set<String> = []
    private var requests: Set<String> = []

    mutating func take(request id: String) throws(TenancyError) {
      guard id.isEmpty || requests.insert(id).inserted else {
        throw .invalid("request_id", "is there twice", reason: .requestReused)
      }
    }

    mutating func take(_ tenant: Tenant) throws(TenancyError) {
      for (name, field) in TenantCommands.names(of: tenant)
      where !names.insert(name).inserted {
        throw TenantCommands.nameTaken(name, field)
      }
      if let place = tenant.configuration.database?.place?.text, !places.insert(place).inserted {
        throw TenantCommands.placeTaken
      }
    }
  }
}

extension TenancyError {
  /// The same of a part of a request, whose fields are below it.
  fileprivate func below(_ part: String) -> TenancyError {
    func path(_ field: String) -> String {
      // Configurations are named as where they stand alone.
      field.hasPrefix("configuration.") ? "\(part).tenant.\(field)" : "\(part).\(field)"
    }
    var metadata = metadata
    if let field = metadata["field"] { metadata["field"] = path(field) }
    let isAboutAField =
      violations.first.map { message.hasPrefix($0.field) } ?? (metadata["field"] != nil)
    return TenancyError(
      category, reason, isAboutAField ? path(message) : "\(part): \(message)", metadata: metadata,
      violations: violations.map { .init(field: path($0.field), description: $0.description) },
      retryAfterSeconds: retryAfterSeconds)
  }
}
