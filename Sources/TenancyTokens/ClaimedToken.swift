/// A token that was taken apart. Nothing of what it says is true before `TokenVerifier` has judged it: until then it
/// tells whose keys are to be tried, and no more.
package struct ClaimedToken: Sendable {
  package let header: JOSEHeader
  package let claims: TokenClaims
  let signature: [UInt8]
  /// What is signed.
  let signed: ArraySlice<UInt8>

  /// - Parameter token: as it came, without `Bearer`.
  /// - Throws: `.tooLarge`, `.malformed`, `.header`, `.algorithm` and `.claims`.
  package init(
    parsing token: [UInt8], maximumBytes: Int = CompactJWS.defaultMaximumBytes
  ) throws(TokenRefusal) {
    let jws = try CompactJWS(parsing: token, maximumBytes: maximumBytes)
    header = jws.header
    claims = try TokenClaims(parsing: jws.payload, maximumBytes: maximumBytes)
    signature = jws.signature
    signed = jws.signed
  }

  /// Whether a key has signed it; nothing else is judged.
  package func isSigned(by key: JWK) -> Bool {
    header.algorithm == key.algorithm && key.verifier.verify(signature, of: signed)
  }
}
