/// What a verified client certificate says.
public struct PeerCertificate: Sendable, Hashable {
  /// URI subject alternative names, in order.
  public let uriNames: [String]
  /// SHA-256 of the DER encoding.
  public let fingerprint: [UInt8]
  /// Seconds since 1970.
  public let notBefore: Int64
  /// Seconds since 1970; the certificate is good up to and including this second.
  public let notAfter: Int64
  /// Whether the certificate is a CA's (basicConstraints).
  public let isAuthority: Bool
  /// The id of the registration entry that a workload's certificate was issued by, if it names one.
  public internal(set) var registration: String?

  /// Lower-case hex.
  public var fingerprintText: String { HexText.encode(fingerprint) }
}
