import Tenancy
import TenancyRPC
import TenancyWire

/// The selectors of a request's fields, checked as text; they stay in the request.
extension RequestSelectors {
  /// All of them. Not an initializer, which would own the resolver, and count it.
  @_lifetime(self: copy self, copy request)
  mutating func take(
    all request: borrowing MessageView<V1.ResolveTenantRequest>, _ resolver: Resolver
  ) throws(TenancyError) {
    try take(path: request.path)
    try take(host: request.host)
    try take(headers: request.headers, resolver)
    try take(environment: request.environment, resolver)
  }

  @_lifetime(self: copy self, copy field)
  mutating func take(path field: borrowing TextView) throws(TenancyError) {
    takePath(try Self.text(field))
  }

  @_lifetime(self: copy self, copy field)
  mutating func take(host field: borrowing TextView) throws(TenancyError) {
    takeHost(try Self.text(field))
  }

  @_lifetime(self: copy self, copy entries)
  mutating func take(
    headers entries: borrowing TextMapView, _ resolver: Resolver
  ) throws(TenancyError) {
    for index in 0..<entries.count {
      let name = try WireErrors.text(entries.key(index))
      let value = try WireErrors.text(entries.value(index))
      if resolver.isTenantHeader(name) { takeHeader(value) }
    }
  }

  @_lifetime(self: copy self, copy entries)
  mutating func take(
    environment entries: borrowing TextMapView, _ resolver: Resolver
  ) throws(TenancyError) {
    for index in 0..<entries.count {
      let name = try WireErrors.text(entries.key(index))
      let value = try WireErrors.text(entries.value(index))
      if resolver.isTenantVariable(name) { takeEnvironment(value) }
    }
  }

  /// What is too long to be a selector is refused as one, and not looked at before.
  @_lifetime(copy field)
  private static func text(_ field: borrowing TextView) throws(TenancyError) -> RawSpan {
    guard field.bytes.byteCount <= SelectorParsing.maximumLength else { return field.bytes }
    return try WireErrors.text(field)
  }
}
