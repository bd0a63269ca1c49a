internal import CTenancyOpenSSL

/// Why a certificate could not be made, read or stored.
public struct PKIError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What kind of failure it is. Stable; more may come.
  public struct Code: Sendable, Hashable, CustomStringConvertible {
    public let description: String

    /// A name that does not belong in a certificate.
    public static let invalidName = Code(description: "INVALID_NAME")
    /// A lifetime out of range.
    public static let invalidLifetime = Code(description: "INVALID_LIFETIME")
    /// A file could not be read or written.
    public static let file = Code(description: "FILE")
    /// A file is there already and was not to be replaced.
    public static let exists = Code(description: "EXISTS")
    /// The certificate authority is not usable for what was asked.
    public static let authority = Code(description: "AUTHORITY")
    /// OpenSSL failed.
    public static let openSSL = Code(description: "OPENSSL")
  }

  public let code: Code
  public let description: String

  init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }

  /// Takes OpenSSL's error queue of this thread, and empties it.
  static func drainingQueue(_ what: String) -> PKIError {
    var parts: [String] = []
    while true {
      let code = ERR_get_error()
      if code == 0 { break }
      var text = [CChar](repeating: 0, count: 256)
      ERR_error_string_n(code, &text, text.count)
      let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      parts.append(String(decoding: bytes, as: UTF8.self))
    }
    return PKIError(.openSSL, ([what] + parts).joined(separator: ": "))
  }
}
