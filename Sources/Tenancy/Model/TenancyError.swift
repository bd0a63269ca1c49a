/// Why the framework refused something. Immutable and cheap to pass on.
public struct TenancyError: Error, Sendable, CustomStringConvertible {
  /// The kind of failure; one file of the server maps it to an RPC status.
  public enum Category: Sendable, Hashable {
    /// The request is wrong, whatever the state is.
    case invalidArgument
    /// What is named is not there, or not for this caller.
    case notFound
    /// A name is taken.
    case alreadyExists
    /// Not in the present state: repeating does not help.
    case failedPrecondition
    /// Known, and not allowed to.
    case permissionDenied
    /// Something else came first, such as another change: read again, then repeat.
    case aborted
    /// May go away by itself: repeat later.
    case unavailable
    /// This installation is not set up for it.
    case unimplemented
    /// A quota or a limit is used up.
    case resourceExhausted
    /// No credential that counts here.
    case unauthenticated
    /// A fault of the server.
    case internalError
    /// Whoever asked does not wait any more.
    case cancelled
    /// What is asked for is not kept any more, or not there yet.
    case outOfRange
  }

  /// A stable, machine-readable cause. Once published a reason keeps its meaning.
  public struct Reason: Hashable, Sendable, CustomStringConvertible {
    /// As clients get it, in `google.rpc.ErrorInfo`.
    public let rawValue: String
    /// A new reason is a promise to clients: upper case with underscores.
    public init(_ rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }
  }

  /// What is wrong with one field of a request.
  public struct FieldViolation: Hashable, Sendable {
    /// Path in the request, such as `tenant.slug`.
    public let field: String
    /// For people; does not repeat the field's name.
    public let description: String
    /// - Parameter description: for people; does not repeat the field's name.
    public init(field: String, description: String) {
      self.field = field
      self.description = description
    }
  }

  private final class Storage: Sendable {
    let category: Category
    let reason: Reason
    let message: String
    let metadata: [String: String]
    let violations: [FieldViolation]
    let retryAfterSeconds: Int64?
    let attempted: TenantID?

    init(
      _ category: Category, _ reason: Reason, _ message: String, _ metadata: [String: String],
      _ violations: [FieldViolation], _ retryAfterSeconds: Int64?, _ attempted: TenantID?
    ) {
      self.category = category
      self.reason = reason
      self.message = message
      self.metadata = metadata
      self.violations = violations
      self.retryAfterSeconds = retryAfterSeconds
      self.attempted = attempted
    }
  }
  private let storage: Storage

  /// - Parameters:
  ///   - message: for the caller; names nothing that the caller may not know.
  ///   - metadata: for programs, as `google.rpc.ErrorInfo` has it.
  ///   - retryAfterSeconds: nil where repeating does not help, or nobody knows when.
  ///   - attempted: the other tenant that the caller tried to reach, for the audit trail alone.
  public init(
    _ category: Category, _ reason: Reason, _ message: String, metadata: [String: String] = [:],
    violations: [FieldViolation] = [], retryAfterSeconds: Int64? = nil,
    attempted: TenantID? = nil
  ) {
    storage = Storage(
      category, reason, message, metadata, violations, retryAfterSeconds, attempted)
  }

  /// What kind of failure it is.
  public var category: Category { storage.category }
  /// What programs tell failures apart by.
  public var reason: Reason { storage.reason }
  /// For the caller: names nothing that the caller may not know.
  public var message: String { storage.message }
  /// What belongs to the reason, such as the state that does not allow it; for programs.
  public var metadata: [String: String] { storage.metadata }
  /// The other tenant that the caller tried to reach, for the audit trail: never for the caller.
  public var attempted: TenantID? { storage.attempted }
  /// All that is wrong with the request's fields, not only the first.
  public var violations: [FieldViolation] { storage.violations }
  /// When to try again; nil where that is not known.
  public var retryAfterSeconds: Int64? { storage.retryAfterSeconds }
  public var description: String { "\(reason): \(message)" }
}

