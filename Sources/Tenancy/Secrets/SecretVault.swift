import Synchronization

/// Opens tenants' secrets for use, and replaces the keys that they are sealed under while the server runs.
/// Thread-safe.
///
/// Of several nodes on a store one at a time replaces keys: the one that holds their lease.
public final class SecretVault: Sendable {
  /// Secrets sealed anew in one transaction, at most.
  static let maximumReseals = 64
  /// How often a secret is read that is not what its tenant refers to, each time on the newest state.
  static let maximumReads = 4

  private let plane: ControlPlane
  private let sealer: any SecretSealer
  private let holder: String
  private let report: @Sendable (String) -> Void
  private let isReplacingKeys = Atomic(false)
  private let wakeups = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

  /// The lease of a store's data keys, and for how long a node that has died with it keeps others from it.
  private static let leaseName = "keys/data"
  private static let leaseDuration = Duration.seconds(10)
  /// Before a lease that another node has is asked for again.
  private static let leasePause = Duration.milliseconds(200)

  /// - Parameters:
  ///   - holder: as whom leases are taken; see `Provisioner.Terms`.
  ///   - report: told, for the log, of secrets that can't be sealed anew.
  public init(
    _ plane: ControlPlane, _ sealer: any SecretSealer,
    holder: String = Provisioner.Terms().holder,
    report: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.plane = plane
    self.sealer = sealer
    self.holder = holder
    self.report = report
  }

  /// Makes the first data key where there is none, and wraps those that there are by the master key of now.
  /// For the start, and after the sealer was given another master key.
  /// - Returns: how many keys were made or wrapped anew.
  /// - Throws: ABORTED while keys are being replaced; what the store throws.
  @discardableResult
  public func prepareKeys(actor: String = "system") async throws(TenancyError) -> Int {
    let asked = Asked(actor: actor, action: "secrets.wrapDataKeys", judge: .server)
    return try await waitingForOthers { () throws(TenancyError) in
      try await replaceKeys(asked) {
        [plane, sealer] (keys) throws(SecretError) -> [WrappedDataKey] in
        var changed: [WrappedDataKey] = []
        for key in keys {
          if let wrapped = try sealer.rewrap(key) { changed.append(wrapped) }
        }
        if !keys.contains(where: { $0.state == .active }) {
          changed.append(try sealer.makeDataKey(at: plane.now))
        }
        return changed
      }
    }
  }

  /// Nodes that start together have the same to do: one does it, and the others find it done.
  private func waitingForOthers(
    _ body: () async throws(TenancyError) -> Int
  ) async throws(TenancyError) -> Int {
    let end = ContinuousClock.now + Self.leaseDuration * 2
    while true {
      do throws(TenancyError) {
        return try await body()
      } catch {
        guard error.reason == .leaseHeld, ContinuousClock.now < end, !Task.isCancelled else {
          throw error
        }
        // A cancelled sleep is followed by the last attempt.
        try? await Task.sleep(for: Self.leasePause)
      }
    }
  }

  /// Seals what is new under a new data key from now on; `keepSealed` then does it for what is there.
  /// - Returns: the new key's id; nil of a rehearsal, which leaves all as it is.
  /// - Throws: ABORTED while keys are being replaced; what `judge` and the store throw.
  @discardableResult
  public func rotateDataKey(
    actor: String, judge: WriteJudge
  ) async throws(TenancyError) -> KeyID? {
    let asked = Asked(actor: actor, action: "secrets.rotateDataKey", judge: judge)
    let count = try await replaceKeys(asked) {
      [plane, sealer] (keys) throws(SecretError) -> [WrappedDataKey] in
      // In this order: there is one active key at any moment.
      let retired = keys.filter { $0.state == .active }.map { key in
        var key = key
        key.state = .retired
        return key
      }
      return retired + [try sealer.makeDataKey(at: plane.now)]
    }
    if count == 0 { return nil }
    wakeups.continuation.yield()
    guard let active = sealer.activeKey else {
      throw Self.failed(SecretError(.unknownKey, "there is no active data key"))
    }
    return active
  }

  /// How long to wait after the store has failed.
  private static let pause = Duration.seconds(5)

  /// Seals anew what is sealed under another key than the active one: now, for that may have been cut short,
  /// and after each rotation, until cancelled. To be called once.
  public func keepSealed() async {
    wakeups.continuation.yield()
    for await _ in wakeups.stream {
      do throws(TenancyError) {
        try await resealAll()
      } catch {
        // The server is stopping: the next start goes on with it.
        if Task.isCancelled { return }
        report("secrets are not all sealed under the active key yet: \(error)")
        // A cancelled sleep is followed by the end of the stream.
        try? await Task.sleep(for: Self.pause)
        wakeups.continuation.yield()
      }
    }
  }

