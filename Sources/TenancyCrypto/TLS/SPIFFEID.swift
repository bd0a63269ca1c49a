/// A SPIFFE ID (SPIFFE-ID standard §2): `spiffe://trust-domain/path`, in canonical form only.
public struct SPIFFEID: Sendable, Hashable, CustomStringConvertible {
  /// Most bytes of an ID (§2.3).
  public static let maximumLength = 2048
  /// Most bytes of a trust domain name (§2.1, by DNS).
  public static let maximumTrustDomainLength = 255

  /// Lower case, without `spiffe://`.
  public let trustDomain: String
  /// Segments between slashes; none is empty, `.` or `..`.
  public let path: [String]

  /// Returns nil for anything that is not a SPIFFE ID with a path: other schemes or upper-case
  /// trust domains, ports, user info, queries, fragments, percent-encoding, empty segments.
  public init?(parsing text: String) {
    let scheme = "spiffe://"
    guard text.utf8.count <= Self.maximumLength, text.hasPrefix(scheme) else { return nil }
    let parts = text.dropFirst(scheme.count).split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count >= 2, let domain = parts.first,
      (1...Self.maximumTrustDomainLength).contains(domain.utf8.count),
      domain.utf8.allSatisfy(Self.isDomainByte)
    else { return nil }
    for segment in parts.dropFirst() {
      guard !segment.isEmpty, segment != ".", segment != "..",
        segment.utf8.allSatisfy(Self.isPathByte)
      else { return nil }
    }
    trustDomain = String(domain)
    path = parts.dropFirst().map(String.init)
  }

  public var description: String { "spiffe://\(trustDomain)/\(path.joined(separator: "/"))" }

  private static func isDomainByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  private static func isPathByte(_ byte: UInt8) -> Bool {
    isDomainByte(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
  }
}
