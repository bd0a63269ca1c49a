/// The id of a data key or of a master key: 128 bits, written as a UUID is.
public struct KeyID: Hashable, Sendable, CustomStringConvertible {
  /// The first 64 bits.
  public let high: UInt64
  /// The last 64 bits.
  public let low: UInt64

  /// Any 128 bits are an id.
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Parses 36 characters, lower-case hex and hyphens. Returns nil for anything else.
  public init?(parsing text: String) {
    guard let (high, low) = unsafe UUIDText.parse(text.utf8Span.span.bytes) else { return nil }
    self.init(high: high, low: low)
  }

  public var description: String { UUIDText.format(high: high, low: low) }
}

extension KeyID: Codable {
  public init(from decoder: any Decoder) throws {
    let box = try decoder.singleValueContainer()
    guard let id = KeyID(parsing: try box.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: box, debugDescription: "not the id of a key")
    }
    self = id
  }

  public func encode(to encoder: any Encoder) throws {
    var box = encoder.singleValueContainer()
    try box.encode(description)
  }
}

/// What a secret is for. It is sealed together with the secret, so that none stands in for another. Raw
/// values are those stored on disk.
public enum SecretPurpose: Hashable, Sendable, RawRepresentable {
  /// Of the tenant's own database (`DatabaseConfiguration.password`).
  case databasePassword
  /// The private half of the key of this id that signs the tenant's tokens (`TokenKey`).
  case tokenKey(String)
  /// The key of the `SigningAuthority` of this id: of the platform.
  case authorityKey(String)
  /// Of the tenant's `DataLogin` of this number.
  case dataLogin(UInt32)
  /// The tenant's value of the setting of this name (`SecretSetting`).
  case setting(String)

  private static let databasePasswordText = "database_password"
  private static let tokenKeyPrefix = "token_key/"
  private static let authorityKeyPrefix = "authority_key/"
  private static let dataLoginPrefix = "data_login/"
  private static let settingPrefix = "setting/"

  /// Nil for what none is called.
  public init?(rawValue: String) {
    if rawValue == Self.databasePasswordText {
      self = .databasePassword
      return
    }
    if rawValue.hasPrefix(Self.authorityKeyPrefix) {
      let id = String(rawValue.dropFirst(Self.authorityKeyPrefix.count))
      guard SigningAuthority.isID(id) else { return nil }
      self = .authorityKey(id)
      return
    }
    if rawValue.hasPrefix(Self.settingPrefix) {
      let name = String(rawValue.dropFirst(Self.settingPrefix.count))
      guard SettingDefinition.isName(name) else { return nil }
      self = .setting(name)
      return
    }
    if rawValue.hasPrefix(Self.dataLoginPrefix) {
      let text = rawValue.dropFirst(Self.dataLoginPrefix.count)
      // In the one way in which it is written.
      guard let number = UInt32(text), number > 0, "\(number)" == text else { return nil }
      self = .dataLogin(number)
      return
    }
    guard rawValue.hasPrefix(Self.tokenKeyPrefix) else { return nil }
    let id = String(rawValue.dropFirst(Self.tokenKeyPrefix.count))
    guard TokenKey.isID(id) else { return nil }
    self = .tokenKey(id)
  }

  /// `database_password`, `token_key/` and the key's id, `authority_key/` and the authority's, `data_login/` and the
  /// login's number, or `setting/` and the setting's name.
  public var rawValue: String {
    switch self {
    case .databasePassword: Self.databasePasswordText
    case .tokenKey(let id): Self.tokenKeyPrefix + id
    case .authorityKey(let id): Self.authorityKeyPrefix + id
    case .dataLogin(let number): Self.dataLoginPrefix + "\(number)"
    case .setting(let name): Self.settingPrefix + name
    }
  }
}

