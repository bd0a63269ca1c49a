public import Tenancy

/// `domains`: how it is looked who controls a domain.
public struct DomainTerms: Sendable {
  /// Verifications of one tenant in a minute on one node, unless configured.
  public static let defaultPerMinute = 10

  /// What looks.
  public var checker: any DomainChecker
  /// Of the web servers of domains.
  public var httpPort: Int
  /// Of one tenant, on one node.
  public var verificationsPerMinute: Int

  /// - Parameters:
  ///   - httpPort: of the web servers of domains.
  ///   - verificationsPerMinute: of one tenant; 1 or more.
  public init(
    checker: any DomainChecker, httpPort: Int = 80,
    verificationsPerMinute: Int = DomainTerms.defaultPerMinute
  ) {
    self.checker = checker
    self.httpPort = httpPort
    self.verificationsPerMinute = verificationsPerMinute
  }
}
