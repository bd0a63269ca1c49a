/// Why something was not sealed, opened, signed or made.
package struct CryptoError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What kind of failure it is.
  package enum Code: Sendable, Hashable {
    /// What was sealed was changed, or is not of this key and place.
    case damaged
    /// What was given is no key, or not one that can be trusted for what it is to do
    case key
    /// OpenSSL failed, or was asked for what it does not do.
    case library
  }

  package let code: Code
  package let description: String

  package init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }

  /// Takes OpenSSL's error queue of this thread, and empties it.
  static func drainingQueue(_ what: String, _ code: Code = .library) -> CryptoError {
    CryptoError(code, OpenSSLErrors.drain().describing(what))
  }
}
