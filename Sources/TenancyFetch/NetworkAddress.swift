/// An address of IPv4 or IPv6, and who is behind it.
package struct NetworkAddress: Hashable, Sendable, CustomStringConvertible {
  /// Who can be behind an address.
  package enum Reach: Sendable {
    /// Anybody: it is a public one.
    case anybody
    /// This machine or its own network: what is there may trust whoever can reach it.
    case inside
    /// Nobody who is one server: unspecified, multicast, broadcast, reserved, and what only stands in documents.
    case nobody
  }

  /// 4 or 16, the first one first.
  package let bytes: [UInt8]

  /// - Returns: nil for another number of bytes.
  package init?(_ bytes: [UInt8]) {
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    self.bytes = bytes
  }

  /// Decimal with dots, or hexadecimal groups with colons and none left out.
  package var description: String {
    guard bytes.count == 16 else { return bytes.map { "\($0)" }.joined(separator: ".") }
    return stride(from: 0, to: 16, by: 2).map { at in
      // In range: there are 16.
      String(UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1]), radix: 16)
    }.joined(separator: ":")
  }

  /// By the registries of addresses for special purposes (RFC 6890). An address of IPv6 that has one of IPv4 in it
  /// leads there: it is judged as that.
  package var reach: Reach {
    if bytes.count == 4 { return Self.reach(ofIPv4: bytes[...]) }
    for embedding in Self.embeddings where has(embedding.prefix) {
      return Self.reach(ofIPv4: bytes[embedding.at..<embedding.at + 4])
    }
    for (prefix, reach) in Self.special6 where has(prefix) { return reach }
    return .nobody
  }

  private struct Prefix {
    let bytes: [UInt8]
    let bits: Int

    init(_ bytes: [UInt8], _ bits: Int) {
      self.bytes = bytes
      self.bits = bits
    }

    func covers(_ address: ArraySlice<UInt8>) -> Bool {
      var left = bits
      for (at, byte) in address.enumerated() {
        if left <= 0 { return true }
        let mask: UInt8 = left >= 8 ? 0xFF : ~(0xFF >> UInt8(left))
        // What a prefix does not write out is 0.
        let wanted = at < bytes.count ? bytes[at] : 0
        if byte & mask != wanted & mask { return false }
        left -= 8
      }
      return left <= 0
    }
  }

  private func has(_ prefix: Prefix) -> Bool { prefix.covers(bytes[...]) }

  private static func reach(ofIPv4 bytes: ArraySlice<UInt8>) -> Reach {
    for (prefix, reach) in special4 where prefix.covers(bytes) { return reach }
    return .anybody
  }

  private static let special4: [(Prefix, Reach)] = [
    (Prefix([0], 8), .nobody),
    (Prefix([10], 8), .inside),
    (Prefix([100, 64], 10), .inside),
    (Prefix([127], 8), .inside),
    (Prefix([169, 254], 16), .inside),
    (Prefix([172, 16], 12), .inside),
    (Prefix([192, 0, 0], 24), .inside),
    (Prefix([192, 0, 2], 24), .nobody),
    (Prefix([192, 88, 99], 24), .nobody),
    (Prefix([192, 168], 16), .inside),
    (Prefix([198, 18], 15), .inside),
    (Prefix([198, 51, 100], 24), .nobody),
    (Prefix([203, 0, 113], 24), .nobody),
    // Multicast, reserved, broadcast.
    (Prefix([224], 3), .nobody),
  ]

  /// Where an address of IPv4 is in one of IPv6.
  private static let embeddings: [(prefix: Prefix, at: Int)] = [
    // Mapped (RFC 4291 §2.5.5.2).
    (Prefix([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], 96), 12),
    // Translated (RFC 2765 §2.1).
    (Prefix([0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0], 96), 12),
    // NAT64 (RFC 6052 §2.1).
    (Prefix([0, 0x64, 0xFF, 0x9B], 96), 12),
    // 6to4 (RFC 3056 §2).
    (Prefix([0x20, 0x02], 16), 2),
  ]

  private static let special6: [(Prefix, Reach)] = [
    (Prefix([], 128), .nobody),
    (Prefix([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 128), .inside),
    // A network's own NAT64 (RFC 8215).
    (Prefix([0, 0x64, 0xFF, 0x9B, 0, 1], 48), .inside),
    (Prefix([0xFC], 7), .inside),
    (Prefix([0xFE, 0x80], 10), .inside),
    (Prefix([0xFE, 0xC0], 10), .inside),
    // Protocols' own, such as Teredo, which has addresses of IPv4 in it that are not read here.
    (Prefix([0x20, 0x01, 0], 23), .nobody),
    (Prefix([0x20, 0x01, 0x0D, 0xB8], 32), .nobody),
    (Prefix([0x3F, 0xFF, 0], 20), .nobody),
    // All others that are one server's are in here.
    (Prefix([0x20], 3), .anybody),
  ]
}