/// Which secret it is, and nothing of it.
public struct SecretReference: Hashable, Sendable, Codable {
  /// Grows each time that a password is set: the tenant's version by then. Of a key's private half, which is set
  /// once, likewise.
  public let version: UInt64
  /// The data key that it is sealed under.
  public let key: KeyID

  /// - Parameter version: the tenant's once the secret is set.
  public init(version: UInt64, key: KeyID) {
    self.version = version
    self.key = key
  }
}

/// A secret that only the holder of its data key can read. Its format is the sealer's.
public struct SealedSecret: Hashable, Sendable, CustomStringConvertible {
  /// Only the sealer knows their format.
  public let bytes: [UInt8]

  /// Checks nothing: what is not sealed rightly does not open.
  public init(bytes: [UInt8]) { self.bytes = bytes }

  public var description: String { "[sealed, \(bytes.count) bytes]" }
}

/// A secret as a store holds it.
public struct StoredSecret: Hashable, Sendable {
  /// Which secret it is.
  public let reference: SecretReference
  /// The secret itself, for its holder only.
  public let sealed: SealedSecret

  /// Checks nothing: that both belong together shows when it is opened.
  public init(reference: SecretReference, sealed: SealedSecret) {
    self.reference = reference
    self.sealed = sealed
  }
}

/// A key that secrets are sealed under, itself wrapped by a master key.
public struct WrappedDataKey: Hashable, Sendable, CustomStringConvertible {
  /// Raw values are those stored on disk.
  public enum State: String, Hashable, Sendable, CaseIterable {
    /// Seals what is new. One key at most.
    case active
    /// Opens what it sealed.
    case retired
  }

  /// Unique among all data keys.
  public let id: KeyID
  /// The master key that it is wrapped by.
  public let masterKey: KeyID
  /// Its format is the sealer's. Empty where the log tells of it, which holds no keys.
  public let wrapped: [UInt8]
  /// When it was made.
  public let createTime: Timestamp
  /// What it is still used for.
  public var state: State

  /// - Parameter wrapped: the key, encrypted by the master key; empty where none is told.
  public init(
    id: KeyID, masterKey: KeyID, wrapped: [UInt8], createTime: Timestamp, state: State
  ) {
    self.id = id
    self.masterKey = masterKey
    self.wrapped = wrapped
    self.createTime = createTime
    self.state = state
  }

  public var description: String { "[data key \(id), wrapped by \(masterKey)]" }
}

/// A secret in the clear, on its way from a request to the sealer or from there to who needs it. Never
/// printed and never encoded. Its memory is not wiped: it comes from a text, of which Swift makes copies.
public struct ClearSecret: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  private let bytes: [UInt8]

  /// The UTF-8 bytes of `text`.
  public init(_ text: String) { bytes = Array(text.utf8) }
  /// Any bytes.
  public init(bytes: [UInt8]) { self.bytes = bytes }

  /// Its length: not secret.
  public var byteCount: Int { bytes.count }

  /// The secret itself.
  public func reveal() -> [UInt8] { bytes }

  public var description: String { "[secret]" }
  public var debugDescription: String { description }
  /// Empty, so that no debugger or `dump` shows the secret.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Why a secret could not be sealed or opened. Never quotes a secret or a key.
public struct SecretError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What kind of failure it is. Stable; more may come.
  public struct Code: Sendable, Hashable, CustomStringConvertible {
    public let description: String

    /// What is said to be a key is none.
    public static let invalidKey = Code(description: "INVALID_KEY")
    /// A key is needed that is not there.
    public static let unknownKey = Code(description: "UNKNOWN_KEY")
    /// It was changed, or was sealed for another place or under another key.
    public static let damaged = Code(description: "DAMAGED")
    /// The cryptographic library failed.
    public static let library = Code(description: "LIBRARY")
  }

  /// What programs tell failures apart by.
  public let code: Code
  public let description: String

  /// - Parameter description: for logs; must not quote a secret or a key.
  public init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }
}
