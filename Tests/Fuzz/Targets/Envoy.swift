import TenancyRPC

@testable import Tenancy
@testable import TenancyServer
@testable import TenancyWire

/// What Envoy tells of HTTP requests, most of which their clients have written.
let envoyTargets: [FuzzTarget] = [
  FuzzTarget("check-request") {
    [nil, "%2D%2D-BEGIN", "-----BEGIN%20CERTIFICATE-----%0AMII%3D%0A"].map { certificate in
      let header = EnvoyCore.HeaderValue(key: "x-tenant-id", value: "acme")
      let http = EnvoyAuth.AttributeContext.HttpRequest(
        method: "GET",
        headers: ["authorization": "Bearer a.b.c", "x-request-id": "1", ":path": "/"],
        headerMap: EnvoyCore.HeaderMap(headers: [header]),
        path: "/tenants/acme/orders?tenant=acme", host: "acme.example.com")
      return EnvoyAuth.CheckRequest(
        attributes: EnvoyAuth.AttributeContext(
          source: EnvoyAuth.AttributeContext.Peer(
            address: EnvoyCore.Address(
              socketAddress: EnvoyCore.SocketAddress(address: "192.0.2.1")),
            certificate: certificate ?? ""),
          request: EnvoyAuth.AttributeContext.Request(http: http))
      ).encode(arena: Arena())
    }
  } run: { input in
    try input.withUnsafeBytes { bytes in
      do throws(TenancyError) {
        try WireErrors.withView(EnvoyAuth.CheckRequest.self, of: bytes, Arena(), rule) {
          (message) throws(TenancyError) in
          guard let attributes = message.attributes else { return }
          try check(try ForwardedRequest(attributes, resolver))
        }
      } catch {
        try Fuzzing.check(
          error.category == .invalidArgument || error.category == .resourceExhausted, "\(error)")
      }
    }
  },

  FuzzTarget("route") {
    [
      "/orders/*/items\0/orders/7/items", "/files/**\0/files/a/b?x", "/\0/", "/**\0/a/",
      "/{id}/x\0/y/x", "/a//b\0/a//b", "/A\0/a",
    ].map { Array($0.utf8) }
  } run: { input in
    // A pattern, and a path behind the first NUL.
    let end = input.firstIndex(of: 0) ?? input.count
    let text = String(decoding: input[..<end], as: UTF8.self)
    guard let pattern = RoutePattern(parsing: text) else { return }
    try checkEqual(pattern.description, text, "description")
    let path = Array(input[min(end + 1, input.count)...])
    guard (try? SelectorParsing.checkPath(path.span.bytes)) != nil else { return }
    let matches = pattern.matches(RoutePath(path.span.bytes))
    let nearly = pattern.nearlyMatches(RoutePath(path.span.bytes))
    let plain = path.prefix { !"?#".utf8.contains($0) }
    try checkEqual(matches, isCovered(plain, by: text), "\(plain) by \(text)")
    try checkEqual(
      nearly, isCovered(plain.map(lowered), by: text, lowered), "nearly \(plain) by \(text)")
  },

  FuzzTarget("percent-encoding") {
    ["-----BEGIN%20CERTIFICATE-----%0AMII%3D", "%", "%4", "%zz", "a%2Bb", "+", ""].map {
      Array($0.utf8)
    }
  } run: { input in
    if let decoded = PercentEncoding.decode(input.span.bytes) {
      try check(decoded.count <= input.count, "grew")
      let escaped = decoded.flatMap { Array("%\(hex($0 >> 4))\(hex($0 & 15))".utf8) }
      try checkEqual(PercentEncoding.decode(escaped.span.bytes), decoded, "decoded again")
    } else {
      try check(input.contains(UInt8(ascii: "%")), "refused without an escape")
    }
    // What goes into a header has neither its end nor an escape of others' making.
    let text = String(decoding: input, as: UTF8.self)
    let encoded = PercentEncoding.encode(text)
    try check(encoded.utf8.allSatisfy { (0x21...0x7E).contains($0) }, "not visible: \(encoded)")
    let back = PercentEncoding.decode(encoded.utf8Span.span.bytes)
    try checkEqual(back, Array(text.utf8), "encoded and decoded")
  },

  FuzzTarget("authorization") {
    ["Bearer a.b.c", "bearer  x", "Basic x", "Bearer", "Bearer ", ""].map { Array($0.utf8) }
  } run: { input in
    try input.withUnsafeBytes { bytes in
      guard let token = BearerToken.token(in: bytes) else { return }
      try check(!token.isEmpty && token.first != UInt8(ascii: " "), "no token")
      let scheme = bytes.prefix(bytes.count - token.count)
      try check(
        String(decoding: scheme, as: UTF8.self).lowercased()
          == "bearer" + String(repeating: " ", count: scheme.count - 6), "another scheme")
    }
  },
]

/// So that the name is not that of what is done here.
private enum Fuzzing {
  static func check(_ condition: Bool, _ what: @autoclosure () -> String) throws {
    if !condition { throw PropertyFailure(description: what()) }
  }
}

private let rule = MethodRule.of(EnvoyAuth.Authorization.check.identity)
private let resolver = Resolver(ResolutionRules())

private func check(_ request: borrowing ForwardedRequest) throws(TenancyError) {
  try SelectorParsing.checkPath(request.bare)
  let path = RoutePath(request.bare)
  _ = [PlatformRoute]().need(of: request.method, path)
}

/// As the documentation has it, by splitting.
private func isCovered(
  _ path: some Sequence<UInt8>, by pattern: String, _ fold: (UInt8) -> UInt8 = { $0 }
) -> Bool {
  func segments(_ text: some Sequence<UInt8>) -> [[UInt8]] {
    var parts = Array(text).dropFirst().split(
      separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    if parts.last?.isEmpty ?? false { parts.removeLast() }
    return parts.map(Array.init)
  }
  var wanted = segments(pattern.utf8)
  let found = segments(path)
  let isOpen = wanted.last == Array("**".utf8)
  if isOpen { wanted.removeLast() }
  guard isOpen ? found.count >= wanted.count : found.count == wanted.count else { return false }
  return zip(wanted, found).allSatisfy { wanted, found in
    let isAny = wanted == [UInt8(ascii: "*")] || wanted.first == UInt8(ascii: "{")
    let folded: [UInt8] = wanted.map(fold)
    return isAny || folded == found
  }
}

private func lowered(_ byte: UInt8) -> UInt8 {
  (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
}

private func hex(_ digit: UInt8) -> String { String(digit, radix: 16) }
