import Tenancy
import TenancyRPC
import TenancyWire

/// An HTTP request as Envoy tells of it, where it is in the call's message.
struct ForwardedRequest: ~Escapable {
  private(set) var method: RawSpan
  /// With its query.
  private(set) var path: RawSpan
  private(set) var host: RawSpan
  /// Where the client is; empty: that is not told.
  private(set) var address: RawSpan
  /// Empty: the client has shown none.
  private(set) var certificate: RawSpan
  /// The value of `authorization`; empty: there is none.
  private(set) var authorization: RawSpan
  private(set) var hasAuthorization = false
  /// Whether `authorization` is there more than once.
  private(set) var isAuthorizationRepeated = false
  private(set) var requestID: RawSpan
  private(set) var selectors: RequestSelectors

  /// - Throws: INVALID_ARGUMENT for what does not tell of an HTTP request.
  @_lifetime(copy attributes)
  init(
    _ attributes: borrowing MessageView<EnvoyAuth.AttributeContext>, _ resolver: Resolver
  ) throws(TenancyError) {
    guard let request = attributes.request, let http = request.http else {
      throw .invalid("attributes.request.http", "is required")
    }
    method = try Self.text(http.method)
    path = try Self.text(http.path)
    host = try Self.text(http.host)
    certificate = RawSpan()
    address = RawSpan()
    if let source = attributes.source {
      certificate = source.certificate.bytes
      if let place = source.address, let socket = place.socketAddress {
        address = socket.address.bytes
      }
    }
    authorization = RawSpan()
    requestID = RawSpan()
    selectors = RequestSelectors()
    let headers = http.headers
    for index in 0..<headers.count {
      let (name, value) = (headers.key(index), headers.value(index))
      try take(name, value, resolver)
    }
    if let map = http.headerMap {
      let headers = map.headers
      for index in 0..<headers.count {
        let header = headers[index]
        let (name, value, raw) = (header.key, header.value, header.rawValue)
        if raw.isEmpty { try take(name, value, resolver) } else { try take(name, raw, resolver) }
      }
    }
    try takeSelectors(resolver)
  }

  /// The path without its query.
  var bare: RawSpan {
    @_lifetime(copy self)
    get {
      for offset in 0..<path.byteCount
      where path.byte(offset) == UInt8(ascii: "?") || path.byte(offset) == UInt8(ascii: "#") {
        return path.extracting(0..<offset)
      }
      return path
    }
  }

  /// Only what is of use here is looked at, and only that has to be text.
  @_lifetime(self: copy self, copy name, copy value)
  private mutating func take(
    _ name: borrowing TextView, _ value: borrowing TextView, _ resolver: Resolver
  ) throws(TenancyError) {
    let key = name.bytes
    if resolver.isTenantHeader(key) {
      selectors.takeHeader(try Self.text(value))
    } else if Self.isNamed(key, "authorization") {
      if hasAuthorization { isAuthorizationRepeated = true }
      hasAuthorization = true
      authorization = value.bytes
    } else if Self.isNamed(key, "x-request-id"), requestID.isEmpty {
      requestID = value.bytes
    }
  }

  @_lifetime(self: copy self)
  private mutating func takeSelectors(_ resolver: Resolver) throws(TenancyError) {
    // A long query is no selector, unless the tenant can be in it.
    selectors.takePath(resolver.rules.queryParameter == nil ? bare : path)
    selectors.takeHost(host)
  }

  private static func isNamed(_ name: RawSpan, _ text: String) -> Bool {
    name.byteCount == text.utf8.count && name.matches(text, at: 0)
  }

  @_lifetime(copy field)
  private static func text(_ field: borrowing TextView) throws(TenancyError) -> RawSpan {
    try WireErrors.text(field)
  }
}
