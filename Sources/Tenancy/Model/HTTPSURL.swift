/// Where a document is on a server of somebody else's: `https` and nothing else, a server's name and no address, and
/// nothing that only browsers know.
public struct HTTPSURL: Hashable, Sendable, CustomStringConvertible {
  /// Bytes of all of it.
  public static let maximumBytes = 512
  /// The port where it names none.
  public static let usualPort = 443
  /// Bytes of a server's name, and of a label of it (RFC 1035 §2.3.4).
  private static let maximumNameBytes = 253
  private static let maximumLabelBytes = 63

  /// As it was given.
  public let text: String
  /// The server's name, in lower case and without a dot at its end.
  public let host: String
  /// 1 to 65,535.
  public let port: Int
  /// Path and query; it begins with a slash.
  public let target: String

  public var description: String { text }

  /// - Returns: nil for what is not such a URL. It is not put right: a name with capitals, an address, a name and
  ///   password, a fragment, a port with a leading zero are none.
  public init?(parsing text: String) {
    let bytes = Array(text.utf8)
    let scheme = Array("https://".utf8)
    guard (scheme.count...Self.maximumBytes).contains(bytes.count), bytes.starts(with: scheme)
    else { return nil }
    let rest = bytes[scheme.count...]
    let authority = rest.prefix { $0 != UInt8(ascii: "/") }
    let path = rest[authority.endIndex...]
    guard let (host, port) = Self.place(authority), Self.isTarget(path) else { return nil }
    self.text = text
    self.host = host
    self.port = port ?? Self.usualPort
    target = path.isEmpty ? "/" : String(decoding: path, as: UTF8.self)
  }

  /// What `Host` says.
  public var authority: String { port == Self.usualPort ? host : "\(host):\(port)" }

  /// A server's name, and a port where there is one.
  static func place(_ bytes: ArraySlice<UInt8>) -> (host: String, port: Int?)? {
    let name = bytes.prefix { $0 != UInt8(ascii: ":") }
    guard isName(name) else { return nil }
    let host = String(decoding: name, as: UTF8.self)
    if name.endIndex == bytes.endIndex { return (host, nil) }
    // In range: there is a colon.
    return port(bytes[(name.endIndex + 1)...]).map { (host, $0) }
  }

  private static func port(_ digits: ArraySlice<UInt8>) -> Int? {
    guard (1...5).contains(digits.count), digits.first != UInt8(ascii: "0"),
      digits.allSatisfy({ (0x30...0x39).contains($0) })
    else { return nil }
    // In range: five digits at most.
    let port = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    return port <= 65_535 ? port : nil
  }

  /// Lower-case labels of letters, digits and hyphens. Of the last one not all are digits, and it doesn't begin with
  /// `0x`: some would take such a name for an address.
  private static func isName(_ bytes: ArraySlice<UInt8>) -> Bool {
    guard (1...maximumNameBytes).contains(bytes.count) else { return false }
    let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard let last = labels.last, let first = last.first, (0x61...0x7A).contains(first) else {
      return false
    }
    return labels.allSatisfy { label in
      (1...maximumLabelBytes).contains(label.count) && label.first != 0x2D && label.last != 0x2D
        && label.allSatisfy {
          (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D
        }
    }
  }

  /// RFC 3986 §3.3 and §3.4: nothing that would have to be escaped, and what is escaped is so properly.
  private static func isTarget(_ bytes: ArraySlice<UInt8>) -> Bool {
    let others = Array("-._~!$&'()*+,;=:@/?".utf8)
    var at = bytes.startIndex
    while at < bytes.endIndex {
      let byte = bytes[at]
      if byte == UInt8(ascii: "%") {
        guard bytes.endIndex - at > 2, bytes[(at + 1)...(at + 2)].allSatisfy(isHex) else {
          return false
        }
      } else {
        guard isAlphanumeric(byte) || others.contains(byte) else { return false }
      }
      at += 1
    }
    return true
  }

  private static func isHex(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
  }
}

/// Servers that documents may be fetched from: one by its name, or all below a name.
public struct HostPattern: Hashable, Sendable, CustomStringConvertible {
  /// As it was given.
  public let description: String
  private let name: String
  private let isSuffix: Bool
  private let port: Int

  /// - Parameter text: `id.example.com`, or `*.example.com` for all that end so and not for `example.com` itself; a
  ///   colon and a port behind it: that port and no other; without one: 443.
  /// - Returns: nil for anything else.
  public init?(parsing text: String) {
    let wildcard = Array("*.".utf8)
    let bytes = Array(text.utf8)
    isSuffix = bytes.starts(with: wildcard)
    guard let (name, port) = HTTPSURL.place(isSuffix ? bytes[wildcard.count...] : bytes[...]) else {
      return nil
    }
    description = text
    self.name = name
    self.port = port ?? HTTPSURL.usualPort
  }

  /// Whether it names the URL's server.
  public func matches(_ url: HTTPSURL) -> Bool {
    guard url.port == port else { return false }
    // Both are ASCII: equal texts have equal bytes.
    return isSuffix
      ? url.host.utf8.reversed().starts(with: ".\(name)".utf8.reversed())
      : url.host == name
  }
}

/// Where an issuer publishes its keys.
public struct PublishedKeySet: Hashable, Sendable, Codable {
  /// Pins of one, at most.
  public static let maximumPins = 8
  /// Characters of a pin.
  private static let pinLength = 44

  /// As `HTTPSURL` has it.
  public let url: String
  /// SHA-256 of keys (SubjectPublicKeyInfo), in base64 (RFC 7469 §2.4): one of them has to be in the server's chain,
  /// which has to verify all the same. Empty: any may be there.
  public let pins: [String]

  /// Validates nothing: that is up to `AuthenticationRules`.
  public init(url: String, pins: [String] = []) {
    self.url = url
    self.pins = pins
  }

  /// The 32 bytes that a pin stands for; nil where it is none. The one text that does is accepted.
  public static func digest(ofPin text: String) -> [UInt8]? {
    let symbols = Array(text.utf8)
    guard symbols.count == pinLength, symbols.last == UInt8(ascii: "=") else { return nil }
    var bytes: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    for symbol in symbols.dropLast() {
      guard let value = value(symbol) else { return nil }
      // In range: no more than 13 bits wait.
      bits = (bits << 6 | UInt32(value)) & 0x3FFF
      count += 6
      guard count >= 8 else { continue }
      count -= 8
      bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
    }
    // 43 symbols are 258 bits: the last two say nothing, and are 0.
    return bits & 0b11 == 0 ? bytes : nil
  }

  private static func value(_ symbol: UInt8) -> UInt8? {
    switch symbol {
    case 0x41...0x5A: symbol - 0x41
    case 0x61...0x7A: symbol - 0x61 + 26
    case 0x30...0x39: symbol - 0x30 + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
