/// What the audit of a write adds to the store.
enum AuditCost {
  /// Of a record of an event, beside its texts; see `AuditEncoding`.
  private static let eventBytes = 120
  /// Of a record of heads, and of each head in it.
  private static let headsBytes = 38
  private static let headBytes = 56
  /// Of each record's row, beside the record: its hash, the chain's name, the sequence.
  static let rowBytes = 32 + 36 + 12

  /// Bytes of all records that a change makes: in the chains of the tenants that it is about and of who made it,
  /// and in the platform's, whose record of heads it may share with other writes but need not.
  static func bytes(_ origin: AuditOrigin, action: String, tenants: [TenantID]) -> Int {
    var chains = tenants.count
    if let home = origin.home, !tenants.contains(home) { chains += 1 }
    let texts = [
      origin.subject, origin.credentialID, origin.source, origin.requestID, action,
    ].reduce(0) { $0 + $1.utf8.count }
    let events = max(chains, 1) * (eventBytes + texts + rowBytes)
    return chains > 0 ? events + headsBytes + chains * headBytes + rowBytes : events
  }
}

extension Transaction {
  /// Of the records that it makes when it is committed.
  func auditBytes(_ actor: String, _ action: String) -> Int {
    guard !changes.isEmpty || lease != nil else { return 0 }
    return AuditCost.bytes(
      origin ?? AuditOrigin(subject: actor), action: action, tenants: tenants)
  }
}