  /// A secret of a tenant or of `SecretPlace.platform`, in the clear; nil if there is none.
  /// - Throws: `StoreError`, `.corrupt` with the row if it does not open.
  public func open(
    _ purpose: SecretPurpose, of id: TenantID
  ) async throws(StoreError) -> ClearSecret? {
    let place = SecretPlace(tenant: id, purpose: purpose)
    var attempt = 1
    while true {
      let (reference, stored) = try await plane.consult { (store, state) throws(StoreError) in
        (state.reference(at: place), try store.secret(purpose, of: id))
      }
      guard let reference else { return nil }
      do throws(StoreError) {
        return try open(stored, as: reference, place)
      } catch {
        guard attempt < Self.maximumReads else { throw error }
      }
      attempt += 1
      try await catchUp()
    }
  }

  /// Another node may have written between the state and what was read of the store: then that is newer, and
  /// nothing is wrong.
  private func catchUp() async throws(StoreError) {
    do throws(TenancyError) {
      try await plane.catchUp()
    } catch {
      throw StoreError(.unavailable, "the store can't be read now")
    }
  }

  /// Seals under the active key whatever is sealed under another: a few at a time, between other writes.
  /// When cancelled, the rest stays as it is, which is no harm.
  /// - Returns: how many secrets were sealed anew.
  /// - Throws: what the store throws.
  @discardableResult
  public func resealAll() async throws(TenancyError) -> Int {
    guard let active = sealer.activeKey else { return 0 }
    var (tenants, budget) = (plane.state.tenants(), WorkBudget.uncapped)
    var count = 0
    var places = plane.state.authorities.all.filter { $0.reference.key != active }.map(\.keyPlace)
    while let record = tenants.next(&budget) {
      for purpose in record.tenant.secretPurposes {
        guard let key = record.tenant.reference(to: purpose)?.key, key != active else { continue }
        places.append(SecretPlace(tenant: record.tenant.id, purpose: purpose))
      }
      guard places.count >= Self.maximumReseals else { continue }
      if Task.isCancelled { return count }
      count += try await reseal(places)
      places = []
    }
    return try await count + reseal(places)
  }

  // MARK: Details

  private func open(
    _ stored: StoredSecret?, as reference: SecretReference, _ place: SecretPlace
  ) throws(StoreError) -> ClearSecret {
    guard let stored, stored.reference == reference else {
      throw StoreError(
        .corrupt,
        "\(place.row): not version \(reference.version) under the data key \(reference.key), which is "
          + "referred to")
    }
    do throws(SecretError) {
      return try sealer.open(stored, for: place)
    } catch {
      throw StoreError(.corrupt, "\(place.row): it does not open: \(error)")
    }
  }

  private struct Resealed: Sendable {
    let place: SecretPlace
    let former: SecretReference
    let secret: StoredSecret
  }

  private func reseal(_ places: [SecretPlace]) async throws(TenancyError) -> Int {
    guard !places.isEmpty else { return 0 }
    let resealed = try await sealAnew(places)
    guard !resealed.isEmpty else { return 0 }
    return try await plane.write(actor: "system", action: "secrets.reseal") {
      (transaction) throws(TenancyError) -> Int in
      // A tenant may have several.
      var tenants: [TenantID: Tenant] = [:]
      var secrets: [Change] = []
      for item in resealed {
        let (id, purpose) = (item.place.tenant, item.place.purpose)
        if case .authorityKey(let name) = purpose {
          guard var authority = transaction.state.authorities.find(name),
            authority.reference == item.former
          else { continue }
          authority.reference = item.secret.reference
          transaction.emit(.putAuthority(authority))
          secrets.append(.putSecret(id, purpose, item.secret.reference, item.secret.sealed))
          continue
        }
        // What was set or removed meanwhile stays so.
        guard var tenant = tenants[id] ?? transaction.state.find(id)?.tenant,
          tenant.reference(to: purpose) == item.former
        else { continue }
        // Of the same version: nobody who reads the tenant sees a change.
        tenant.refer(to: item.secret.reference, for: purpose)
        tenants[id] = tenant
        secrets.append(.putSecret(id, purpose, item.secret.reference, item.secret.sealed))
      }
      for (id, tenant) in tenants.sorted(by: { $0.key < $1.key }) {
        transaction.emit(.putTenant(tenant), about: id)
      }
      for secret in secrets { transaction.emit(secret) }
      return secrets.count
    }
  }

  private func sealAnew(_ places: [SecretPlace]) async throws(TenancyError) -> [Resealed] {
    var resealed: [Resealed] = []
    var (left, errors) = (places, [String]())
    for attempt in 1...Self.maximumReads where !left.isEmpty {
      if attempt > 1 { try await plane.catchUp() }
      let found = try await stored(left)
      (left, errors) = ([], [])
      for (place, reference, stored) in found {
        do {
          let clear = try open(stored, as: reference, place)
          resealed.append(
            Resealed(
              place: place, former: reference,
              secret: try sealer.seal(clear, for: place, version: reference.version)))
        } catch {
          left.append(place)
          errors.append("\(error)")
        }
      }
    }
    // The others are not to wait for them.
    for error in errors { report(error) }
    return resealed
  }

