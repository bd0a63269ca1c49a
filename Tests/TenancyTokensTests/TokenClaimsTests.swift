import Tenancy
import TenancyCrypto
import TenancyTestSupport
import Testing

@testable import TenancyTokens

@Suite struct TokenClaimsTests {
  private func refusal(_ changes: [String: String?]) -> TokenRefusal.Reason? {
    do throws(TokenRefusal) {
      _ = try TokenClaims(parsing: Issuer.payload(changes).bytes)
      return nil
    } catch {
      return error.reason
    }
  }

  @Test(arguments: ["iss", "sub", "jti", "client_id", "tid"]) func texts(name: String) {
    let long = String(repeating: "a", count: 512)
    #expect(refusal([name: "\"\(long)\""]) == nil)
    #expect(refusal([name: "\"\(long)a\""]) == .claims)
    for bad in [
      "1", "null", "true", "[]", "{}", #"["a"]"#, #""""#, #""a\nb""#, #""\u007f""#, #""\u0085""#,
    ] {
      #expect(refusal([name: bad]) == .claims, "\(bad)")
    }
    #expect(refusal([name: nil]) == (["iss", "sub"].contains(name) ? .claims : nil))
  }

  @Test(arguments: ["roles", "permissions"]) func lists(name: String) {
    #expect(refusal([name: "[]"]) == nil)
    #expect(refusal([name: #"["a","b"]"#]) == nil)
    let many = Array(repeating: #""a""#, count: 256).joined(separator: ",")
    #expect(refusal([name: "[\(many)]"]) == nil)
    #expect(refusal([name: "[\(many),\"a\"]"]) == .claims)
    for bad in [#""a""#, "{}", "1", "null", "[1]", "[null]", #"[""]"#, #"[["a"]]"#] {
      #expect(refusal([name: bad]) == .claims, "\(bad)")
    }
  }

  @Test func scopeAndEpoch() {
    #expect(refusal(["scope": #""a b:c""#]) == nil)
    for bad in [
      #""""#, #"" ""#, #""a  b""#, #"" a""#, #""a ""#, #""a\tb""#, #""ä""#, #""a\\b""#, #"["a"]"#,
      "null",
    ] {
      #expect(refusal(["scope": bad]) == .claims, "\(bad)")
    }
    #expect(refusal(["tep": "9007199254740991"]) == nil)
    for bad in ["9007199254740992", "1.0", "1e3", "-1", "-0", "\"1\"", "null", "true"] {
      #expect(refusal(["tep": bad]) == .claims, "\(bad)")
    }
  }

  @Test func actors() throws {
    func act(_ depth: Int) -> String {
      (1...depth).reduce("") { inner, at in
        #"{"sub":"\#(at)"\#(inner.isEmpty ? "" : ",\"act\":" + inner)}"#
      }
    }
    let claims = try TokenClaims(parsing: Issuer.payload(["act": act(4)]).bytes)
    #expect(claims.actors.map(\.subject) == ["4", "3", "2", "1"])
    #expect(refusal(["act": act(5)]) == .claims)
    for bad in [
      "null", #""a""#, "{}", #"{"sub":1}"#, #"{"sub":"a","iss":1}"#, #"{"sub":"a","act":null}"#,
      "[]",
    ] {
      #expect(refusal(["act": bad]) == .claims, "\(bad)")
    }
  }

  @Test func othersAreKept() throws {
    let claims = try TokenClaims(
      parsing: Issuer.payload(["realm": #"{"roles":["a",1.50]}"#, "email": "null"]).bytes)
    #expect(claims.others.map(\.name) == ["email", "realm"])
    #expect(claims.others["realm"]?.bytes() == #"{"roles":["a",1.50]}"#.bytes)
  }

  /// A fuzzer found that members within another claim kept an order that is not written again.
  @Test func orderOfMembersDoesNotMatter() throws {
    let claims = try TokenClaims(parsing: Issuer.payload(["x": #"{"b":1,"a":2}"#]).bytes)
    #expect(try TokenClaims(parsing: claims.payload()) == claims)
  }

  @Test func numericDates() {
    for (text, nanoseconds): (String, Int64?) in [
      ("0", 0), ("1", 1_000_000_000), ("1.5", 1_500_000_000), ("0.0000000019", 1), ("1e-9", 1),
      ("15e-1", 1_500_000_000), ("0.001e3", 1_000_000_000), ("1.25E+2", 125_000_000_000),
      ("9223372036.854775807", .max), ("9223372036.854775808", nil), ("0e50", 0), ("-1", nil),
      ("1e11", nil), ("1e65", nil), ("00000", 0), ("1e-64", 0),
      ("9223372036", 9_223_372_036_000_000_000), ("9223372037", nil), ("-0", nil),
      ("9223372036854775808", nil), ("1e-9223372036854775808", nil),
      ("1e9223372036854775807", nil), ("1e-9223372036854775809", nil), ("1e-65", nil),
    ] {
      #expect(NumericDate.timestamp(text)?.nanoseconds == nanoseconds, "\(text)")
    }
  }

  /// Whatever can be said is read again, and only by the key and for whom it is meant.
  @Test(arguments: [SignatureAlgorithm.es256, .eddsa])
  func roundTrips(algorithm: SignatureAlgorithm) throws {
    let issuer = try Issuer(algorithm)
    let stranger = try Issuer(algorithm)
    var random = SeededGenerator(seed: 7)
    for _ in 0..<200 {
      let claims = Self.anyClaims(&random)
      let token = try issuer.tokens.issue(claims)
      let verified = try TokenVerifier.verify(
        token, keys: issuer.keys, expecting: Issuer.expectations(),
        certificate: claims.certificateSHA256, now: Issuer.moment())
      #expect(verified.claims == claims)
      #expect(claims.payload() == verified.claims.payload())
      #expect(stranger.refusal(token, certificate: claims.certificateSHA256) == .keyUnknown)
      if algorithm == .eddsa { #expect(try issuer.tokens.issue(claims) == token) }
    }
  }

  static func anyClaims(_ random: inout SeededGenerator) -> TokenClaims {
    let words: [ExactText] = ["a", "é", "e\u{301}", "\"\\", "𝄞", "a:b", "K", "\u{212A}"]
    func some(_ random: inout SeededGenerator) -> [ExactText] {
      (0..<Int.random(in: 0...3, using: &random)).map { _ in random.pick(words) }
    }
    var claims = Issuer.claims()
    claims.subject = random.pick(words)
    claims.audience = ["other"] + some(&random)
    claims.expires = Timestamp(
      nanoseconds: Issuer.moment().nanoseconds
        + Int64.random(in: 1...800_000_000_000, using: &random))
    if Bool.random(using: &random) { claims.notBefore = Issuer.moment(-5) }
    if Bool.random(using: &random) { claims.tokenID = random.pick(words) }
    if Bool.random(using: &random) { claims.clientID = random.pick(words) }
    if Bool.random(using: &random) { claims.certificateSHA256 = random.bytes(32) }
    claims.roles = some(&random)
    claims.permissions = some(&random)
    claims.scope = ["a:b", "c"].prefix(Int.random(in: 0...2, using: &random)).map { $0 }
    claims.actors = some(&random).map {
      TokenClaims.Actor(subject: $0, issuer: random.pick([nil, "i"]))
    }
    if Bool.random(using: &random) {
      claims.others = [TokenJSON.Member("x", .list([.null, .bool(true), .number("1.50")]))]
    }
    return claims
  }

  @Test func whatCannotBeSaidIsNotIssued() throws {
    let issuer = try Issuer()
    func isRefused(_ change: (inout TokenClaims) -> Void) -> Bool {
      var claims = Issuer.claims()
      change(&claims)
      return (try? issuer.tokens.issue(claims)) == nil  // Refused, for whatever reason.
    }
    #expect(!isRefused { _ in })
    #expect(isRefused { $0.audience = [] })
    #expect(isRefused { $0.subject = "" })
    #expect(isRefused { $0.subject = "a\0" })
    #expect(isRefused { $0.scope = ["a b"] })
    #expect(isRefused { $0.certificateSHA256 = [1] })
    #expect(isRefused { $0.tenantEpoch = .max })
    #expect(isRefused { $0.others = [TokenJSON.Member("sub", .text("root"))] })
    #expect(isRefused { $0.others = [TokenJSON.Member("jti", .text("x"))] })
    #expect(isRefused { $0.others = [TokenJSON.Member("x", .number("01"))] })
    #expect(isRefused { $0.roles = Array(repeating: "role", count: 257) })
    #expect(
      isRefused {
        $0.roles = (0..<200).map { ExactText("\($0)" + String(repeating: "r", count: 40)) }
      })
    #expect(throws: CryptoError.self) { try TokenSigner(MessageSigner(generating: .es384)) }
  }
}
