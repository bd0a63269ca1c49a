/// A token that was taken apart, to be shown. Nothing of what it says is known to be true: that is for `TokenVerifier`.
package struct ClaimedToken: Sendable {
  package let header: JOSEHeader
  package let claims: TokenClaims

  /// - Parameter token: as it came, without `Bearer`.
  /// - Throws: `.tooLarge`, `.malformed`, `.header`, `.algorithm` and `.claims`.
  package init(
    parsing token: [UInt8], maximumBytes: Int = CompactJWS.defaultMaximumBytes
  ) throws(TokenRefusal) {
    let jws = try CompactJWS(parsing: token, maximumBytes: maximumBytes)
    header = jws.header
    claims = try TokenClaims(parsing: jws.payload, maximumBytes: maximumBytes)
  }
}
