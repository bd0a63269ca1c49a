/// Where it is looked for a domain's challenge.
public struct DomainCheck: Sendable {
  /// On whose behalf.
  public let tenant: TenantID
  /// The domain that is claimed.
  public let name: DomainName
  /// Where the record is.
  public let recordName: String
  /// The path of the document.
  public let path: String
  /// What has to be there.
  public let content: String
  /// Which of both.
  public let method: DomainProofMethod

  /// For a claim.
  public init(_ claim: TenantDomain, _ method: DomainProofMethod) {
    tenant = claim.tenant
    name = claim.name
    recordName = claim.recordName
    path = claim.challenge.path
    content = claim.challenge.content
    self.method = method
  }
}

/// What was found of a domain's challenge.
public enum DomainFinding: Sendable, Equatable {
  /// It is there.
  case proven
  /// Something else is there, or nothing.
  /// - Parameter seen: what, in words for whoever has claimed the domain: nothing that they could not see themselves.
  case notProven(seen: String)
  /// Nobody answered, or not in time: that says nothing of who controls the domain.
  /// - Parameter why: in words for whoever has claimed the domain.
  case unreachable(why: String)
  /// It was not looked: too much is being looked at.
  case busy
}

/// Looks for challenges of domains. What a server has of its own may take the place of the one that is built in.
public protocol DomainChecker: Sendable {
  /// Ends by itself in a bounded time. Blocks neither an event loop nor a thread that tasks are run on.
  func look(_ check: DomainCheck) async -> DomainFinding
}
