public import Tenancy
public import TenancyCrypto

/// What is asked of HTTP requests that come through Envoy.
public struct EnvoyTerms: Sendable {
  /// Whom tokens of such requests are for, in `aud`; nil: this service itself.
  public var audience: String?
  /// What requests need. Of those that cover one the first counts; what none covers, and none of its tenant's, is
  /// denied.
  public var routes: [RouteRule]
  /// Judges the certificates of clients; nil: none is accepted.
  public var certificates: TLSContext?

  /// - Parameter routes: the platform's.
  public init(audience: String? = nil, routes: [RouteRule], certificates: TLSContext? = nil) {
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

/// What an HTTP request needs.
enum RouteNeed {
  /// No identity.
  case nothing
  /// What the rule says.
  case permission(RouteRule)
  /// The platform's rules do not say.
  case unsaid
}

extension [RouteRule] {
  /// The first that covers a request.
  func first(covering method: RawSpan, _ path: RawSpan) -> RouteRule? {
    for rule in self where rule.covers(method: method, path: path) { return rule }
    return nil
  }

  func need(of method: RawSpan, _ path: RawSpan) -> RouteNeed {
    guard let rule = first(covering: method, path) else { return .unsaid }
    return rule.permission.isEmpty ? .nothing : .permission(rule)
  }
}
