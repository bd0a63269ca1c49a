/// The selectors of one request, which are where the request is.
public struct RequestSelectors: ~Escapable {
  private(set) var path: RawSpan
  private(set) var host: RawSpan
  private(set) var header: RawSpan
  private(set) var environment: RawSpan
  /// Those that the request has. A query is in the path.
  private(set) var given = StrategySet()
  /// Those that it has several times, differently.
  private(set) var contradicting = StrategySet()

  /// None.
  @_lifetime(immortal)
  public init() {
    path = RawSpan()
    host = RawSpan()
    header = RawSpan()
    environment = RawSpan()
  }

  /// With a query maybe; an empty one is none.
  @_lifetime(self: copy self, copy text)
  public mutating func takePath(_ text: RawSpan) {
    path = text
    if !text.isEmpty { given.insert(StrategySet(.path)) }
  }

  /// With a port maybe; an empty one is none.
  @_lifetime(self: copy self, copy text)
  public mutating func takeHost(_ text: RawSpan) {
    host = text
    if !text.isEmpty { given.insert(StrategySet(.subdomain)) }
  }

  /// The value of a header that names the tenant.
  @_lifetime(self: copy self, copy value)
  public mutating func takeHeader(_ value: RawSpan) {
    if isNews(value, of: .header, header) { header = value }
    given.insert(StrategySet(.header))
  }

  /// The value of the variable that names the tenant.
  @_lifetime(self: copy self, copy value)
  public mutating func takeEnvironment(_ value: RawSpan) {
    if isNews(value, of: .environment, environment) { environment = value }
    given.insert(StrategySet(.environment))
  }

  /// Repeats that differ contradict each other: proxies differ in which they believe. Of them one that is
  /// malformed is kept, which says more.
  private mutating func isNews(
    _ value: RawSpan, of strategy: ResolutionStrategy, _ earlier: RawSpan
  ) -> Bool {
    guard given.contains(strategy) else { return true }
    guard !earlier.isSameName(as: value) else { return false }
    contradicting.insert(StrategySet(strategy))
    return !SelectorParsing.isName(value)
  }
}
