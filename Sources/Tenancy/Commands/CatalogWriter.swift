/// How what the platform declares of configurations is changed: each change is one transaction of the control plane.
struct CatalogWriter: Sendable {
  let plane: ControlPlane
  let actor: String
  let judge: WriteJudge

  /// - Parameter name: of the resource, for the audit trail.
  func write<Result: Sendable>(
    _ action: String, _ name: String,
    _ body: @escaping @Sendable (inout Transaction) throws(TenancyError) -> Result
  ) async throws(TenancyError) -> Result {
    try await plane.write(actor: actor, action: action, terms: judge.terms()) {
      [judge] (transaction) throws(TenancyError) -> Result in
      try judge.judge(&transaction)
      let result = try body(&transaction)
      // Behind it: what is no name has been refused.
      transaction.remark = name
      return result
    }
  }

  /// - Parameter etag: empty: any.
  /// - Throws: ABORTED with ETAG_MISMATCH unless it is the current one.
  static func require(_ etag: String, _ current: String) throws(TenancyError) {
    guard etag.isEmpty || etag == current else {
      throw TenancyError(
        .aborted, .etagMismatch, "it has changed since: read it again",
        metadata: ["etag": current])
    }
  }
}
