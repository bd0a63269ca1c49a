/// That tokens of a tenant are void before they expire.
public struct Revocation: Hashable, Ordered {
  /// Which tokens.
  public enum Target: Hashable, Sendable {
    /// The one of this `jti`: 1 to `maximumTokenIDBytes` bytes.
    case token(String)
    /// Those of this `sub`: a subject as `RoleCommands.isSubject` takes it.
    case subject(String)
    /// All of the tenant.
    case tenant

    /// Raw values are those stored on disk.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
      /// One token.
      case token
      /// A subject's.
      case subject
      /// All.
      case tenant
    }

    /// Nil if there is none of this kind and text.
    public init?(_ kind: Kind, text: String) {
      switch kind {
      case .token: self = .token(text)
      case .subject: self = .subject(text)
      case .tenant:
        guard text.isEmpty else { return nil }
        self = .tenant
      }
    }

    /// What kind it is.
    public var kind: Kind {
      switch self {
      case .token: .token
      case .subject: .subject
      case .tenant: .tenant
      }
    }

    /// The token's id or the subject; empty for the whole tenant.
    public var text: String {
      switch self {
      case .token(let text), .subject(let text): text
      case .tenant: ""
      }
    }
  }

  /// UTF-8 bytes of a token's id, at most.
  public static let maximumTokenIDBytes = 256
  /// UTF-8 bytes of a reason, at most.
  public static let maximumReasonBytes = 512
  /// How long one lasts, at most: longer than any token that is accepted.
  public static let maximumLife = Days(366)

  /// Which tokens.
  public let target: Target
  /// Tokens issued at this moment or before it are void. Says nothing of a single token.
  public let before: Timestamp
  /// When no token that it is about can be alive any more: it may be forgotten.
  public let expireTime: Timestamp
  /// Why, for people; may be empty.
  public let reason: String
  public var orderKey: OrderKey {
    OrderKey(expireTime: expireTime, kind: target.kind, text: target.text)
  }

  /// Validates nothing: that is up to `TokenCommands`.
  public init(target: Target, before: Timestamp, expireTime: Timestamp, reason: String = "") {
    self.target = target
    self.before = before
    self.expireTime = expireTime
    self.reason = reason
  }

  /// In order of their ends.
  public struct OrderKey: Comparable, Sendable {
    let expireTime: Timestamp
    let kind: Target.Kind
    let text: String

    /// Byte by byte: to Swift, texts can be equal that are two.
    public static func == (a: Self, b: Self) -> Bool {
      a.expireTime == b.expireTime && a.kind == b.kind && a.text.utf8.elementsEqual(b.text.utf8)
    }

    public static func < (a: Self, b: Self) -> Bool {
      if a.expireTime != b.expireTime { return a.expireTime < b.expireTime }
      if a.kind != b.kind { return a.kind.rawValue < b.kind.rawValue }
      return a.text.utf8.lexicographicallyPrecedes(b.text.utf8)
    }
  }

  /// What voids all that either does, for as long as either would.
  /// - Parameter earlier: of the same target.
  func joined(with earlier: Revocation) -> Revocation {
    Revocation(
      target: target, before: max(before, earlier.before),
      expireTime: max(expireTime, earlier.expireTime),
      reason: reason.isEmpty ? earlier.reason : reason)
  }

  /// Whether a text can be the id of a token: without ASCII control characters, which not all stores keep.
  public static func isTokenID(_ text: String) -> Bool {
    (1...maximumTokenIDBytes).contains(text.utf8.count)
      && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
  }

  /// Whether a text can be a reason: likewise.
  public static func isReason(_ text: String) -> Bool {
    text.utf8.count <= maximumReasonBytes && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
  }
}
