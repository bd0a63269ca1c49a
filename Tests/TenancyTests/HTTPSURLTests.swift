import Testing

@testable import Tenancy

struct HTTPSURLTests {
  @Test func parts() throws {
    let url = try #require(HTTPSURL(parsing: "https://id.example.com:8443/a/b%2F?c=d&e"))
    #expect(url.host == "id.example.com" && url.port == 8443 && url.target == "/a/b%2F?c=d&e")
    #expect(url.authority == "id.example.com:8443" && "\(url)" == url.text)
    let short = try #require(HTTPSURL(parsing: "https://localhost"))
    #expect(short.host == "localhost" && short.port == 443 && short.target == "/")
    #expect(short.authority == "localhost")
    let usual = try #require(HTTPSURL(parsing: "https://xn--bcher-kva.example:443/"))
    #expect(usual.port == 443 && usual.authority == "xn--bcher-kva.example")
  }

  @Test(arguments: [
    "", "https://", "https:///x", "http://a.test/", "HTTPS://a.test/", "https:/a.test/",
    "https://a.test@b.test/", "https://a:b@c.test/", "https://a.test/#", "https://a.test/#x",
    "https://A.test/", "https://a.test./", "https://.a.test/", "https://a..test/",
    "https://-a.test/", "https://a-.test/", "https://a_b.test/", "https://é.test/",
    "https://a.test\u{0}/", "https://a.test:/", "https://a.test:0/", "https://a.test:080/",
    "https://a.test:65536/", "https://a.test:99999999999999999999/", "https://a.test:-1/",
    "https://a.test:80:80/", "https://a.test?x", "https://a.test\\x", "https://a.test/\\",
    "https://a.test/ x", "https://a.test/x\r\nHost: b", "https://a.test/\u{7F}", "https://a.test/é",
    "https://a.test/%", "https://a.test/%2", "https://a.test/%zz", "https://a.test/<x>",
    "https://127.0.0.1/", "https://1/", "https://127.1/", "https://0x7f.0x1/", "https://a.0x1/",
    "https://a.1/", "https://[::1]/", "https://::1/", " https://a.test/", "https://a.test/ ",
  ])
  func others(_ text: String) {
    #expect(HTTPSURL(parsing: text) == nil)
  }

  @Test func bounds() {
    let start = "https://a.test/"
    let rest = HTTPSURL.maximumBytes - start.utf8.count
    #expect(HTTPSURL(parsing: start + String(repeating: "x", count: rest)) != nil)
    #expect(HTTPSURL(parsing: start + String(repeating: "x", count: rest + 1)) == nil)
    func name(_ label: Int, _ all: Int) -> String {
      let labels = String(repeating: String(repeating: "a", count: label) + ".", count: 5)
      return "https://" + labels.prefix(all - 1) + "a/"
    }
    #expect(HTTPSURL(parsing: name(63, 253)) != nil)
    #expect(HTTPSURL(parsing: name(63, 254)) == nil)
    #expect(HTTPSURL(parsing: name(64, 200)) == nil)
    #expect(HTTPSURL(parsing: "https://a.test:65535/") != nil)
  }

  @Test(arguments: [
    ("id.test", "https://id.test/x", true), ("id.test", "https://id.test:443/", true),
    ("id.test", "https://id.test:8443/", false), ("id.test:8443", "https://id.test:8443/", true),
    ("id.test:8443", "https://id.test/", false), ("id.test", "https://a.id.test/", false),
    ("id.test", "https://xid.test/", false), ("id.test", "https://id.test.evil.test/", false),
    ("*.id.test", "https://a.id.test/", true), ("*.id.test", "https://a.b.id.test/", true),
    ("*.id.test", "https://id.test/", false), ("*.id.test", "https://xid.test/", false),
    ("*.id.test", "https://a.id.test:444/", false),
    ("*.id.test:444", "https://a.id.test:444/", true),
    ("*.id.test", "https://a.id.test.evil.test/", false),
  ])
  func patterns(_ pattern: String, _ url: String, _ matches: Bool) throws {
    let url = try #require(HTTPSURL(parsing: url))
    #expect(try #require(HostPattern(parsing: pattern)).matches(url) == matches)
  }

  @Test(arguments: [
    "", "*", "*.", ".test", "*.*.test", "a.*.test", "*test", "A.test", "a.test.", "10.0.0.1",
    "[::1]", "a.test:", "a.test:0", "https://a.test", "a.test/", "a.test:65536",
  ])
  func patternsThatAreNone(_ text: String) {
    #expect(HostPattern(parsing: text) == nil)
  }

  @Test func pins() {
    let zeros = String(repeating: "A", count: 43) + "="
    #expect(PublishedKeySet.digest(ofPin: zeros) == [UInt8](repeating: 0, count: 32))
    let all = String(repeating: "/", count: 42) + "8="
    #expect(PublishedKeySet.digest(ofPin: all) == [UInt8](repeating: 0xFF, count: 32))
    let known = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    #expect(PublishedKeySet.digest(ofPin: known)?.prefix(4) == [0xE3, 0xB0, 0xC4, 0x42])
    for text in [
      "", "=", String(zeros.dropLast()), zeros + "=", "A" + zeros,
      String(repeating: "A", count: 42) + "B=", String(repeating: "-", count: 43) + "=",
      String(repeating: "A", count: 42) + "==", String(repeating: "A", count: 44),
    ] {
      #expect(PublishedKeySet.digest(ofPin: text) == nil, "\(text)")
    }
  }
}
