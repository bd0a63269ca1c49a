/// A TLS failure. For those who run this side: never sent to the peer.
public struct TLSError: Error, Sendable, CustomStringConvertible {
  /// What kind of failure it is.
  public struct Code: Sendable, Hashable {
    private let name: String
    /// Our files or settings can't be used.
    public static let configuration = Code(name: "configuration")
    /// The handshake or the connection failed.
    public static let connection = Code(name: "connection")
    /// The other side's certificate was refused.
    public static let peerRefused = Code(name: "peer refused")
  }

  /// What kind of failure it is.
  public let code: Code
  /// In plain words where the cause is a known one, else in OpenSSL's.
  public let description: String
  /// With all that OpenSSL said of it, for logs.
  public let logText: String

  package init(_ what: String, code: Code = .connection, logText: String? = nil) {
    self.code = code
    description = what
    self.logText = logText ?? what
  }

  /// Takes OpenSSL's error queue of this thread, and empties it.
  static func drainingQueue(_ what: String, code: Code = .connection) -> TLSError {
    let errors = OpenSSLErrors.drain()
    guard !errors.texts.isEmpty else { return TLSError(what, code: code) }
    let said = errors.texts.joined(separator: "; ")
    guard let cause = errors.codes.lazy.compactMap(TLSCause.words).first else {
      return TLSError("\(what): \(said)", code: code)
    }
    return TLSError("\(what): \(cause)", code: code, logText: "\(what): \(cause) (\(said))")
  }
}
