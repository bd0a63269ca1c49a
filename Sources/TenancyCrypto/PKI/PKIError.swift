/// Why a certificate could not be made, read or stored.
package struct PKIError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What kind of failure it is. Stable; more may come.
  package struct Code: Sendable, Hashable, CustomStringConvertible {
    package let description: String

    /// A name that does not belong in a certificate.
    package static let invalidName = Code(description: "INVALID_NAME")
    /// A lifetime out of range.
    package static let invalidLifetime = Code(description: "INVALID_LIFETIME")
    /// A file could not be read or written.
    package static let file = Code(description: "FILE")
    /// A file is there already and was not to be replaced.
    package static let exists = Code(description: "EXISTS")
    /// The certificate authority is not usable for what was asked.
    package static let authority = Code(description: "AUTHORITY")
    /// OpenSSL failed.
    package static let openSSL = Code(description: "OPENSSL")
  }

  package let code: Code
  package let description: String

  init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }

  /// Takes OpenSSL's error queue of this thread, and empties it.
  static func drainingQueue(_ what: String) -> PKIError {
    PKIError(.openSSL, OpenSSLErrors.drain().describing(what))
  }
}
