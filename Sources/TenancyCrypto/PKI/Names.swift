internal import CTenancyOpenSSL

/// One entry of a subjectAltName.
enum AlternativeName: Hashable {
  case dns(String)
  /// 4 or 16 bytes.
  case address([UInt8])
  case uri(String)

  /// An IPv4 or IPv6 address in text.
  init(address text: String) throws(PKIError) {
    guard let octets = a2i_IPADDRESS(text) else {
      ERR_clear_error()
      throw PKIError(.invalidName, "\(text) is not an IP address")
    }
    defer { ASN1_OCTET_STRING_free(octets) }
    self = .address(
      Array(
        UnsafeBufferPointer(
          start: ASN1_STRING_get0_data(octets), count: Int(ASN1_STRING_length(octets)))))
  }

  /// A host name, or a wildcard for the names one label below it.
  init(dns text: String) throws(PKIError) {
    let base = text.hasPrefix("*.") ? text.dropFirst(2) : text[...]
    let labels = base.split(separator: ".", omittingEmptySubsequences: false)
    guard text.utf8.count <= 253, labels.allSatisfy({ NameRules.isHostLabel($0.utf8) }) else {
      throw PKIError(.invalidName, "\(text) is not a DNS name")
    }
    self = .dns(text)
  }
}

/// What we accept in names that go into certificates.
enum NameRules {
  /// Most bytes of a common name (RFC 5280 appendix A, ub-common-name).
  static let maximumCommonName = 64
  /// Most bytes of a SPIFFE ID (SPIFFE-ID §2.3).
  static let maximumSPIFFEID = 2048

  /// 1 to 63 letters, digits and inner hyphens.
  static func isHostLabel(_ label: some BidirectionalCollection<UInt8>) -> Bool {
    let hyphen = UInt8(ascii: "-")
    return (1...63).contains(label.count) && label.first != hyphen && label.last != hyphen
      && label.allSatisfy { isLowerOrDigit($0) || isUpper($0) || $0 == hyphen }
  }

  /// `spiffe://domain`, as the trust domain itself is named (SPIFFE-ID §2.1).
  static func trustDomainURI(_ domain: String) throws(PKIError) -> String {
    guard (1...255).contains(domain.utf8.count),
      domain.utf8.allSatisfy({ isLowerOrDigit($0) || isSegmentMark($0) })
    else { throw PKIError(.invalidName, "\(domain) is not a SPIFFE trust domain") }
    return "spiffe://\(domain)"
  }

  /// `spiffe://domain/a/b` in canonical form (SPIFFE-ID §2.2).
  static func spiffeID(_ domain: String, _ path: [String]) throws(PKIError) -> String {
    var id = try trustDomainURI(domain)
    for segment in path {
      guard !segment.isEmpty, segment != ".", segment != "..",
        segment.utf8.allSatisfy({ isLowerOrDigit($0) || isUpper($0) || isSegmentMark($0) })
      else {
        throw PKIError(.invalidName, "'\(segment)' can't be part of a SPIFFE ID: a-z A-Z 0-9 . - _")
      }
      id += "/" + segment
    }
    guard id.utf8.count <= maximumSPIFFEID else {
      throw PKIError(.invalidName, "the SPIFFE ID is longer than \(maximumSPIFFEID) bytes")
    }
    return id
  }

  /// A tenant's id or slug: one lower-case DNS label.
  static func tenant(_ name: String) throws(PKIError) -> String {
    guard isHostLabel(name.utf8), !name.utf8.contains(where: isUpper) else {
      throw PKIError(.invalidName, "'\(name)' is not a tenant's slug or id in lower case")
    }
    return name
  }

  private static func isLowerOrDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
      || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  private static func isUpper(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
  }

  private static func isSegmentMark(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
  }
}
