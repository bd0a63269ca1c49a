public import Tenancy
public import TenancyCrypto

/// What is asked of HTTP requests that come through Envoy.
public struct EnvoyTerms: Sendable {
  /// Whom tokens of such requests are for, in `aud`; nil: this service itself.
  public var audience: String?
  /// What requests need. Of those that cover one the first counts; what none covers is denied.
  public var routes: [PlatformRoute]
  /// Judges the certificates of clients; nil: none is accepted.
  public var certificates: TLSContext?

  /// - Parameter routes: the platform's.
  public init(audience: String? = nil, routes: [PlatformRoute], certificates: TLSContext? = nil) {
    self.audience = audience
    self.routes = routes
    self.certificates = certificates
  }

  /// The terms of tokens for such requests.
  func tokens(_ terms: TokenTerms?) -> TokenTerms? {
    guard let terms, let audience else { return terms }
    return terms.serving(audience)
  }
}

/// One of the platform's rules of what HTTP requests need.
public struct PlatformRoute: Sendable {
  /// What the requests need that a rule covers.
  public enum Need: Sendable, Hashable {
    /// No identity.
    case nothing
    /// This permission in their tenant.
    case permission(String)
    /// What their tenant's own rules say.
    case tenantsRule
  }

  /// Which requests.
  public let rule: RouteRule
  /// What they need.
  public let need: Need

  /// - Throws: INVALID_ARGUMENT with what is wrong, by the names of the fields behind `field`.
  public init(
    methods: [String], path: String, need: Need, field: String
  ) throws(TenancyError) {
    var permission = ""
    if case .permission(let text) = need { permission = text }
    rule = try RouteRule(methods: methods, path: path, permission: permission, field: field)
    self.need = need
  }
}

extension [PlatformRoute] {
  /// What a request needs; nil: no rule covers it, and it is denied.
  func need(of method: RawSpan, _ path: borrowing RoutePath) -> PlatformRoute.Need? {
    for route in self where route.rule.nearlyCovers(method: method, path: path) {
      return route.rule.covers(method: method, path: path) ? route.need : nil
    }
    return nil
  }
}
