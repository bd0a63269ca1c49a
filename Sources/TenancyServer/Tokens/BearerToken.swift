import Tenancy
import TenancyRPC

/// `authorization: Bearer {token}` (RFC 6750 §2.1) of a call's metadata.
enum BearerToken {
  static let metadataName: StaticString = "authorization"

  private static let scheme: StaticString = "bearer"

  /// Lends the token to `body`.
  /// - Returns: nil where there is no such metadata.
  /// - Throws: UNAUTHENTICATED for anything but one token, and what `body` throws. Whoever sends what is not
  ///   understood is not taken for somebody who sends nothing.
  static func with<Result>(
    _ metadata: borrowing CallMetadata,
    _ body: (UnsafeRawBufferPointer) -> Swift.Result<Result, TokenDenial>
  ) throws(TokenDenial) -> Result? {
    var result: Swift.Result<Result, TokenDenial>?
    metadata.forEachValue(of: metadataName) { value in
      guard result == nil, let token = token(in: value) else {
        result = .failure(malformed)
        return
      }
      result = body(token)
    }
    return try result?.get()
  }

  /// One or more spaces are between (RFC 9110 §11.4); the scheme's case doesn't matter.
  static func token(in value: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    let length = scheme.utf8CodeUnitCount
    let isBearer = scheme.withUTF8Buffer { scheme in
      value.count > length && zip(value, scheme).allSatisfy { $0 | 0x20 == $1 }
    }
    // In range: there are more bytes than those of the scheme.
    guard isBearer, value[length] == UInt8(ascii: " ") else { return nil }
    let token = value[length...].drop { $0 == UInt8(ascii: " ") }
    return token.isEmpty ? nil : UnsafeRawBufferPointer(rebasing: token)
  }

  static let malformed = TokenDenial(
    TenancyError(
      .unauthenticated, .authorizationMalformed,
      "the metadata authorization has to be one time \"Bearer\" and a token"))
}
