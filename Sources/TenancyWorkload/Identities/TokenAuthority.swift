internal import Tenancy
internal import TenancyCrypto
internal import TenancyTokens

/// Issues and judges JWT-SVIDs of one trust domain: JWS with ES256. Immutable and thread-safe.
package final class TokenAuthority: Sendable {
  /// Keys from files, at most.
  package static let maximumKeys = 8
  /// Seconds that a token lasts, at most.
  static let longestLife = SigningAuthority.Kind.jwt.longestLife
  /// Of a token that is judged, as it travels.
  static let maximumBytes = CompactJWS.defaultMaximumBytes

  /// The claim that names the registration entry.
  private static let registration: ExactText = "tenancy_entry"

  let trustDomain: String
  /// A JWK set.
  let bundle: [UInt8]
  let keys: JWKSet
  /// Nil: no tokens are issued.
  let signer: TokenSigner?

  /// - Parameter files: PEM: P-256 private keys. The first signs, all are published and verify.
  /// - Throws: why one can't be used.
  package convenience init(keys files: [String], trustDomain: String) throws {
    let signers = try files.map { try TokenSigner(MessageSigner(file: $0, .es256)) }
    guard let first = signers.first, signers.count <= Self.maximumKeys else {
      throw TokenAuthorityError(description: "1 to \(Self.maximumKeys) keys are expected")
    }
    self.init(
      trustDomain: trustDomain, signing: first, keys: try JWKSet(signers.map(\.key)))
  }

  /// - Parameter keys: those that are published and verify.
  init(trustDomain: String, signing signer: TokenSigner?, keys: JWKSet) {
    self.trustDomain = trustDomain
    self.signer = signer
    self.keys = keys
    bundle = keys.bytes()
  }

  /// Whether both issue and take the same.
  package func isSame(as other: TokenAuthority) -> Bool {
    bundle == other.bundle && signer?.key.keyID == other.signer?.key.keyID
  }

  private var issuer: ExactText { ExactText("spiffe://\(trustDomain)") }

  /// - Parameters:
  ///   - audiences: at least one.
  ///   - seconds: how long it lasts; never longer than `longestLife`.
  ///   - registration: the id of the registration entry that it is issued by.
  /// - Returns: nil where none signs.
  func issue(
    subject: String, audiences: [String], seconds: Int64, registration: String? = nil,
    at now: Timestamp
  ) throws -> String? {
    guard let signer else { return nil }
    // In whole seconds, as all readers take them.
    let issued = Timestamp(seconds: now.seconds, subsecondNanoseconds: 0)
    var claims = TokenClaims(
      issuer: issuer, subject: ExactText(subject), audience: audiences.map { ExactText($0) },
      issuedAt: issued, expires: issued + .seconds(min(seconds, Self.longestLife)))
    if let registration {
      claims.others = [TokenJSON.Member(Self.registration, .text(ExactText(registration)))]
    }
    return String(decoding: try signer.issue(claims, type: .jwt), as: UTF8.self)
  }

  /// What a token says, if it is one of these, alive, and for the audience.
  /// - Returns: its subject, all claims as an encoded `google.protobuf.Struct`, and the entry that it was issued by: nil
  ///   where an earlier version has issued it, which lasts no longer than it does.
  /// - Throws: why it is not accepted.
  func validate(
    _ token: String, audience: String, at now: Timestamp
  ) throws(TokenRefusal) -> (subject: String, claims: [UInt8], registration: String?) {
    let bytes = Array(token.utf8)
    let expecting = TokenExpectations(
      issuer: issuer, audiences: [ExactText(audience)], type: .jwt, maximumLife: Self.longestLife,
      requiresBinding: false)
    let verified = try TokenVerifier.verify(
      bytes, keys: keys, expecting: expecting, certificate: nil, now: now)
    let subject = verified.claims.subject.text
    guard SPIFFEID(parsing: subject)?.trustDomain == trustDomain else {
      throw TokenRefusal(.claims, "sub is no SPIFFE ID of the trust domain")
    }
    var registration: String?
    switch verified.claims.others[Self.registration] {
    case nil: break
    case .text(let id)?: registration = id.text
    default: throw TokenRefusal(.claims, "\(Self.registration) is not text")
    }
    let payload = try CompactJWS(parsing: bytes).payload
    do throws(TokenJSONError) {
      let members = try TokenJSONReader.object(
        payload, TokenJSONReader.Limits(bytes: Self.maximumBytes))
      return (subject, StructBytes.encode(members), registration)
    } catch {
      throw TokenRefusal(.malformed, "the payload is not JSON")
    }
  }
}

/// Keys that can't be used together.
package struct TokenAuthorityError: Error, CustomStringConvertible {
  package let description: String
}

/// `google.protobuf.Struct` on the wire: `fields` (1) of entries of key (1) and value (2); a value is null (1), a number
/// (2), a text (3), a bool (4), a Struct (5) or a list (6) of values (1). Written by hand, since messages that hold
/// themselves are not generated.
enum StructBytes {
  static func encode(_ members: [TokenJSON.Member]) -> [UInt8] {
    members.reduce(into: []) { out, member in
      out += field(1, field(1, Array(member.name.text.utf8)) + field(2, value(member.value)))
    }
  }

  private static func value(_ value: TokenJSON) -> [UInt8] {
    switch value {
    case .null: [1 << 3, 0]
    case .number(let digits): [2 << 3 | 1] + bytes(Double(digits) ?? 0)
    case .text(let text): field(3, Array(text.text.utf8))
    case .bool(let value): [4 << 3, value ? 1 : 0]
    case .object(let members): field(5, encode(members))
    case .list(let values):
      field(6, values.reduce(into: []) { out, element in out += field(1, self.value(element)) })
    }
  }

  private static func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
    [number << 3 | 2] + varint(content.count) + content
  }

  private static func varint(_ value: Int) -> [UInt8] {
    var (out, rest) = ([UInt8](), value)
    while rest >= 0x80 {
      out.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    return out + [UInt8(rest)]
  }

  private static func bytes(_ value: Double) -> [UInt8] {
    withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
  }
}
