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

  /// As the resolver takes them.
  func lend<Result: ~Copyable>(
    _ body: (borrowing RequestSelectors) throws(TenancyError) -> Result
  ) throws(TenancyError) -> Result {
    let (path, host) = (path ?? "", host ?? "")
    var selectors = RequestSelectors()
    selectors.takePath(path.utf8Span.span.bytes)
    selectors.takeHost(host.utf8Span.span.bytes)
    let header = header ?? ""
    if self.header != nil { selectors.takeHeader(header.utf8Span.span.bytes) }
    let environment = environment ?? ""
    if self.environment != nil { selectors.takeEnvironment(environment.utf8Span.span.bytes) }
    return try body(selectors)
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
    let record = home.flatMap { state.find($0.id) }
    return try selectors.lend { lent throws(TenancyError) in
      try resolve(
        lent, state: state, home: record, now: Sample.moment, mayFallBack: mayFallBack)
    }
  }

  func answer(
    _ selectors: Selectors, in state: ControlState, home: Tenant? = nil, mayFallBack: Bool = true
  ) -> Answer {
    Answer { () throws(TenancyError) in
      try resolve(selectors, in: state, home: home, mayFallBack: mayFallBack)
    }
  }
}
