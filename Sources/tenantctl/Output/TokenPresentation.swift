import Foundation
import Tenancy
import TenancyCrypto
import TenancyTokens
import TenancyWire

/// What a token claims, whoever has made it: also one that nobody should accept.
struct ForeignToken {
  let header: TokenJSON
  let claims: TokenJSON
  /// Why it would be refused before anybody looks at keys.
  let refusal: TokenRefusal?

  /// - Parameter token: without `Bearer`.
  /// - Throws: `InputFailure` where header and claims can't be read at all.
  init(parsing token: [UInt8]) throws(InputFailure) {
    guard token.count <= CompactJWS.defaultMaximumBytes else {
      throw InputFailure(
        reason: "the token has more than \(CompactJWS.defaultMaximumBytes) bytes")
    }
    let parts = token.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 3 else {
      throw InputFailure(reason: "the token has not three parts with dots between them")
    }
    header = try Self.part("header", parts[0])
    claims = try Self.part("payload", parts[1])
    do throws(TokenRefusal) {
      _ = try ClaimedToken(parsing: token)
      refusal = nil
    } catch {
      refusal = error
    }
  }

  private static func part(
    _ name: String, _ text: ArraySlice<UInt8>
  ) throws(InputFailure) -> TokenJSON {
    guard let bytes = Base64URL.decode(text.span) else {
      throw InputFailure(reason: "the \(name) is not base64url without padding")
    }
    do throws(TokenJSONError) {
      return try TokenJSONReader.value(
        bytes, TokenJSONReader.Limits(bytes: CompactJWS.defaultMaximumBytes))
    } catch {
      throw InputFailure(reason: "the \(name) is not JSON as tokens have it: \(error.rawValue)")
    }
  }
}

extension ForeignToken: Presentable {
  private static let moments: Set<String> = ["exp", "iat", "nbf", "auth_time"]

  func lines() -> [String] {
    var fields = Fields()
    for (part, value) in [("Header", header), ("Claims", claims)] {
      guard case .object(let members) = value else {
        fields.add(part, Self.text(value))
        continue
      }
      let shown = Table.align(
        members.map { [$0.name.text, Self.text($0.value, of: $0.name.text)] }, gap: 2)
      fields.add(part, each: shown)
    }
    fields.add("Refused", refusal.map(\.description) ?? "")
    return fields.lines()
  }

  func json() -> JSONValue {
    var members = ["header": JSONValue(header), "claims": JSONValue(claims)]
    if let refusal {
      members["refusal"] = .object([
        "reason": .string(refusal.reason.rawValue), "detail": .string(refusal.detail),
      ])
    }
    return .object(members)
  }

  private static func text(_ value: TokenJSON, of name: String = "") -> String {
    switch value {
    case .text(let text): return text.text
    case .number(let digits) where moments.contains(name):
      guard let seconds = Int64(digits) else { return digits }
      let time = GoogleProtobuf.Timestamp(seconds: seconds).text
      return time.isEmpty ? digits : "\(digits) (\(time))"
    default: return String(decoding: value.bytes(), as: UTF8.self)
    }
  }
}

extension JSONValue {
  init(_ value: TokenJSON) {
    switch value {
    case .null: self = .null
    case .bool(let value): self = .bool(value)
    // One that no Double holds stays as it was written.
    case .number(let digits):
      let number = Double(digits)
      self = number.flatMap { $0.isFinite ? .number($0) : nil } ?? .string(digits)
    case .text(let text): self = .string(text.text)
    case .list(let values): self = .array(values.map { JSONValue($0) })
    case .object(let members):
      self = .object(
        Dictionary(
          members.map { ($0.name.text, JSONValue($0.value)) }, uniquingKeysWith: { $1 }))
    }
  }
}

extension V1.IssueTokenResponse: Presentable {
  func lines() -> [String] { NewToken.lines(tokenId, expireTime, token) }
}

extension V1.ExchangeTokenResponse: Presentable {
  func lines() -> [String] { NewToken.lines(tokenId, expireTime, token) }
}

private enum NewToken {
  static func lines(
    _ id: String, _ end: GoogleProtobuf.Timestamp?, _ token: String
  ) -> [String] {
    var fields = Fields()
    fields.add("Token id", id)
    fields.add("Expires", end?.text ?? "")
    fields.add("Token", token)
    return fields.lines()
  }
}

extension V1.IntrospectTokenResponse: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Active", active ? "yes" : "no")
    fields.add("Tenant", tenant)
    fields.add("Subject", subject)
    fields.add("Acting", each: actors)
    fields.add("Issuer", issuer)
    fields.add("Audiences", each: audiences)
    fields.add("Permissions", each: permissions)
    fields.add("Token id", tokenId)
    fields.add("Issued", issueTime?.text ?? "")
    fields.add("Expires", expireTime?.text ?? "")
    fields.add("Certificate", HexText.encode(certificateSha256))
    return fields.lines()
  }
}

extension V1.TokenKey {
  fileprivate var algorithmName: String { algorithm == .eddsa ? "EdDSA" : algorithm.shortName }
}

extension V1.RotateTokenKeyResponse: Presentable {
  func lines() -> [String] {
    var fields = Fields()
    fields.add("Key", key?.id ?? "")
    fields.add("Algorithm", key?.algorithmName ?? "")
    fields.add("Created", key?.createTime?.text ?? "")
    return fields.lines()
  }
}

extension V1.GetJsonWebKeySetResponse: Presentable {
  func lines() -> [String] {
    var table = Table("KEY", "ALGORITHM", "CREATED", "RETIRED", "VERIFIES UNTIL")
    for key in keys {
      table.add(
        key.id, key.algorithmName, key.createTime?.text ?? "", key.retireTime?.text ?? "",
        key.verifyUntilTime?.text ?? "")
    }
    return ["Issuer: \(Printable.text(issuer))", ""] + table.lines()
  }
}
