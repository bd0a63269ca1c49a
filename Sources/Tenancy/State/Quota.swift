/// What a payer has a limited amount of. Names are those of the API, and keep their meaning.
public struct Quota: Hashable, Sendable, CustomStringConvertible {
  /// Such as `log-bytes`: lower case, with hyphens.
  public let name: String
  /// What it is counted in, such as `bytes`.
  public let unit: String

  public var description: String { name }

  /// - Parameters:
  ///   - name: lower case, words with hyphens between them.
  ///   - unit: in the plural.
  public init(name: String, unit: String) {
    self.name = name
    self.unit = unit
  }

  /// Custom roles.
  public static let roles = Quota(name: "roles", unit: "roles")
  /// Assignments of roles.
  public static let assignments = Quota(name: "assignments", unit: "assignments")
  /// Those of one subject that are of some resources only.
  public static let scopedAssignments = Quota(name: "scoped-assignments", unit: "assignments")
  /// Those of one subject that are under a condition.
  public static let conditionalAssignments = Quota(
    name: "conditional-assignments", unit: "assignments")
  /// Conditions of assignments, each counted once.
  public static let conditions = Quota(name: "conditions", unit: "conditions")
  /// Groups of subjects.
  public static let groups = Quota(name: "groups", unit: "groups")
  /// Members of groups, each for each group that it is directly in.
  public static let groupMembers = Quota(name: "group-members", unit: "members")
  /// Groups that one subject is directly in.
  public static let memberships = Quota(name: "memberships", unit: "groups")
  /// Keys that sign tokens, or did and still verify.
  public static let tokenKeys = Quota(name: "token-keys", unit: "keys")
  /// Tokens that are revoked one by one.
  public static let revokedTokens = Quota(name: "revoked-tokens", unit: "tokens")
  /// Subjects whose tokens are revoked.
  public static let revokedSubjects = Quota(name: "revoked-subjects", unit: "subjects")
  /// Registration entries of workloads.
  public static let workloadEntries = Quota(name: "workload-entries", unit: "entries")
  /// And those of all that may match the same processes.
  public static let alikeWorkloadEntries = Quota(name: "alike-workload-entries", unit: "entries")
  /// Certificate authorities of the store, in all states.
  public static let certificateAuthorities = Quota(
    name: "certificate-authorities", unit: "authorities")
  /// Declared settings.
  public static let settingDefinitions = Quota(name: "setting-definitions", unit: "definitions")
  /// Plans of the platform.
  public static let plans = Quota(name: "plans", unit: "plans")
  /// Declared feature flags.
  public static let featureFlags = Quota(name: "feature-flags", unit: "flags")
  /// Domains of a tenant's own, and claims of such.
  public static let domains = Quota(name: "domains", unit: "domains")
  /// Looks for the challenges of domains.
  public static let domainVerifications = Quota(
    name: "domain-verifications", unit: "verifications in a minute")
  /// Writes that wait for the writer.
  public static let waitingWrites = Quota(name: "waiting-writes", unit: "writes")
}

extension TenancyError {
  /// A quota is used up.
  /// - Parameters:
  ///   - hint: what the caller can do about it, as the end of a sentence.
  ///   - retryAfterSeconds: when it may be otherwise, where time alone makes it so.
  public static func exhausted(
    _ quota: Quota, of payer: WritePayer, limit: Int, hint: String = "delete some",
    retryAfterSeconds: Int64? = nil
  ) -> TenancyError {
    var metadata = ["quota": quota.name, "limit": String(limit)]
    let whose: String
    switch payer {
    case .tenant(let id):
      metadata["subject"] = "tenants/\(id)"
      whose = "the tenant"
    case .platform: whose = "the caller"
    case .server: whose = "the server"
    }
    return TenancyError(
      .resourceExhausted, .limitReached,
      "\(whose) has used up its quota \(quota.name), \(limit) \(quota.unit): \(hint)",
      metadata: metadata, retryAfterSeconds: retryAfterSeconds)
  }

  /// The queue has no room for a payer's write.
  init(_ refusal: WriteQueueRefusal, of payer: WritePayer) {
    switch refusal {
    case .payer(let limit):
      self = .exhausted(
        .waitingWrites, of: payer, limit: limit, hint: "wait for answers before asking for more",
        retryAfterSeconds: 1)
    case .all:
      self = TenancyError(
        .resourceExhausted, .limitReached, "too many writes are waiting",
        metadata: ["quota": Quota.waitingWrites.name], retryAfterSeconds: 1)
    }
  }
}
