/// One row's change. Applying the changes of all entries in revision order gives the state.
/// Large ones are kept apart (`indirect`), for a store loads millions of small ones.
public enum Change: Hashable, Sendable {
  /// Inserts the tenant or replaces the one of the same id.
  indirect case putTenant(Tenant)
  /// Inserts the role or replaces the one of the same id.
  indirect case putRole(TenantID, Role)
  /// Removes a role, whose assignments are gone.
  case deleteRole(TenantID, id: String)
  /// Inserts the assignment or replaces the one of the same id.
  indirect case putAssignment(TenantID, RoleAssignment)
  /// Removes an assignment.
  case deleteAssignment(TenantID, id: String)
  /// Inserts the group or replaces the one of the same id.
  indirect case putGroup(TenantID, SubjectGroup)
  /// Removes a group, whose members are gone.
  case deleteGroup(TenantID, id: String)
  /// Inserts the membership in a group or replaces the one of the same id.
  indirect case putGroupMember(TenantID, GroupMember)
  /// Removes a membership in a group.
  case deleteGroupMember(TenantID, id: String)
  /// This provisioning step is done.
  case putProvisioningStep(TenantID, name: String)
  /// No provisioning step is done.
  case clearProvisioningSteps(TenantID)
  /// A name belongs to this tenant for good: it is never given to another.
  case reserveName(ReservedName, TenantID)
  /// A former slug of this tenant does not stand for it any more. It stays reserved; reserving it
  /// again ends the retirement.
  case retireSlug(Slug, TenantID)
  /// Keeps a request, so that its repetition is answered alike.
  indirect case rememberRequest(RememberedRequest)
  /// Requests that were carried out before this moment are forgotten: those on a tenant's account, or the platform's.
  case forgetRequests(before: Timestamp, of: TenantID?)
  /// Puts a sealed secret in the place of the former one of this purpose: a tenant's, or of `SecretPlace.platform`.
  /// Nil where the log tells of it, which holds no secrets, sealed or not.
  indirect case putSecret(TenantID, SecretPurpose, SecretReference, SealedSecret?)
  /// Removes the sealed secret of this purpose, if there is one.
  case deleteSecret(TenantID, SecretPurpose)
  /// Inserts a revocation or replaces the one of the same target.
  indirect case putRevocation(TenantID, Revocation)
  /// Removes the tenant's revocations that expire before this moment.
  case forgetRevocations(TenantID, before: Timestamp)
  /// Inserts the registration entry or replaces the one of the same id.
  case putWorkloadEntry(WorkloadEntry)
  /// Removes a registration entry.
  case deleteWorkloadEntry(id: String)
  /// Inserts the tenant's domain or claim, or replaces the one of the same name.
  case putDomain(TenantDomain)
  /// Removes a domain or claim of this tenant.
  case deleteDomain(TenantID, name: String)
  /// Inserts the signing authority or replaces the one of the same id.
  indirect case putAuthority(SigningAuthority)
  /// Removes a signing authority.
  case deleteAuthority(id: String)
  /// Inserts what the platform declares, or replaces that of the same kind and id.
  indirect case putConfigurationItem(ConfigurationItem)
  /// Removes what the platform has declared.
  case deleteConfigurationItem(ConfigurationItem.Kind, id: String)
  /// Inserts the operation or replaces the one of the same tenant and number; of the tenant's, the newest
  /// `TenantOperation.maximumKept` stay.
  indirect case putOperation(TenantOperation)
  /// Removes the tenant's operations.
  case deleteOperations(TenantID)
  /// Inserts the key or replaces the one of the same id.
  indirect case putDataKey(WrappedDataKey)
}

/// A name that must be unique among tenants, past and present.
public struct ReservedName: Hashable, Sendable {
  /// Raw values are those stored on disk.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// A tenant's slug, current or former.
    case slug
    /// The schema of a tenant.
    case schema
    /// What a tenant is called in shared tables.
    case tenantIdentifier = "tenant_identifier"
  }
  /// What kind of name it is: names of different kinds don't collide.
  public let kind: Kind
  /// In canonical form.
  public let text: String

  /// - Parameter text: in canonical form.
  public init(_ kind: Kind, _ text: String) {
    self.kind = kind
    self.text = text
  }
}

/// What a store holds: the last revision, and puts and reservations that rebuild the state.
public struct StoredState: Sendable {
  /// Of the last entry of the log; 0: none.
  public let revision: UInt64
  /// The rows of each table, in the order in which they are to be applied. Large stores have millions, which
  /// are not put into one list for nothing.
  public let tables: [[Change]]

