import Foundation
import Tenancy
import TenancyCrypto
import TenancyTestSupport
import TenancyTokens
import Testing

@testable import TenancyWorkload

/// JWT-SVIDs: what is issued, and what is taken.
struct TokenAuthorityTests {
  private let directory: TemporaryDirectory
  private let authority: TokenAuthority
  private let now = Timestamp(nanoseconds: 1_800_000_000_500_000_000)
  private static let subject = "spiffe://example.test/tenant/a/web"

  init() throws {
    directory = try TemporaryDirectory()
    for name in ["one", "two"] {
      let files = CredentialFiles(directory: directory.path, name: name)
      try CertificateAuthority.create(commonName: name, trustDomain: "example.test").save(files)
    }
    authority = try Self.load(directory, "one", "two")
  }

  private static func load(
    _ directory: TemporaryDirectory, _ names: String..., domain: String = "example.test"
  ) throws -> TokenAuthority {
    let files = names.map { CredentialFiles(directory: directory.path, name: $0).privateKey }
    return try TokenAuthority(keys: files, trustDomain: domain)
  }

  private func issue(
    _ authority: TokenAuthority? = nil, subject: String = subject, seconds: Int64 = 60
  ) throws -> String {
    try #require(
      try (authority ?? self.authority).issue(
        subject: subject, audiences: ["x", "y"], seconds: seconds, at: now))
  }

  private func refusal(_ token: String, audience: String = "x", after seconds: Int64 = 0)
    -> TokenRefusal.Reason?
  {
    do throws(TokenRefusal) {
      _ = try authority.validate(token, audience: audience, at: now + .seconds(seconds))
      return nil
    } catch {
      return error.reason
    }
  }

  @Test func whatIsIssuedIsTaken() throws {
    let token = try issue()
    let found = try authority.validate(token, audience: "y", at: now)
    #expect(found.subject == Self.subject)
    #expect(refusal(token, audience: "z") == .audience)
    #expect(refusal(token, after: 59) == nil && refusal(token, after: 60) == .expired)
    #expect(refusal(token, after: -1) == .notYetValid)
  }

  @Test func theyDoNotLiveLong() throws {
    let token = try issue(seconds: 86_400)
    #expect(refusal(token, after: 299) == nil && refusal(token, after: 300) == .expired)
  }

  @Test func allKeysVerifyAndTheFirstSigns() throws {
    let (one, two) = (try Self.load(directory, "one"), try Self.load(directory, "two"))
    #expect(refusal(try issue(two)) == nil)
    #expect(throws: TokenRefusal.self) {
      try two.validate(issue(), audience: "x", at: now)
    }
    _ = try one.validate(issue(), audience: "x", at: now)
    let again = try Self.load(directory, "one", "two")
    let other = try Self.load(directory, "two", "one")
    #expect(authority.isSame(as: again) && !authority.isSame(as: other))
    #expect(!one.isSame(as: authority))
  }

  @Test func thoseOfOthersAreNotTaken() throws {
    let foreign = try Self.load(directory, "one", domain: "other.test")
    #expect(refusal(try issue(foreign)) == .issuer)
    #expect(refusal(try issue(subject: "spiffe://other.test/x")) == .claims)
    #expect(refusal(try issue(subject: "user:al")) == .claims)
    #expect(refusal("") == .malformed && refusal(String(repeating: "x", count: 9_000)) == .tooLarge)
  }

  @Test func thereAreSoManyKeysAndNoMore() throws {
    #expect(throws: (any Error).self) { try TokenAuthority(keys: [], trustDomain: "example.test") }
    #expect(throws: (any Error).self) { try Self.load(directory, "one", "one") }
    let files = CredentialFiles(directory: directory.path, name: "one")
    #expect(throws: (any Error).self) {
      try TokenAuthority(keys: [files.certificate], trustDomain: "example.test")
    }
  }

  /// By hand, as the encoding of protobuf has it.
  @Test func structsAreEncoded() throws {
    func encoded(_ json: String) throws -> [UInt8] {
      StructBytes.encode(
        try TokenJSONReader.object(Array(json.utf8), TokenJSONReader.Limits(bytes: 1_000)))
    }
    #expect(try encoded("{}") == [])
    #expect(try encoded(#"{"a":null}"#) == [10, 7, 10, 1, 97, 18, 2, 8, 0])
    #expect(try encoded(#"{"a":true}"#) == [10, 7, 10, 1, 97, 18, 2, 32, 1])
    #expect(try encoded(#"{"a":"b"}"#) == [10, 8, 10, 1, 97, 18, 3, 26, 1, 98])
    #expect(
      try encoded(#"{"a":1}"#) == [10, 14, 10, 1, 97, 18, 9, 17, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F])
    #expect(
      try encoded(#"{"a":["b"]}"#)
        == [10, 12, 10, 1, 97, 18, 7, 50, 5, 10, 3, 26, 1, 98])
    #expect(try encoded(#"{"a":{}}"#) == [10, 7, 10, 1, 97, 18, 2, 42, 0])
    let long = String(repeating: "b", count: 300)
    let tail: [UInt8] = [26, 0xAC, 2] + Array(long.utf8)
    #expect(
      try encoded(#"{"a":"\#(long)"}"#)
        == [10, 0xB5, 2, 10, 1, 97, 18, 0xAF, 2] + tail)
  }
}
