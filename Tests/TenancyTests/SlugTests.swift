import TenancyTestSupport
import Testing

@testable import Tenancy

struct SlugTests {
  @Test(arguments: [
    "a", "0", "acme", "a-b", "a--b", "1-2", "xn--80ak6aa92e", String(repeating: "a", count: 63),
    "0190b0c0-0000-7000-8000-00000000000", "0190b0c0-0000-7000-8000-0000000000000",
  ])
  func accepts(_ text: String) { #expect(Slug(parsing: text)?.text == text) }

  @Test(arguments: [
    "", "-", "-a", "a-", "A", "Acme", "a_b", "a.b", "a b", " a", "a\n", "a\0", "ä", "a\u{301}",
    "ⓐ", "a/b", "..", "%61", String(repeating: "a", count: 64),
    // Ids, of tenants or not, are no slugs.
    "0190b0c0-0000-7000-8000-000000000000", "00000000-0000-0000-0000-000000000000",
  ])
  func refuses(_ text: String) { #expect(Slug(parsing: text) == nil) }

  @Test(arguments: [
    ("Acme", "acme"), ("Acme, Inc.", "acme-inc"), ("  --A  B--  ", "a-b"), ("Zürich", "z-rich"),
    ("100 %", "100"), (String(repeating: "x", count: 200), String(repeating: "x", count: 63)),
    (String(repeating: "x", count: 62) + " y", String(repeating: "x", count: 62)),
  ])
  func derives(_ name: String, _ slug: String) { #expect(Slug(deriving: name)?.text == slug) }

  @Test(arguments: ["", "---", "東京", "0190B0C0-0000-7000-8000-000000000000"])
  func derivesNothing(_ name: String) { #expect(Slug(deriving: name) == nil) }

  @Test func whatIsDerivedParses() {
    var random = SeededGenerator(seed: 1)
    let scalars = Array("aZ09-_ .,éß東\u{0}\u{301}".unicodeScalars)
    for _ in 0..<2000 {
      var name = String.UnicodeScalarView()
      for _ in 0..<Int.random(in: 0...80, using: &random) { name.append(random.pick(scalars)) }
      if let slug = Slug(deriving: String(name)) { #expect(Slug(parsing: slug.text) == slug) }
    }
  }
}
