/// Where a secret belongs. What is sealed for one place does not open at another.
public struct SecretPlace: Hashable, Sendable {
  /// Stands for the platform where a tenant stands otherwise: no tenant has this id.
  public static let platform = TenantID(high: 0, low: 0)

  /// Whose secret it is, or `platform`.
  public let tenant: TenantID
  /// What it is for.
  public let purpose: SecretPurpose

  /// Both are sealed together with the secret.
  public init(tenant: TenantID, purpose: SecretPurpose) {
    self.tenant = tenant
    self.purpose = purpose
  }

  /// Where stores keep it, for messages.
  public var row: String {
    tenant == Self.platform
      ? "table platform_secrets, row \(purpose.rawValue)"
      : "table secrets, row \(tenant)/\(purpose.rawValue)"
  }
}

/// Seals secrets and opens them. Thread-safe; a call takes microseconds and does not block.
public protocol SecretSealer: Sendable {
  /// Takes in all data keys of a store. Those it had before stay, as they were taken in.
  /// - Throws: `.unknownKey` if one is wrapped by a master key that is not there, `.damaged` if one does not
  ///   unwrap. Nothing has changed then.
  func install(_ keys: [WrappedDataKey]) throws(SecretError)

  /// The data key that seals what is new; nil before the first active one is installed.
  var activeKey: KeyID? { get }

  /// A new data key, active. To be stored, and then installed.
  func makeDataKey(at now: Timestamp) throws(SecretError) -> WrappedDataKey

  /// The same key, wrapped by the master key of now. Nil if it is already.
  /// - Throws: `.unknownKey` if it is not installed.
  func rewrap(_ key: WrappedDataKey) throws(SecretError) -> WrappedDataKey?

  /// Seals a secret for its place and version under the active key.
  /// - Throws: `.unknownKey` without one.
  func seal(
    _ secret: ClearSecret, for place: SecretPlace, version: UInt64
  ) throws(SecretError) -> StoredSecret

  /// - Throws: `.unknownKey` if the data key is not installed; `.damaged` if the secret was changed, or was
  ///   sealed for another place, version or key.
  func open(_ secret: StoredSecret, for place: SecretPlace) throws(SecretError) -> ClearSecret
}