  private func stored(
    _ places: [SecretPlace]
  ) async throws(TenancyError) -> [(SecretPlace, SecretReference, StoredSecret?)] {
    try await consult { [sealer] (store, state) throws(StoreError) in
      var found: [(SecretPlace, SecretReference, StoredSecret?)] = []
      for place in places {
        // Removed, or sealed anew by another, in the meantime.
        guard let reference = state.reference(at: place), reference.key != sealer.activeKey
        else { continue }
        found.append((place, reference, try store.secret(place.purpose, of: place.tenant)))
      }
      return found
    }
  }

  private struct Asked {
    let actor: String
    let action: String
    let judge: WriteJudge
  }

  /// Changes data keys: finds out what the store has, stores what `body` makes of it, and takes it in.
  private func replaceKeys(
    _ asked: Asked, _ body: ([WrappedDataKey]) throws(SecretError) -> [WrappedDataKey]
  ) async throws(TenancyError) -> Int {
    if asked.judge.isRehearsal {
      // In nobody's way.
      let judge = asked.judge
      try await plane.write(actor: asked.actor, action: asked.action, terms: judge.terms()) {
        (transaction) throws(TenancyError) in try judge.judge(&transaction)
      }
      return 0
    }
    guard !isReplacingKeys.exchange(true, ordering: .acquiring) else {
      throw TenancyError(
        .aborted, .secretsFailed, "keys are being replaced by another call", retryAfterSeconds: 1)
    }
    defer { isReplacingKeys.store(false, ordering: .releasing) }
    // At most starts there is nothing to do.
    guard try await !changes(body).isEmpty else { return 0 }
    // Who may not do it takes no lease either.
    let judge = asked.judge.beginning
    try await plane.write(actor: asked.actor, action: asked.action) {
      (transaction) throws(TenancyError) in try judge.judge(&transaction)
    }
    let lease = try await plane.take(
      Self.leaseName, holder: holder, lasting: Self.leaseDuration)
    let changed: [WrappedDataKey]
    do throws(TenancyError) {
      // Another node may have done it meanwhile.
      changed = try await changes(body)
      if !changed.isEmpty { try await write(changed, asked, under: lease) }
    } catch {
      // What is not given up expires.
      try? await plane.release(lease)
      throw error
    }
    if changed.isEmpty { try await plane.release(lease) }
    // What is sealed from here on is sealed under the new key: it is durable.
    _ = try await installedKeys()
    return changed.count
  }

  private func changes(
    _ body: ([WrappedDataKey]) throws(SecretError) -> [WrappedDataKey]
  ) async throws(TenancyError) -> [WrappedDataKey] {
    let keys = try await installedKeys()
    do throws(SecretError) {
      return try body(keys)
    } catch {
      throw Self.failed(error)
    }
  }

  private func write(
    _ keys: [WrappedDataKey], _ asked: Asked, under lease: Lease
  ) async throws(TenancyError) {
    try await plane.write(actor: asked.actor, action: asked.action) {
      [judge = asked.judge] (transaction) throws(TenancyError) in
      try judge.judge(&transaction)
      for key in keys {
        transaction.emit(.putDataKey(key))
        if key.state == .active { transaction.give(id: key.id.description) }
      }
      transaction.release(lease, about: nil)
    }
  }

  /// Reads the keys that the store has and takes them in, in one: what is taken in by and by is then in the order
  /// of the store, also where the log brings another node's rotation meanwhile.
  private func installedKeys() async throws(TenancyError) -> [WrappedDataKey] {
    let outcome = try await consult { [sealer] (store, _) throws(StoreError) in
      let keys = try store.dataKeys()
      return Result { () throws(SecretError) in
        try sealer.install(keys)
        return keys
      }
    }
    do throws(SecretError) {
      return try outcome.get()
    } catch {
      throw Self.failed(error)
    }
  }

  private func consult<Result: Sendable>(
    _ body: @escaping @Sendable (any ControlStore, ControlState) throws(StoreError) -> Result
  ) async throws(TenancyError) -> Result {
    do throws(StoreError) {
      return try await plane.consult(body)
    } catch {
      report("\(error)")
      throw TenancyError(
        .unavailable, .storeUnavailable, "the store can't be read now", retryAfterSeconds: 1)
    }
  }

  private static func failed(_ error: SecretError) -> TenancyError {
    TenancyError(.internalError, .secretsFailed, "the keys can't be replaced: \(error)")
  }
}
