import TenancyTestSupport

@testable import Tenancy

/// The selectors of one request; nil: not given.
struct Selectors: CustomStringConvertible {
  var path, host, header, environment: String?

  var given: StrategySet {
    var given = StrategySet()
    if path != nil { given.insert(StrategySet(.path)) }
    if host != nil { given.insert(StrategySet(.subdomain)) }
    if header != nil { given.insert(StrategySet(.header)) }
    if environment != nil { given.insert(StrategySet(.environment)) }
    return given
  }

  var description: String {
    let all = [("path", path), ("host", host), ("header", header), ("environment", environment)]
    return all.compactMap { name, text in text.map { "\(name)=\($0)" } }.joined(separator: " ")
  }
}

/// What a resolution comes to.
struct Answer: Equatable {
  var tenant: TenantID?
  var strategy: ResolutionStrategy?
  var reason: TenancyError.Reason?
  var message: String?

  init(_ resolve: () throws(TenancyError) -> Resolution) {
    do throws(TenancyError) {
      let resolution = try resolve()
      tenant = resolution.record.tenant.id
      strategy = resolution.strategy
    } catch {
      reason = error.reason
      message = error.message
    }
  }
}

extension Resolver {
  func resolve(
    _ selectors: Selectors, in state: ControlState, home: Tenant? = nil, mayFallBack: Bool = true
  ) throws(TenancyError) -> Resolution {
    let path = selectors.path ?? ""
    let host = selectors.host ?? ""
    let header = selectors.header ?? ""
    let environment = selectors.environment ?? ""
    return try resolve(
      path: path.utf8Span.span.bytes, host: host.utf8Span.span.bytes,
      header: header.utf8Span.span.bytes, environment: environment.utf8Span.span.bytes,
      given: selectors.given, state: state, home: home.flatMap { state.find($0.id) },
      now: Sample.moment, mayFallBack: mayFallBack)
  }

  func answer(
    _ selectors: Selectors, in state: ControlState, home: Tenant? = nil, mayFallBack: Bool = true
  ) -> Answer {
    Answer { () throws(TenancyError) in
      try resolve(selectors, in: state, home: home, mayFallBack: mayFallBack)
    }
  }
}