  /// All of them in one list.
  public var changes: [Change] { Array(tables.joined()) }

  /// - Parameter changes: in the order in which they are to be applied.
  public init(revision: UInt64, changes: [Change]) {
    self.init(revision: revision, tables: [changes])
  }

  /// - Parameter tables: in the order in which they are to be applied.
  public init(revision: UInt64, tables: [[Change]]) {
    self.revision = revision
    self.tables = tables
  }
}

/// Where the control plane is kept. Calls block; the control plane's writer makes them, one at a time, and
/// others may call `entries` at the same time.
///
/// Every store promises:
/// 1. `append` is atomic: after any failure or crash, all of a batch is there or nothing of it.
/// 2. `append` is durable: when it returns, the batch survives `kill -9` and power loss.
/// 3. Revisions are consecutive: a batch that does not begin at the last revision + 1 is refused and
///    changes nothing.
/// 4. `load` gives back what was appended, field by field, tenants in order of their ids.
/// 5. After a crash at any moment, opening again needs no help.
/// 6. `checkWritable` succeeds only if a batch could be made durable now, and changes nothing. What was
///    visible before it was called is durable when it returns.
/// 7. `entries` gives what was appended and is durable, field by field, each revision once and in order,
///    without the secrets that `LogEntry.withoutSecrets` takes out.
/// 8. The state at any revision is that of a snapshot (`load`) and the entries after it, applied in order.
/// 9. The log can be followed from its floor on, 0 in a new store, and every later revision. Only `compact`
///    raises the floor, and an entry that can't be told without a secret.
/// 10. `compact` is atomic and durable, and changes neither the state nor the last revision.
/// 11. Sealed secrets and wrapped keys are in no log and in no `load`: `secret` and `dataKeys` give back what
///    was appended last. A secret whose data key is not there is refused, and so is a second active key.
/// 12. An entry with a `LeaseAction` is committed only if the lease is as the action demands, in the same
///     transaction, and the whole batch is refused otherwise. Leases expire by the store's clock, which is the
///     same for all nodes, and survive what the log survives.
/// 13. An entry's `history` is kept together with its changes or not at all, and is in no log and in no `load`: those
///     of an owner that add up to `ConfigurationEdit.maximumBytes`, and the newest. It ends with the tenant's purge, or
///     with the plan.
public protocol ControlStore: Sendable {
  /// The whole state, consistent.
  /// - Throws: `StoreError`.
  func load() throws(StoreError) -> StoredState

  /// Tells this store, in one of its lives, from all others: a store that was restored to an earlier state lives
  /// another one. Known when something has been loaded.
  var incarnationID: String { get }

  /// Tells this store from all others, in all of its lives: a restored backup has it, too. Known when something has been
  /// loaded.
  var identity: String { get }

  /// Adds entries to the log and applies their changes.
  /// - Throws: `StoreError`; nothing was added then. After `.unknownOutcome` the batch may or may not
  ///   be there, and only `load` tells.
  func append(_ entries: [LogEntry]) throws(StoreError)

  /// Entries from `revision` + 1 on: at most `limit` of them, and fewer where they are large, but none
  /// only if there are none.
  /// - Throws: `StoreError`: `.compacted` if `revision` is below the floor.
  func entries(after revision: UInt64, limit: Int) throws(StoreError) -> [LogEntry]

  /// The entry that puts a tenant, next to a moment: nil if there is none that can be followed. Takes no longer the more
  /// other tenants have changed, those aside that were changed several in one entry.
  /// - Throws: `StoreError`: `.compacted` if the moment is before the floor.
  func tenantEntry(_ query: TenantLogQuery) throws(StoreError) -> LogEntry?

  /// Entries behind a revision and up to another, for those of whom there are many: neither a write nor who follows the
  /// log as `entries` does waits for it.
  /// - Parameter tenant: only those that put it, which takes no longer the more others have changed; nil: all.
  /// - Returns: at most `limit` entries, and fewer where they are large, and up to which revision these are all.
  /// - Throws: `StoreError`: `.compacted` if `revision` is below the floor.
  func pastEntries(
    of tenant: TenantID?, after revision: UInt64, through last: UInt64, limit: Int
  ) throws(StoreError) -> LogPart

  /// What of the log is kept, from its begin on, at most `limit` entries: also those that can't be followed
  /// any more.
  /// - Throws: `StoreError`.
  func oldestEntries(limit: Int) throws(StoreError) -> [LogMark]

  /// Removes the entries up to and including a revision, the last at most, and makes it the floor.
  /// - Throws: `StoreError`; nothing was removed then, unless it is `.unknownOutcome`.
  func compact(through revision: UInt64) throws(StoreError)