extension TenancyError.Reason {
  /// A field of the request is missing, malformed or over its limit.
  public static let invalidField = Self("INVALID_FIELD")
  /// A list's filter or order can't be understood; metadata: `field`, and of a filter `position`, from 1.
  public static let invalidFilter = Self("INVALID_FILTER")
  /// A selector is not canonical, or over its limit.
  public static let malformedSelector = Self("MALFORMED_SELECTOR")
  /// The sources of one request name different tenants.
  public static let tenantAmbiguous = Self("TENANT_AMBIGUOUS")
  /// Not the caller's tenant, whether it exists or not.
  public static let tenantMismatch = Self("TENANT_MISMATCH")
  /// There is no such tenant; only those who may know are told.
  public static let tenantNotFound = Self("TENANT_NOT_FOUND")
  /// No source names a tenant, or no default tenant is configured.
  public static let tenantUnresolved = Self("TENANT_UNRESOLVED")
  /// The tenant's resources are not there yet.
  public static let tenantNotProvisioned = Self("TENANT_NOT_PROVISIONED")
  /// The tenant is suspended.
  public static let tenantSuspended = Self("TENANT_SUSPENDED")
  /// The tenant is in maintenance.
  public static let tenantMaintenance = Self("TENANT_MAINTENANCE")
  /// Another source names a tenant other than the one that the environment is pinned to.
  public static let environmentPinConflict = Self("ENVIRONMENT_PIN_CONFLICT")
  /// The tenant is in a state that does not allow it, or is being changed by another call.
  public static let illegalTransition = Self("ILLEGAL_TRANSITION")
  /// What is to be changed has changed since it was read.
  public static let etagMismatch = Self("ETAG_MISMATCH")
  /// Another tenant has the name, or has had it.
  public static let nameTaken = Self("NAME_TAKEN")
  /// The tenant has no such former slug.
  public static let slugNotFound = Self("SLUG_NOT_FOUND")
  /// The caller lacks a permission that the method needs; `permission` says which.
  public static let permissionMissing = Self("PERMISSION_MISSING")
  /// The tenant has no such role.
  public static let roleNotFound = Self("ROLE_NOT_FOUND")
  /// The tenant has a role of that name already.
  public static let roleExists = Self("ROLE_EXISTS")
  /// The role is assigned, and `assignments` says how often; or other roles inherit from it or exclude it.
  public static let roleInUse = Self("ROLE_IN_USE")
  /// The role is built in and cannot be changed.
  public static let roleBuiltIn = Self("ROLE_BUILT_IN")
  /// No subject may hold both roles; `role` and `excluded_role` say which.
  public static let rolesExcluded = Self("ROLES_EXCLUDED")
  /// The expression is no condition.
  public static let invalidCondition = Self("INVALID_CONDITION")
  /// There is no such assignment.
  public static let assignmentNotFound = Self("ASSIGNMENT_NOT_FOUND")
  /// The subject has the role already.
  public static let assignmentExists = Self("ASSIGNMENT_EXISTS")
  /// The tenant has no such group.
  public static let groupNotFound = Self("GROUP_NOT_FOUND")
  /// The tenant has a group of that id already.
  public static let groupExists = Self("GROUP_EXISTS")
  /// The group has members, is a member or is assigned roles; `members`, `memberships` and `assignments` say how often.
  public static let groupInUse = Self("GROUP_IN_USE")
  /// There is no such membership in a group.
  public static let groupMemberNotFound = Self("GROUP_MEMBER_NOT_FOUND")
  /// The subject is directly in the group already.
  public static let groupMemberExists = Self("GROUP_MEMBER_EXISTS")
  /// The group would contain itself.
  public static let groupCycle = Self("GROUP_CYCLE")
  /// Groups would be in each other more than eight deep.
  public static let groupTooDeep = Self("GROUP_TOO_DEEP")
  /// More permissions on this API come with being in the group than are looked at for one member: give it fewer roles
  /// that have such permissions.
  public static let groupHoldsTooMuch = Self("GROUP_HOLDS_TOO_MUCH")
  /// The policy has changed since it was read; `revision` says when, at the latest.
  public static let policyChanged = Self("POLICY_CHANGED")
  /// The subject is a workload of another tenant.
  public static let foreignSubject = Self("FOREIGN_SUBJECT")
  /// The tenant that is to be cloned has more than one transaction takes over; `roles` or `groups` says how many it has.
  public static let templateTooLarge = Self("TEMPLATE_TOO_LARGE")
  /// The request id was used for another request.
  public static let requestReused = Self("REQUEST_ID_REUSED")
  /// The request was carried out meanwhile by another call of the same id; asked again, it is answered as that.
  public static let requestRepeated = Self("REQUEST_REPEATED")
  /// A limit or a quota is reached; `quota` and `limit` say which, where it is a quota.
  public static let limitReached = Self("LIMIT_REACHED")
  /// The requests of a tenant are more than its limits allow.
  public static let rateLimited = Self("RATE_LIMITED")
  /// The tenant has a plan that the server's configuration does not have.
  public static let limitPlanUnknown = Self("LIMIT_PLAN_UNKNOWN")
  /// The server has no `rate_limits` in its configuration.
  public static let limitsNotConfigured = Self("RATE_LIMITS_NOT_CONFIGURED")
  /// Only the platform sets what a tenant's requests are limited by.
  public static let limitsNotOwn = Self("LIMITS_NOT_OWN")
  /// Provisioning failed and can be tried again; `cause` says why.
  public static let provisioningFailed = Self("PROVISIONING_FAILED")
  /// The data plane can't do what the tenant's isolation asks for.
  public static let provisioningUnsupported = Self("PROVISIONING_UNSUPPORTED")
  /// The tenant's data is not where it was made.
  public static let dataMissing = Self("DATA_MISSING")
  /// Whoever has to approve a tenant's transitions has said no.
  public static let transitionDenied = Self("TRANSITION_DENIED")
  /// Whoever has to approve a tenant's transitions has not answered in time, or with an error: `status`.
  public static let approvalUnavailable = Self("APPROVAL_UNAVAILABLE")
  /// The tenant's data must be kept: there is a legal hold on it.
  public static let legalHold = Self("LEGAL_HOLD")
  /// The tenant's data is kept until its purge time, `purge_time` in seconds since 1970.
  public static let retentionNotOver = Self("RETENTION_NOT_OVER")
  /// The tenant's data is on another node, which alone reaches it; `places` names it.
  public static let dataElsewhere = Self("DATA_ELSEWHERE")
  /// The server's configuration has no cluster of that name.
  public static let clusterNotFound = Self("CLUSTER_NOT_FOUND")
  /// The tenant has no operation of that number, or not any more.
  public static let operationNotFound = Self("OPERATION_NOT_FOUND")
  /// The tenant's data is in no cluster of this server's configuration.
  public static let dataNotInCluster = Self("DATA_NOT_IN_CLUSTER")
  /// There is something to be sealed, such as a password, but the server has no master key.
  public static let secretsNotConfigured = Self("SECRETS_NOT_CONFIGURED")
  /// The tenant has no such key for its tokens.
  public static let tokenKeyNotFound = Self("TOKEN_KEY_NOT_FOUND")
  /// There is no such registration entry.
  public static let workloadEntryNotFound = Self("WORKLOAD_ENTRY_NOT_FOUND")
  /// The same processes get the same identity already; `entry` says by which one.
  public static let workloadEntryExists = Self("WORKLOAD_ENTRY_EXISTS")
  /// There is no such setting definition.
  public static let settingDefinitionNotFound = Self("SETTING_DEFINITION_NOT_FOUND")
  /// The setting is declared already.
  public static let settingDefinitionExists = Self("SETTING_DEFINITION_EXISTS")
  /// There is no such plan.
  public static let planNotFound = Self("PLAN_NOT_FOUND")
  /// There is a plan of that name already.
  public static let planExists = Self("PLAN_EXISTS")
  /// Tenants have the plan; `tenants` says how many.
  public static let planInUse = Self("PLAN_IN_USE")
  /// The plan is of the server's configuration file.
  public static let planReadOnly = Self("PLAN_READ_ONLY")
  /// There is no such feature flag.
  public static let featureFlagNotFound = Self("FEATURE_FLAG_NOT_FOUND")
  /// The feature flag is declared already.
  public static let featureFlagExists = Self("FEATURE_FLAG_EXISTS")
  /// Only the platform changes the setting or the flag; the violations say which.
  public static let settingNotOwn = Self("SETTING_NOT_OWN")
  /// The tenant has no such domain, or its claim is over.
  public static let domainNotFound = Self("DOMAIN_NOT_FOUND")
  /// The challenge is not where it should be; `seen` says what is.
  public static let domainNotProven = Self("DOMAIN_NOT_PROVEN")
  /// Nobody answers for the domain: whether the challenge is there is not known.
  public static let domainUnreachable = Self("DOMAIN_UNREACHABLE")
  /// The claim was released or made anew while its challenge was looked for.
  public static let domainClaimChanged = Self("DOMAIN_CLAIM_CHANGED")
  /// The server has no `domains` in its configuration.
  public static let domainsNotConfigured = Self("DOMAINS_NOT_CONFIGURED")
  /// There is no such certificate authority.
  public static let authorityNotFound = Self("AUTHORITY_NOT_FOUND")
  /// The authority is not in all bundles for long enough; `wait_seconds` says how long it takes still.
  public static let authorityNotPropagated = Self("AUTHORITY_NOT_PROPAGATED")
  /// The authority's certificate, or one of its issuers', is over or about to be.
  public static let authorityExpired = Self("AUTHORITY_EXPIRED")
  /// The certificates are no chain of the authority's key that others can verify by.
  public static let authorityChainRefused = Self("AUTHORITY_CHAIN_REFUSED")
  /// The tenant has no value of the secret setting.
  public static let secretSettingNotFound = Self("SECRET_SETTING_NOT_FOUND")
  /// Keys can't be replaced, or are being replaced by another call.
  public static let secretsFailed = Self("SECRETS_FAILED")
  /// The store can't take the change now, or the server is stopping.
  public static let storeUnavailable = Self("STORE_UNAVAILABLE")
  /// Other writes were faster; nothing was changed.
  public static let writeConflict = Self("WRITE_CONFLICT")
  /// The store contradicts the change: a defect, which the log explains.
  public static let writeRefused = Self("WRITE_REFUSED")
  /// Another node does what was asked for, or does what it excludes.
  public static let leaseHeld = Self("LEASE_HELD")
  /// Another node has taken over what this one was doing.
  public static let leaseLost = Self("LEASE_LOST")
  /// The state is not as fresh as a consistency token demands.
  public static let revisionNotReached = Self("REVISION_NOT_REACHED")
  /// The consistency token is of another store, or of before it was restored.
  public static let tokenOfAnotherStore = Self("TOKEN_OF_ANOTHER_STORE")
  /// The node has not seen its database for longer than it may answer without.
  public static let stateStale = Self("STATE_STALE")
  /// The log does not go back so far; `oldest_revision` says how far.
  public static let revisionCompacted = Self("REVISION_COMPACTED")
  /// There is no such method, or the server can't do what it asks for.
  public static let notImplemented = Self("NOT_IMPLEMENTED")
  /// The certificate and the token name different tenants.
  public static let credentialConflict = Self("TENANT_CREDENTIAL_CONFLICT")
  /// A call, or an HTTP request that needs an identity, has neither a certificate nor a token.
  public static let credentialMissing = Self("CREDENTIAL_MISSING")
  /// The certificate that a proxy has passed on is not accepted.
  public static let certificateRefused = Self("CERTIFICATE_REFUSED")
  /// No rule says what an HTTP request of that method and path needs.
  public static let routeNotAllowed = Self("ROUTE_NOT_ALLOWED")
  /// The server has no `envoy` in its configuration.
  public static let envoyNotConfigured = Self("ENVOY_NOT_CONFIGURED")
  /// The tenant that a credential names is not known here.
  public static let identityUnknown = Self("IDENTITY_UNKNOWN")
  /// The certificate has expired since the handshake.
  public static let identityExpired = Self("IDENTITY_EXPIRED")
  /// The certificate is not accepted any more.
  public static let identityRevoked = Self("IDENTITY_REVOKED")
  /// The token's life is over.
  public static let tokenExpired = Self("TOKEN_EXPIRED")
  /// The token was ended before its time: by name, with all of its subject's or tenant's, or by what has become of
  /// its tenant.
  public static let tokenRevoked = Self("TOKEN_REVOKED")
  /// The token is for somebody else.
  public static let tokenAudienceMismatch = Self("TOKEN_AUDIENCE_MISMATCH")
  /// The token is of no key that is accepted.
  public static let tokenKeyUnknown = Self("TOKEN_KEY_UNKNOWN")
  /// The keys of the token's issuer are to be fetched, and were not yet.
  public static let tokenKeysNotFetched = Self("TOKEN_KEYS_NOT_FETCHED")
  /// The keys of the token's issuer could not be fetched for so long that they are not used any more.
  public static let tokenKeysStale = Self("TOKEN_KEYS_STALE")
  /// The token is of a key that its issuer did not have when its keys were fetched: they are fetched anew.
  public static let tokenKeysRefreshing = Self("TOKEN_KEYS_REFRESHING")
  /// The tenant takes no tokens of this kind, by its settings.
  public static let tokenProviderOff = Self("TOKEN_PROVIDER_OFF")
  /// The metadata `authorization` is there twice, or is not `Bearer` and a token.
  public static let authorizationMalformed = Self("AUTHORIZATION_MALFORMED")
  /// The server takes and issues no tokens.
  public static let tokensNotConfigured = Self("TOKENS_NOT_CONFIGURED")
  /// More tokens that were not seen before, or of which more were refused, than are looked at.
  public static let tokenRateExceeded = Self("TOKEN_RATE_EXCEEDED")
}

extension TenancyError {
  /// A field of the request is not acceptable.
  public static func invalid(
    _ field: String, _ description: String, reason: Reason = .invalidField
  ) -> TenancyError {
    TenancyError(
      .invalidArgument, reason, "\(field): \(description)",
      violations: [FieldViolation(field: field, description: description)])
  }

  /// No such tenant, for those who may know.
  public static let tenantNotFound = TenancyError(
    .notFound, .tenantNotFound, "there is no such tenant")

  /// Not the caller's tenant, whether it exists or not.
  public static let tenantMismatch = TenancyError(
    .permissionDenied, .tenantMismatch, "the caller may not act for this tenant")

  /// The same, to the caller.
  /// - Parameter tenant: the one that it is; nil: there is none.
  public static func tenantMismatch(reaching tenant: TenantID?) -> TenancyError {
    guard let tenant else { return tenantMismatch }
    return TenancyError(
      tenantMismatch.category, tenantMismatch.reason, tenantMismatch.message, attempted: tenant)
  }

  /// The caller lacks a permission that the method needs.
  public static func missing(permission: String) -> TenancyError {
    TenancyError(
      .permissionDenied, .permissionMissing, "the caller lacks the permission \(permission)",
      metadata: ["permission": permission])
  }
}
