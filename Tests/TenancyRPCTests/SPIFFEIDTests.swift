import Testing

@testable import TenancyCrypto

@Suite("SPIFFE IDs")
struct SPIFFEIDTests {
  @Test(arguments: [
    ("spiffe://example.org/a", "example.org", ["a"]),
    ("spiffe://example.org/tenant/acme/A-Z_0.9", "example.org", ["tenant", "acme", "A-Z_0.9"]),
    ("spiffe://a_b-1/...", "a_b-1", ["..."]),
  ])
  func reads(text: String, domain: String, path: [String]) throws {
    let id = try #require(SPIFFEID(parsing: text))
    #expect(id.trustDomain == domain)
    #expect(id.path == path)
    #expect(id.description == text)
  }

  @Test(arguments: [
    "", "spiffe:", "spiffe://", "spiffe:///a", "spiffe://example.org", "spiffe://example.org/",
    "spiffe://example.org//a", "spiffe://example.org/a/", "spiffe://example.org/.",
    "spiffe://example.org/a/../b", "SPIFFE://example.org/a", "spiffe://Example.org/a",
    "spiffe://example.org:8443/a", "spiffe://user@example.org/a", "spiffe://example.org/a?b",
    "spiffe://example.org/a#b", "spiffe://example.org/%61", "spiffe://exämple.org/a",
    "spiffe://example.org/ä", "spiffe://example.org/a b", "spiffe://example.org/a\u{0}",
    " spiffe://example.org/a", "https://example.org/a", "spiffe://e\u{301}xample.org/a",
  ])
  func refuses(text: String) {
    #expect(SPIFFEID(parsing: text) == nil)
  }

  @Test func limitsAreMet() {
    let domain = String(repeating: "d", count: SPIFFEID.maximumTrustDomainLength)
    #expect(SPIFFEID(parsing: "spiffe://\(domain)/a") != nil)
    #expect(SPIFFEID(parsing: "spiffe://\(domain)d/a") == nil)
    let start = "spiffe://d/"
    let rest = String(repeating: "p", count: SPIFFEID.maximumLength - start.utf8.count)
    #expect(SPIFFEID(parsing: start + rest) != nil)
    #expect(SPIFFEID(parsing: start + rest + "p") == nil)
  }
}
