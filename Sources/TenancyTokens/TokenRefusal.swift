/// Why a token is refused. Says nothing of what is in the token but names that are ours.
package struct TokenRefusal: Error, Hashable, Sendable, CustomStringConvertible {
  /// Stable: once published a reason keeps its meaning.
  package enum Reason: String, Sendable, CaseIterable {
    /// More bytes than are read.
    case tooLarge = "TOKEN_TOO_LARGE"
    /// Not three parts in base64url, or one of them is not the JSON that is read here.
    case malformed = "TOKEN_MALFORMED"
    /// The header has what is not understood, or what would bring a key along.
    case header = "TOKEN_HEADER_REFUSED"
    /// Signed in a way that is not accepted, or that is not the key's.
    case algorithm = "TOKEN_ALGORITHM_REFUSED"
    /// A token of another kind.
    case type = "TOKEN_TYPE_REFUSED"
    /// No key of the issuer is meant, or it isn't clear which.
    case keyUnknown = "TOKEN_KEY_UNKNOWN"
    /// The signature is not the key's.
    case signature = "TOKEN_SIGNATURE_INVALID"
    /// A claim is missing, has another type than it must, or is out of bounds.
    case claims = "TOKEN_CLAIMS_INVALID"
    /// Another issuer's.
    case issuer = "TOKEN_ISSUER_MISMATCH"
    /// For somebody else.
    case audience = "TOKEN_AUDIENCE_MISMATCH"
    /// Its life is over.
    case expired = "TOKEN_EXPIRED"
    /// Its life has not begun.
    case notYetValid = "TOKEN_NOT_YET_VALID"
    /// It lives longer than is accepted.
    case lifetime = "TOKEN_LIFETIME_REFUSED"
    /// Bound to no certificate, though it must be.
    case unbound = "TOKEN_NOT_BOUND"
    /// Bound to a certificate, and whoever presents it has another one or none.
    case binding = "TOKEN_BINDING_MISMATCH"
  }

  package let reason: Reason
  /// For the log and for people.
  package let detail: String

  package init(_ reason: Reason, _ detail: String) {
    self.reason = reason
    self.detail = detail
  }

  package var description: String { "\(reason.rawValue): \(detail)" }
}

extension TokenJSONError {
  /// For people; says nothing of what was read.
  var detail: String {
    switch self {
    case .malformed: "is not JSON as RFC 8259 has it"
    case .text: "has text that is not Unicode, or a NUL in it"
    case .duplicate: "has a member twice"
    case .limit: "has more than is read"
    }
  }
}
