import TenancyTokens
import TenancyWire

/// Authentication settings in a file: what `auth show --output json` writes, and what people write. Keys may stand there
/// as JSON, or as text that has it.
struct AuthenticationFile {
  static let maximumBytes = 1 << 20

  let settings: V1.AuthenticationSettings

  /// - Throws: `InputFailure` where it is not JSON, has a member twice or one that is not known, or of another type.
  init(parsing bytes: [UInt8]) throws(InputFailure) {
    let value: TokenJSON
    do throws(TokenJSONError) {
      value = try TokenJSONReader.value(bytes, TokenJSONReader.Limits(bytes: Self.maximumBytes))
    } catch {
      throw InputFailure(reason: "the settings are not JSON as it is read here: \(error.rawValue)")
    }
    var members = try MemberReader(value, "settings")
    settings = V1.AuthenticationSettings(
      disableOwnTokens: try members.flag("disableOwnTokens"),
      disableExternalIssuers: try members.flag("disableExternalIssuers"),
      disablePlatformIssuers: try members.flag("disablePlatformIssuers"),
      maximumLife: try members.duration("maximumLife"),
      requireBinding: try members.flag("requireBinding"),
      issuers: try members.list("issuers") { value, place throws(InputFailure) in
        try Self.issuer(value, place)
      },
      etag: try members.text("etag"))
    try members.finish()
  }

  private static func issuer(
    _ value: TokenJSON, _ place: String
  ) throws(InputFailure) -> V1.ExternalIssuer {
    var members = try MemberReader(value, place)
    let issuer = V1.ExternalIssuer(
      id: try members.text("id"), issuer: try members.text("issuer"),
      disabled: try members.flag("disabled"),
      jsonWebKeySet: try members.json("jsonWebKeySet"),
      algorithms: try members.texts("algorithms"), audiences: try members.texts("audiences"),
      acceptJwtType: try members.flag("acceptJwtType"),
      subjectClaim: try members.text("subjectClaim"),
      subjectPrefix: try members.text("subjectPrefix"),
      requiredClaims: try members.list("requiredClaims") { value, place throws(InputFailure) in
        var claim = try MemberReader(value, place)
        let read = V1.RequiredClaim(
          name: try claim.text("name"), value: try claim.text("value"))
        try claim.finish()
        return read
      },
      permissionsClaim: try members.text("permissionsClaim"),
      maximumLife: try members.duration("maximumLife"),
      requireBinding: try members.flag("requireBinding"),
      jwksUri: try members.text("jwksUri"), keyPins: try members.texts("keyPins"))
    try members.finish()
    return issuer
  }
}

/// The members of an object of the proto3 JSON mapping, each asked for once.
private struct MemberReader {
  private let place: String
  private var rest: [TokenJSON.Member]

  init(_ value: TokenJSON, _ place: String) throws(InputFailure) {
    guard case .object(let members) = value else {
      throw InputFailure(reason: "\(place): an object is expected")
    }
    self.place = place
    rest = members
  }

  func finish() throws(InputFailure) {
    if let unknown = rest.first {
      throw InputFailure(reason: "\(place).\(unknown.name.text): no such member")
    }
  }

  /// Nil also for null, as the mapping has it.
  private mutating func take(_ name: String) -> TokenJSON? {
    guard let at = rest.firstIndex(where: { $0.name.text == name }) else { return nil }
    let value = rest.remove(at: at).value
    return value == .null ? nil : value
  }

  private func wrong(_ name: String, _ expected: String) -> InputFailure {
    InputFailure(reason: "\(place).\(name): \(expected) is expected")
  }

  mutating func flag(_ name: String) throws(InputFailure) -> Bool {
    switch take(name) {
    case nil: return false
    case .bool(let value)?: return value
    default: throw wrong(name, "true or false")
    }
  }

  mutating func text(_ name: String) throws(InputFailure) -> String {
    switch take(name) {
    case nil: return ""
    case .text(let text)?: return text.text
    default: throw wrong(name, "a text")
    }
  }

  /// An object, or a text that has one.
  mutating func json(_ name: String) throws(InputFailure) -> String {
    switch take(name) {
    case nil: return ""
    case .text(let text)?: return text.text
    case .object(let members)?:
      return String(decoding: TokenJSON.object(members).bytes(), as: UTF8.self)
    default: throw wrong(name, "a set of keys")
    }
  }

  /// Seconds with `s` behind them.
  mutating func duration(_ name: String) throws(InputFailure) -> GoogleProtobuf.Duration? {
    let text = try text(name)
    if text.isEmpty { return nil }
    guard text.hasSuffix("s"), let seconds = Int64(text.dropLast()) else {
      throw wrong(name, "a time such as \"900s\"")
    }
    return GoogleProtobuf.Duration(seconds: seconds)
  }

  mutating func list<Value>(
    _ name: String, _ body: (TokenJSON, String) throws(InputFailure) -> Value
  ) throws(InputFailure) -> [Value] {
    switch take(name) {
    case nil: return []
    case .list(let elements)?:
      var values: [Value] = []
      for (at, element) in elements.enumerated() {
        values.append(try body(element, "\(place).\(name)[\(at)]"))
      }
      return values
    default: throw wrong(name, "a list")
    }
  }

  mutating func texts(_ name: String) throws(InputFailure) -> [String] {
    try list(name) { value, place throws(InputFailure) in
      guard case .text(let text) = value else {
        throw InputFailure(reason: "\(place): a text is expected")
      }
      return text.text
    }
  }
}