  /// The leases that are held or have expired, those first that expire first.
  /// - Throws: `StoreError`.
  func leases(limit: Int) throws(StoreError) -> [StoredLease]

  /// Goes on holding a lease while there is nothing to record, for `lasting` from now on. That need not be
  /// durable.
  /// - Throws: `StoreError`: `.leaseLost` if it was taken over or released.
  func renew(_ lease: Lease, lasting: Duration) throws(StoreError)

  /// Tries to write, durably, without a change: whether a store that has failed works again.
  /// - Throws: `StoreError`.
  func checkWritable() throws(StoreError)

  /// The sealed secret of this purpose; nil if the tenant, or `SecretPlace.platform`, has none.
  /// - Throws: `StoreError`.
  func secret(_ purpose: SecretPurpose, of tenant: TenantID) throws(StoreError) -> StoredSecret?

  /// What was done to a configuration, the newest first: before a place, or from the newest on. At most `limit`
  /// entries, and fewer where they are large, but none only if there are none. Neither a write nor who follows the log
  /// waits for it.
  /// - Throws: `StoreError`.
  func configurationHistory(
    of owner: ConfigurationOwner, before place: UInt64?, limit: Int
  ) throws(StoreError) -> [RecordedEdit]

  /// The revision behind which histories begin: what was done before was not recorded.
  /// - Throws: `StoreError`.
  func configurationHistoryBegin() throws(StoreError) -> UInt64

  /// All data keys, in order of their ids.
  /// - Throws: `StoreError`.
  func dataKeys() throws(StoreError) -> [WrappedDataKey]
  /// A tenant's operations, the newest first: `TenantOperation.maximumKept` at most.
  func operations(of tenant: TenantID) throws(StoreError) -> [TenantOperation]

  /// Releases what the store holds open. The last call.
  func close()
}

/// Some of the log.
public struct LogPart: Sendable {
  /// In order.
  public let entries: [LogEntry]
  /// There are no others up to this revision.
  public let end: UInt64

  /// - Parameter end: not before the last entry.
  public init(entries: [LogEntry], end: UInt64) { (self.entries, self.end) = (entries, end) }
}

extension LogEntry {
  /// Whether it puts this tenant.
  public func puts(_ tenant: TenantID) -> Bool {
    changes.contains { if case .putTenant(let put) = $0 { put.id == tenant } else { false } }
  }
}

extension ControlStore {
  /// By `entries`.
  public func pastEntries(
    of tenant: TenantID?, after revision: UInt64, through last: UInt64, limit: Int
  ) throws(StoreError) -> LogPart {
    let most = Int(clamping: min(UInt64(clamping: limit), last > revision ? last - revision : 0))
    let all = try entries(after: revision, limit: most)
    return LogPart(
      entries: tenant.map { tenant in all.filter { $0.puts(tenant) } } ?? all,
      end: all.last?.revision ?? revision)
  }

  public var identity: String { incarnationID }
}

/// Why a store could not do as asked.
public struct StoreError: Error, Sendable, CustomStringConvertible {
  /// What kind of failure it is.
  public enum Code: Sendable, Hashable {
    /// Not there, not readable, locked by another process, or no space: may go away.
    case unavailable
    /// What is on disk is not what this program wrote, or of a newer version.
    case corrupt
    /// Revisions do not follow, or a change contradicts what is stored.
    case conflict
    /// The commit failed in a way that leaves open whether it took effect.
    case unknownOutcome
    /// The log does not reach back so far. It can be followed from this revision on.
    case compacted(floor: UInt64)
    /// Another holder has the lease that was to be taken.
    case leaseHeld
    /// The lease was taken over or released: what was done under it is not recorded.
    case leaseLost
  }
  /// What programs tell failures apart by.
  public let code: Code
  /// For the log; never sent to clients.
  public let description: String
  /// The row that is wrong, where one is.
  public let place: Place?

  /// A row, and what is wrong with it.
  public struct Place: Hashable, Sendable {
    /// As the database calls it.
    public let table: String
    /// Its key.
    public let row: String
    /// In words for operators.
    public let what: String

    /// - Parameters:
    ///   - row: its key.
    ///   - what: what is wrong, in words for operators.
    public init(table: String, row: String, what: String) {
      self.table = table
      self.row = row
      self.what = what
    }
  }

  /// - Parameter description: for the log, never for clients.
  public init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
    place = nil
  }

  /// `.corrupt`, with the row.
  public init(corrupt place: Place) {
    code = .corrupt
    description = "table \(place.table), row \(place.row): \(place.what)"
    self.place = place
  }
}
