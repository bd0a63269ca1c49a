/// A domain as tenants claim it: at least two labels of lower-case letters, digits and hyphens (RFC 1123 §2.1), without
/// a dot at its end. No address is one, since none ends with a number, and nothing in `localhost` is.
public struct DomainName: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Bytes of the longest one (RFC 1035 §2.3.4, as text).
  public static let maximumLength = 253
  /// Bytes of a label.
  public static let maximumLabelLength = 63

  /// The canonical form.
  public let text: String
  public var description: String { text }

  /// - Returns: nil when `text` is none in canonical form.
  public init?(parsing text: String) {
    let labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard text.utf8.count <= Self.maximumLength, labels.count >= 2,
      labels.allSatisfy(Self.isLabel), let last = labels.last, !Self.isNumber(last),
      !last.elementsEqual("localhost".utf8)
    else { return nil }
    self.text = text
  }

  /// The same for letters in either case. Those of ASCII alone: others have a lower case that is one of these.
  public init?(anyCase text: String) {
    guard text.utf8.count <= Self.maximumLength else { return nil }
    self.init(parsing: String(decoding: text.utf8.map(SelectorParsing.lowercase), as: UTF8.self))
  }

  public static func < (a: Self, b: Self) -> Bool { a.text < b.text }

  /// Whether it is this domain, or beneath it.
  public func isWithin(_ domain: String) -> Bool {
    text == domain || text.hasSuffix("." + domain)
  }

  /// Whether it is beneath this one, is it, or has it beneath itself.
  public func overlaps(_ domain: String) -> Bool {
    isWithin(domain) || domain.hasSuffix("." + text)
  }

  private static func isLabel(_ label: Substring.UTF8View) -> Bool {
    (1...maximumLabelLength).contains(label.count) && label.allSatisfy(Slug.isAllowed)
      && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
  }

  /// As programs take the last part of an IPv4 address: digits, or `0x` and hexadecimal ones.
  private static func isNumber(_ label: Substring.UTF8View) -> Bool {
    let isHex = label.starts(with: "0x".utf8)
    return label.dropFirst(isHex ? 2 : 0).allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): true
      case UInt8(ascii: "a")...UInt8(ascii: "f"): isHex
      default: false
      }
    }
  }
}

/// How a tenant shows that it controls a domain. Raw values are those stored on disk.
public enum DomainProofMethod: String, Hashable, Sendable, CaseIterable {
  /// A TXT record.
  case dns
  /// A document of the domain's web server.
  case http
}

/// A domain that a tenant has, or says that it has. Immutable.
public final class TenantDomain: Hashable, Ordered {
  /// When a domain was shown to be the tenant's, and how.
  public struct Verification: Hashable, Sendable {
    /// By the clock of the node that looked.
    public let time: Timestamp
    /// Where the challenge was.
    public let method: DomainProofMethod

    /// - Parameter time: by the clock of the node that looked.
    public init(time: Timestamp, method: DomainProofMethod) {
      self.time = time
      self.method = method
    }
  }

  /// What a claim has to be shown to be the tenant's by. It is random, and made for one claim of one tenant: nothing
  /// that another tenant's was shown by shows this one's.
  public struct Challenge: Hashable, Sendable {
    /// Random bytes in each of the two.
    public static let bytes = 16

    /// Where the document is: lower-case hex.
    public let token: String
    /// What has to be there, in a record or a document: lower-case hex. Not the token, which servers may repeat to
    /// whoever asks for it.
    public let proof: String

    /// - Parameters:
    ///   - token: lower-case hex.
    ///   - proof: lower-case hex.
    public init(token: String, proof: String) {
      self.token = token
      self.proof = proof
    }

    /// A new one, by the system's generator of keys.
    public static func random() -> Challenge {
      var generator = SystemRandomNumberGenerator()
      func text() -> String {
        HexBytes.text((0..<bytes).map { _ in UInt8.random(in: 0...(.max), using: &generator) })
      }
      return Challenge(token: text(), proof: text())
    }

    /// What the record and the document say.
    public var content: String { "tenancy-challenge=\(proof)" }
    /// The document's path.
    public var path: String { "/.well-known/tenancy-challenge/\(token)" }

    /// Whether both are what `random` makes.
    public var isSound: Bool {
      [token, proof].allSatisfy { HexBytes.bytes($0)?.count == Self.bytes }
    }
  }

  /// The label under which a domain's record is.
  public static let recordLabel = "_tenancy-challenge"
  /// How long a claim waits to be verified.
  public static let claimLife = Days(7)

  /// Whose it is, or would be.
  public let tenant: TenantID
  /// Canonical text of the tenant's id: each request for the domain looks the tenant up by it.
  public let tenantText: String
  /// The domain itself.
  public let name: DomainName
  /// How it is verified, or was.
  public let challenge: Challenge
  /// When it was claimed.
  public let claimTime: Timestamp
  /// Nil: not yet.
  public let verification: Verification?
  public var orderKey: String { name.text }

  /// Validates nothing: that is up to `TenantDomainCommands`.
  public init(
    tenant: TenantID, name: DomainName, challenge: Challenge, claimTime: Timestamp,
    verification: Verification? = nil
  ) {
    self.tenant = tenant
    tenantText = tenant.description
    self.name = name
    self.challenge = challenge
    self.claimTime = claimTime
    self.verification = verification
  }

  /// Whether requests for it are for the tenant.
  public var isVerified: Bool { verification != nil }

  /// When the claim is over; nil: it is verified.
  public var expireTime: Timestamp? { isVerified ? nil : claimTime + Self.claimLife }

  /// Whether the claim was not verified in time.
  public func isOver(at now: Timestamp) -> Bool { expireTime.map { $0 <= now } ?? false }

  /// Where the record of the challenge is.
  public var recordName: String { "\(Self.recordLabel).\(name)" }

  public static func == (a: TenantDomain, b: TenantDomain) -> Bool {
    a.tenant == b.tenant && a.name == b.name && a.challenge == b.challenge
      && a.claimTime == b.claimTime && a.verification == b.verification
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(tenant)
    hasher.combine(name)
  }
}
