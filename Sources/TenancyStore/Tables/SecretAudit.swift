internal import Tenancy

/// That the keys of a store are there, and that its secrets are what tenants refer to and can be opened:
/// better known at the start than when one is needed.
enum SecretAudit {
  /// Gives a store's data keys to the sealer.
  /// - Throws: `.unavailable` if secrets can't be opened for want of a master key, `.corrupt` if a key is not
  ///   what was stored.
  static func installKeys(
    of tables: SecretReader<some RowSource>, in sealer: (any SecretSealer)?
  ) throws(StoreError) {
    guard let sealer else {
      try tables.eachSecret { (_, _) throws(StoreError) in
        throw StoreError(
          .unavailable,
          "the store holds sealed secrets and no master key is given: set secrets.master_key")
      }
      return
    }
    let keys = try tables.dataKeys()
    do throws(SecretError) {
      try sealer.install(keys)
    } catch {
      guard error.code == .unknownKey else {
        throw StoreError(.corrupt, "table data_keys: \(error)")
      }
      throw StoreError(
        .unavailable,
        "\(error); set secrets.master_key to the store's, or add it to secrets.previous_master_keys"
      )
    }
  }

  /// Looks at each secret once, and opens it where there is a sealer.
  /// - Parameters:
  ///   - tenants: the rows of tenants.
  ///   - authorities: those of signing authorities.
  /// - Throws: `.corrupt` with the first row that no write can have left.
  static func check(
    _ tables: SecretReader<some RowSource>, tenants: [Change], authorities: [Change],
    _ sealer: (any SecretSealer)?
  ) throws(StoreError) {
    var expected: [SecretPlace: SecretReference] = [:]
    for change in tenants {
      guard case .putTenant(let tenant) = change else { break }
      for purpose in tenant.secretPurposes {
        expected[SecretPlace(tenant: tenant.id, purpose: purpose)] = tenant.reference(to: purpose)
      }
    }
    // The key of one that was retired by force is not kept.
    for case .putAuthority(let authority) in authorities where authority.state != .revoked {
      expected[authority.keyPlace] = authority.reference
    }
    try tables.eachSecret { (place, secret) throws(StoreError) in
      guard let reference = expected.removeValue(forKey: place) else {
        throw corruption(place, "nothing refers to it")
      }
      guard reference == secret.reference else {
        throw corruption(
          place, "what it belongs to refers to version \(reference.version), key \(reference.key)")
      }
      guard let sealer else { return }
      do throws(SecretError) {
        _ = try sealer.open(secret, for: place)
      } catch {
        throw corruption(place, "it does not open: \(error)")
      }
    }
    if let place = expected.keys.min(by: Self.isOrdered) {
      throw corruption(place, "it is missing, and is referred to")
    }
  }

  private static func isOrdered(_ first: SecretPlace, _ second: SecretPlace) -> Bool {
    (first.tenant, first.purpose.rawValue) < (second.tenant, second.purpose.rawValue)
  }

  private static func corruption(_ place: SecretPlace, _ what: String) -> StoreError {
    StoreError(.corrupt, "\(place.row): \(what)")
  }
}
