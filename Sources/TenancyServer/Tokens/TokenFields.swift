import Tenancy
import TenancyWire

/// What requests about tokens say, checked field by field.
enum TokenFields {
  static let maximumAudiences = 8
  static let maximumPermissions = 64
  static let maximumAudienceBytes = 256
  /// Forms of what is known otherwise than by a token: nobody is to be taken for one of them.
  private static let reservedSubjects = ["insecure", "system"]
  private static let reservedPrefixes = ["spiffe:", "uid:", SubjectGroup.subjectPrefix]

  /// Whom a tenant's token may be for: its workloads, and whoever else it names.
  static func checkSubject(
    _ subject: String, of tenant: TenantID, _ state: ControlState
  ) throws(TenancyError) {
    guard RoleCommands.isSubject(subject) else {
      throw .invalid(
        "subject",
        "1 to \(RoleCommands.maximumSubjectBytes) bytes without control characters or spaces")
    }
    guard !ForeignSubjects.isForeign(subject, to: tenant, state) else {
      throw .invalid("subject", "a workload, but not one of this tenant", reason: .foreignSubject)
    }
    guard ForeignSubjects.isWorkload(subject) || !isReserved(subject) else {
      throw .invalid(
        "subject", "a group, or an identity of the platform's", reason: .foreignSubject)
    }
  }

  /// Whether nobody but a workload, a group, or one of the platform's, can have this name.
  static func isReserved(_ subject: String) -> Bool {
    let folded = subject.lowercased()
    return reservedSubjects.contains(folded)
      || reservedPrefixes.contains { folded.hasPrefix($0) }
  }

  /// - Parameter own: who is meant where none is named.
  static func audiences(_ sent: [String], own: String) throws(TenancyError) -> [String] {
    if sent.isEmpty { return [own] }
    guard sent.count <= maximumAudiences else {
      throw .invalid("audiences", "at most \(maximumAudiences)")
    }
    for (at, audience) in sent.enumerated() {
      guard (1...maximumAudienceBytes).contains(audience.utf8.count),
        audience.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
      else {
        throw .invalid(
          "audiences[\(at)]", "1 to \(maximumAudienceBytes) bytes of visible ASCII")
      }
    }
    guard Set(sent).count == sent.count else { throw .invalid("audiences", "each once") }
    return sent
  }

  static func permissions(_ sent: [String]) throws(TenancyError) -> [String] {
    guard sent.count <= maximumPermissions else {
      throw .invalid("permissions", "at most \(maximumPermissions)")
    }
    for (at, text) in sent.enumerated() where Permission(parsing: text) == nil {
      throw Permission.malformed("permissions[\(at)]")
    }
    return sent
  }

  /// Seconds.
  static func lifetime(
    _ sent: GoogleProtobuf.Duration?, _ terms: TokenTerms
  ) throws(TenancyError) -> Int {
    guard let sent else { return terms.maximumLife }
    guard sent.nanos == 0, (1...Int64(terms.maximumLife)).contains(sent.seconds) else {
      throw .invalid("lifetime", "1 to \(terms.maximumLife) whole seconds")
    }
    return Int(sent.seconds)
  }

  /// SHA-256 of a certificate; nil where none is given.
  static func certificate(_ sent: [UInt8]) throws(TenancyError) -> [UInt8]? {
    if sent.isEmpty { return nil }
    guard sent.count == 32 else { throw .invalid("certificate_sha256", "32 bytes") }
    return sent
  }

  static func algorithm(
    _ sent: V1.TokenAlgorithm, _ terms: TokenTerms
  ) throws(TenancyError) -> TokenKey.Algorithm {
    switch sent {
    case .unspecified: return terms.algorithm
    case .es256: return .es256
    case .eddsa: return .edDSA
    default: throw .invalid("algorithm", "not one that this server knows")
    }
  }
}

extension V1.TokenKey {
  init(_ key: TokenKey) {
    self.init(
      id: key.id, algorithm: key.algorithm == .es256 ? .es256 : .eddsa,
      createTime: GoogleProtobuf.Timestamp(key.createTime),
      retireTime: key.retireTime.map { GoogleProtobuf.Timestamp($0) },
      verifyUntilTime: key.verifyUntil.map { GoogleProtobuf.Timestamp($0) })
  }
}
