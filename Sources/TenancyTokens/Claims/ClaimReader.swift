internal import Tenancy

/// Reads claims by name. One that is there and is not of its type is refused, and never taken for one that
/// is absent.
struct ClaimReader {
  static let thumbprint: ExactText = "x5t#S256"
  /// Up to here every reader of JSON has the same integers (RFC 8259 §6).
  static let maximumCount: UInt64 = 1 << 53 - 1

  private let members: [TokenJSON.Member]
  /// Which of the members were asked for.
  private var isRead: [Bool]

  /// - Parameter members: in the order of their names.
  init(_ members: [TokenJSON.Member]) {
    self.members = members
    isRead = [Bool](repeating: false, count: members.count)
  }

  mutating func value(_ name: ExactText) -> TokenJSON? {
    guard let at = members.firstIndex(where: { $0.name == name }) else { return nil }
    isRead[at] = true
    return members[at].value
  }

  /// What no claim was asked for, by name.
  func rest() -> [TokenJSON.Member] {
    zip(members, isRead).compactMap { $1 ? nil : $0 }
  }

  func required<Value>(_ name: ExactText, _ value: Value?) throws(TokenRefusal) -> Value {
    guard let value else { throw TokenRefusal(.claims, "\(name) is missing") }
    return value
  }

  mutating func text(_ name: ExactText) throws(TokenRefusal) -> ExactText? {
    guard let value = value(name) else { return nil }
    return try Self.identifier(value, name)
  }

  static func identifier(
    _ value: TokenJSON, _ name: ExactText
  ) throws(TokenRefusal) -> ExactText {
    guard case .text(let text) = value, TokenText.isIdentifier(text) else {
      throw TokenRefusal(
        .claims,
        "\(name) is not text of 1 to \(TokenText.maximumBytes) bytes without control characters")
    }
    return text
  }

  mutating func texts(_ name: ExactText) throws(TokenRefusal) -> [ExactText]? {
    guard let value = value(name) else { return nil }
    guard case .list(let elements) = value, elements.count <= TokenClaims.maximumElements else {
      throw TokenRefusal(
        .claims, "\(name) is not a list of at most \(TokenClaims.maximumElements) texts")
    }
    var texts: [ExactText] = []
    for element in elements { texts.append(try Self.identifier(element, name)) }
    return texts
  }

  /// RFC 7519 §4.1.3: one text, or a list.
  mutating func audience() throws(TokenRefusal) -> [ExactText] {
    if case .text? = value("aud") { return [try required("aud", text("aud"))] }
    let all = try required("aud", texts("aud"))
    guard !all.isEmpty else { throw TokenRefusal(.claims, "aud is empty") }
    return all
  }

  mutating func moment(_ name: ExactText) throws(TokenRefusal) -> Timestamp? {
    guard let value = value(name) else { return nil }
    guard case .number(let number) = value, let moment = NumericDate.timestamp(number) else {
      throw TokenRefusal(.claims, "\(name) is not a number of seconds between 1970 and 2262")
    }
    return moment
  }

  mutating func count(_ name: ExactText) throws(TokenRefusal) -> UInt64? {
    guard let value = value(name) else { return nil }
    guard case .number(let number) = value, let count = UInt64(number),
      count <= Self.maximumCount, number.utf8.first != UInt8(ascii: "-")
    else { throw TokenRefusal(.claims, "\(name) is not a whole number from 0 to 2^53 - 1") }
    return count
  }

  /// RFC 6749 §3.3: words of visible ASCII without `"` and `\`, one space between them.
  mutating func scope() throws(TokenRefusal) -> [ExactText] {
    guard let value = value("scope") else { return [] }
    guard case .text(let text) = value else {
      throw TokenRefusal(.claims, "scope is not text")
    }
    let words = text.text.utf8.split(
      separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    guard words.count <= TokenClaims.maximumElements,
      words.allSatisfy({ word in
        (1...TokenText.maximumBytes).contains(word.count)
          && word.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C }
      })
    else {
      throw TokenRefusal(
        .claims,
        "scope is not words with one space between them, at most \(TokenClaims.maximumElements)")
    }
    return words.map { ExactText(String(decoding: $0, as: UTF8.self)) }
  }

  /// RFC 8705 §3.1. Any other way of binding would have to be checked, and is not understood: a token that
  /// has one is not taken for a token without (RFC 7800 §3.1).
  mutating func confirmation() throws(TokenRefusal) -> [UInt8]? {
    guard let value = value("cnf") else { return nil }
    guard case .object(let members) = value, members.count == 1,
      case .text(let text)? = members[Self.thumbprint],
      let digest = Base64URL.decode(text.text.utf8.span), digest.count == 32
    else { throw TokenRefusal(.claims, "cnf is not the SHA-256 of a certificate alone") }
    return digest
  }

  /// RFC 8693 §4.1. What else an actor's claims say is not used.
  mutating func actors() throws(TokenRefusal) -> [TokenClaims.Actor] {
    var actors: [TokenClaims.Actor] = []
    var next = value("act")
    while let value = next {
      guard case .object(let members) = value, actors.count < TokenClaims.maximumActors else {
        throw TokenRefusal(
          .claims,
          "act is not an object, or more than \(TokenClaims.maximumActors) within one another")
      }
      guard let subject = members["sub"] else {
        throw TokenRefusal(.claims, "act has no sub")
      }
      var actor = TokenClaims.Actor(subject: try Self.identifier(subject, "act.sub"))
      if let issuer = members["iss"] { actor.issuer = try Self.identifier(issuer, "act.iss") }
      actors.append(actor)
      next = members["act"]
    }
    return actors
  }
}
