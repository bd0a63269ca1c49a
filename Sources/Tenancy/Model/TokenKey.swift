/// What is public of a key that signs a tenant's tokens.
public struct TokenKey: Hashable, Sendable {
  /// How it signs. Raw values are those of JOSE, and those stored on disk.
  public enum Algorithm: String, Hashable, Sendable, CaseIterable, Codable {
    /// ECDSA over P-256 with SHA-256.
    case es256 = "ES256"
    /// Ed25519.
    case edDSA = "EdDSA"
  }

  /// Keys of one tenant, at most.
  public static let maximumCount = 8
  /// UTF-8 bytes of a public key, at most.
  public static let maximumPublicKeyBytes = 512
  /// Characters of an id: SHA-256 in base64url.
  static let idLength = 43

  /// The key's `kid`: its thumbprint as RFC 7638 makes it, 43 characters of base64url.
  public let id: String
  /// How it signs.
  public let algorithm: Algorithm
  /// The key as it is published: a JWK, as JSON text of at most `maximumPublicKeyBytes`. Nobody here reads it.
  public let publicKey: String
  /// When it was made.
  public let createTime: Timestamp
  /// Nil: it signs. Set: it only verifies, until `verifyUntil`.
  public var retireTime: Timestamp?
  /// When the last token that it signed has expired. Set together with `retireTime`.
  public var verifyUntil: Timestamp?
  /// Which sealed secret its private half is: `SecretPurpose.tokenKey` of its id.
  public var reference: SecretReference

  /// Validates nothing: that is up to `TokenCommands`.
  public init(
    id: String, algorithm: Algorithm, publicKey: String, createTime: Timestamp,
    retireTime: Timestamp? = nil, verifyUntil: Timestamp? = nil, reference: SecretReference
  ) {
    self.id = id
    self.algorithm = algorithm
    self.publicKey = publicKey
    self.createTime = createTime
    self.retireTime = retireTime
    self.verifyUntil = verifyUntil
    self.reference = reference
  }

  /// Whether it signs what is new.
  public var signs: Bool { retireTime == nil }

  /// Whether what it signed is still good: always while it signs.
  public func verifies(at now: Timestamp) -> Bool {
    signs || verifyUntil.map { now < $0 } ?? false
  }

  /// Whether a text can be the id of a key.
  public static func isID(_ text: String) -> Bool {
    text.utf8.count == idLength
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
          true
        default: false
        }
      }
  }

  /// Whether a text can be a public key, for all that is known here.
  public static func isPublicKey(_ text: String) -> Bool {
    (2...maximumPublicKeyBytes).contains(text.utf8.count) && text.utf8.first == UInt8(ascii: "{")
      && text.utf8.last == UInt8(ascii: "}") && !text.utf8.contains(0)
  }
}

extension Tenant {
  /// The key that signs the tenant's tokens; nil: there is none yet.
  public var signingKey: TokenKey? { tokenKeys.first.flatMap { $0.signs ? $0 : nil } }

  /// The key of this id, whether it signs or was retired.
  public func tokenKey(_ id: String) -> TokenKey? { tokenKeys.first { $0.id == id } }
}
