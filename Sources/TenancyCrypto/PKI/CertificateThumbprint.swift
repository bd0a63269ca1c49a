/// What binds a token to a certificate (RFC 8705 §3.1).
package enum CertificateThumbprint {
  /// - Parameter file: PEM; its first certificate counts.
  /// - Returns: SHA-256 of the certificate's DER, 32 bytes.
  package static func sha256(file: String) throws(PKIError) -> [UInt8] {
    try Certificate(file: file).sha256()
  }
}
