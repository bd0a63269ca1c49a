@testable import TenancyCrypto
@testable import TenancyRPCCore
@testable import TenancyRPCServer

/// Text codings of gRPC, and names.
let codingTargets: [FuzzTarget] = [
  FuzzTarget("percent") {
    ["a%20b%C3%BC%zz%", "", "100%", "%E2%98%82", "naïve ☂ \n"].map { Array($0.utf8) }
      + [GRPCCoding.percentEncode("naïve ☂ 𝄞 \0\u{7F}%")]
  } run: { input in
    let decoded = GRPCCoding.percentDecode(input)
    let encoded = GRPCCoding.percentEncode(decoded)
    try check(encoded.allSatisfy { (0x20...0x7E).contains($0) }, "not printable ASCII")
    try checkEqual(GRPCCoding.percentDecode(encoded), decoded, "decoded again")
    let text = String(decoding: input, as: UTF8.self)
    try checkEqual(GRPCCoding.percentDecode(GRPCCoding.percentEncode(text)), text, "round trip")
  },

  FuzzTarget("base64") {
    (0..<6).map { GRPCCoding.base64Encode([UInt8](repeating: 0xA5, count: $0)) }
      + ["AAECAw==", "AAECAwQ=", "A", "====", "AA=A", "+/+/"].map { Array($0.utf8) }
  } run: { input in
    try checkEqual(
      GRPCCoding.base64Decode(GRPCCoding.base64Encode(input)), input, "round trip")
    guard let decoded = GRPCCoding.base64Decode(input) else { return }
    try check(decoded.count <= input.count, "grew")
    try checkEqual(
      GRPCCoding.base64Decode(GRPCCoding.base64Encode(decoded)), decoded, "decoded again")
    // Padding is all that may differ, and the unused bits of the last character.
    let symbols = input.filter { $0 != UInt8(ascii: "=") }
    let again = GRPCCoding.base64Encode(decoded)
    try check(again.dropLast() == symbols.dropLast(), "not the same text")
  },

  FuzzTarget("timeout") {
    ["1n", "99999999H", "100000000H", "0S", "5m", "u", "12345678u", "-1S", "1 S"].map {
      Array($0.utf8)
    } + [0, 1, 999_999_999, .max].map { Array(GRPCCoding.formatTimeout(nanoseconds: $0).utf8) }
  } run: { input in
    let parsed = input.withUnsafeBytes { GRPCCoding.parseTimeout($0) }
    let isWellFormed =
      (2...9).contains(input.count) && "HMSmun".utf8.contains(input[input.count - 1])
      && input.dropLast().allSatisfy { (0x30...0x39).contains($0) }
    try check((parsed != nil) == isWellFormed, "parsed to \(String(describing: parsed))")
    let nanoseconds = parsed ?? input.reduce(0) { $0 &* 257 &+ UInt64($1) }
    let text = Array(GRPCCoding.formatTimeout(nanoseconds: nanoseconds).utf8)
    let again = text.withUnsafeBytes { GRPCCoding.parseTimeout($0) } ?? .max
    // Never longer, and by less than a unit shorter: a unit is used for six digits and more, but for
    // hours, when seconds would take nine.
    try check(again <= nanoseconds, "\(nanoseconds) became \(again)")
    try check(nanoseconds - again <= nanoseconds / 25_000, "\(nanoseconds) became \(again)")
  },

  FuzzTarget("spiffe") {
    [
      "spiffe://example.org/tenant/acme/api", "spiffe://a/b", "spiffe://a", "spiffe:///a",
      "SPIFFE://a/b", "spiffe://A/b", "spiffe://a/../b", "spiffe://a//b", "spiffe://a/%20",
      "spiffe://u@a/b", "spiffe://a:1/b", "spiffe://a/b?c#d", "https://a/b",
    ].map { Array($0.utf8) }
  } run: { input in
    let text = String(decoding: input, as: UTF8.self)
    guard let id = SPIFFEID(parsing: text) else { return }
    // Canonical: there is one way to write each.
    try checkEqual(id.description, text, "description")
    try checkEqual(Array(id.description.utf8), input, "bytes")
    try check(!id.path.isEmpty && input.count <= SPIFFEID.maximumLength, "limits")
    try check(!id.path.contains { ["", ".", ".."].contains($0) || $0.contains("/") }, "segments")
    try check(!id.trustDomain.contains { "/:@?#%".contains($0) }, "trust domain")
  },

  FuzzTarget("method-path") {
    samplePaths.map { Array($0.utf8) }
      + ["", "/", "/a/b", "/test.Echo/InlinE"].map { Array($0.utf8) }
  } run: { input in
    let index = input.withUnsafeBytes { sampleMethods.find($0) }
    let expected = samplePaths.firstIndex { Array($0.utf8) == input } ?? -1
    try checkEqual(Int(index), expected, "index")
  },
]

/// Paths that differ in one byte, at the ends and in the middle.
private let samplePaths = [
  "/test.Echo/Inline", "/test.Echo/inline", "/test.Echo/Inlinf", "/Test.Echo/Inline", "/a/b/", "/a",
  "/tenancy.v1.TenantResolver/ResolveTenant", "/tenancy.v1.TenantResolver/ResolveTenanu",
]

private let sampleMethods = MethodTable(
  serving: samplePaths.map { path in FuzzMethod.inline(path: path) { _, _ throws(RPCStatus) in } })
