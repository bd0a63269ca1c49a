import TenancyTokens
import Testing

@testable import Tenancy
@testable import TenancyServer

/// Which answers are keys.
struct KeySetAnswerTests {
  private func read(_ text: String) throws -> Int { try result(text).get().keys.count }

  private func result(
    _ text: String
  ) throws -> Result<(keys: [ExternalKey], maximumAge: Int?), KeySetFailure> {
    let issuer = {
      var issuer = ExternalIssuer(id: "corp", issuer: "https://corp.test", keys: [])
      issuer.published = PublishedKeySet(url: "https://corp.test/")
      return issuer
    }()
    let job = KeySetJob(
      source: try #require(KeySource(issuer, owner: nil)),
      url: try #require(HTTPSURL(parsing: "https://corp.test/")), pins: [])
    return FetchedKeySets.read(KeySetAnswer(body: Array(text.utf8), maximumAge: nil), for: job)
  }

  private func set(_ count: Int, kid: String? = nil, more: String = "") throws -> String {
    let keys = try (0..<count).map { _ in
      String(
        decoding: try OutsideProvider("https://corp.test").key.json().bytes(), as: UTF8.self)
    }
    let text = keys.map { key in
      kid.map { kid in key.replacing(#/"kid":"[^"]*"/#, with: "\"kid\":\"\(kid)\"") } ?? key
    }
    return "{\"keys\":[\((text + (more.isEmpty ? [] : [more])).joined(separator: ","))]}"
  }

  @Test func keysThatAreUsed() throws {
    #expect(try read(try set(1)) == 1 && read(try set(16)) == 16)
    // Others are left out.
    #expect(try read(try set(1, more: "{\"kty\":\"EC\",\"crv\":\"secp256k1\"}")) == 1)
  }

  /// Of an answer that is not used: which keys are in it all the same.
  @Test(
    arguments: [
      ("{\"keys\":[]}", 0), ("{\"keys\":[7]}", 0), ("{\"keys\":[{\"kty\":\"new\"}]}", 0), ("", nil),
      ("{}", nil), ("[]", nil), ("{\"keys\":{}}", nil), ("{\"keys\":[],\"keys\":[]}", nil),
    ] as [(String, Int?)])
  func whichAreListed(_ text: String, _ count: Int?) throws {
    guard case .failure(let failure) = try result(text) else {
      Issue.record("it is used")
      return
    }
    #expect(failure.listed?.count == count)
  }

  @Test(arguments: ["7", "{\"kty\":\"oct\",\"k\":\"AAAA\"}", "{\"kty\":\"EC\"}"])
  func othersAreListedBesideABadOne(_ bad: String) throws {
    let text = try set(2)
    let keys = Set(try result(text).get().keys)
    guard case .failure(let failure) = try result(text.dropLast(2) + ",\(bad)]}") else {
      Issue.record("it is used")
      return
    }
    #expect(failure.listed == keys && keys.count == 2)
  }

  @Test func aKeyThatEverybodyHasIsNotListed() throws {
    let text = try set(1)
    let key = text.dropFirst(9).dropLast(2)
    guard
      case .failure(let failure) = try result(
        "{\"keys\":[\(key),\(key.dropLast()),\"d\":\"AAAA\"}]}")
    else {
      Issue.record("it is used")
      return
    }
    #expect(failure.listed?.isEmpty == true)
  }

  @Test func allOrNone() throws {
    for text in [
      "", "{}", "[]", "{\"keys\":[]}", try set(17), try set(2, kid: "same"),
      try set(1, more: "{\"kty\":\"oct\",\"k\":\"AAAA\"}"),
      try set(1, more: "{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"AAAA\"}"),
      try set(1, more: "7"), try set(1) + "x", try set(1, kid: String(repeating: "k", count: 3000)),
    ] {
      #expect(throws: KeySetFailure.self, "\(text.prefix(80))") { try read(text) }
    }
  }
}
