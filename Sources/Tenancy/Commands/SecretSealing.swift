/// How the commands that change tenants keep their secrets.
extension TenantCommands {
  /// Seals a password for a tenant as it is about to be stored, and makes the tenant refer to it.
  /// - Throws: FAILED_PRECONDITION where there is nothing to seal it with.
  static func seal(
    _ password: ClearSecret?, into tenant: inout Tenant, _ sealer: (any SecretSealer)?
  ) throws(TenancyError) -> StoredSecret? {
    guard let password, tenant.configuration.database != nil else { return nil }
    guard let sealer else { throw notConfigured }
    let place = SecretPlace(tenant: tenant.id, purpose: .databasePassword)
    do throws(SecretError) {
      let secret = try sealer.seal(password, for: place, version: tenant.version)
      tenant.configuration.database?.password = secret.reference
      return secret
    } catch {
      throw TenancyError(.internalError, .secretsFailed, "the password can't be sealed: \(error)")
    }
  }

  /// Emits what became of a tenant's secret, after the tenant itself.
  /// - Parameter secret: what was sealed anew.
  static func emit(
    _ secret: StoredSecret?, of after: Tenant, from before: Tenant? = nil,
    _ transaction: inout Transaction
  ) {
    let purpose = SecretPurpose.databasePassword
    if let secret {
      transaction.emit(
        .putSecret(after.id, purpose, secret.reference, secret.sealed), about: after.id)
    } else if before?.reference(to: purpose) != nil, after.reference(to: purpose) == nil {
      transaction.emit(.deleteSecret(after.id, purpose), about: after.id)
    }
  }

  private static let notConfigured = TenancyError(
    .failedPrecondition, .secretsNotConfigured,
    "configuration.database.password can't be stored: the server has no master key to seal it with "
      + "(secrets.master_key in its configuration)")
}

extension Tenant {
  /// What it has secrets for.
  public var secretPurposes: [SecretPurpose] {
    var purposes: [SecretPurpose] = []
    if configuration.database?.password != nil { purposes.append(.databasePassword) }
    for key in tokenKeys { purposes.append(.tokenKey(key.id)) }
    if let login = dataLogin { purposes += login.purposes }
    for name in configuration.secretSettings.keys.sorted() { purposes.append(.setting(name)) }
    return purposes
  }

  /// Which secret of this purpose the tenant has.
  public func reference(to purpose: SecretPurpose) -> SecretReference? {
    switch purpose {
    case .databasePassword: configuration.database?.password
    case .tokenKey(let id): tokenKey(id)?.reference
    case .dataLogin(let number):
      dataLogin?.number == number
        ? dataLogin?.password
        : dataLogin?.next.flatMap { $0.number == number ? $0.password : nil }
    case .setting(let name): configuration.secretSettings[name]?.reference
    case .authorityKey: nil
    }
  }

  /// Makes the tenant refer to another sealing of a secret that it has.
  mutating func refer(to reference: SecretReference, for purpose: SecretPurpose) {
    switch purpose {
    case .databasePassword: configuration.database?.password = reference
    case .tokenKey(let id):
      guard let at = tokenKeys.firstIndex(where: { $0.id == id }) else { return }
      tokenKeys[at].reference = reference
    case .dataLogin(let number):
      if dataLogin?.number == number {
        dataLogin?.password = reference
      } else if dataLogin?.next?.number == number {
        dataLogin?.next?.password = reference
      }
    case .setting(let name): configuration.secretSettings[name]?.reference = reference
    case .authorityKey: break
    }
  }
}

extension ControlState {
  /// Which secret of this purpose a tenant has, or the platform.
  func reference(at place: SecretPlace) -> SecretReference? {
    guard place.tenant == SecretPlace.platform else {
      return find(place.tenant)?.tenant.reference(to: place.purpose)
    }
    guard case .authorityKey(let id) = place.purpose else { return nil }
    return authorities.find(id)?.reference
  }
}
