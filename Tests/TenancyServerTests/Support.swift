import Synchronization
import TenancySecrets
import TenancyWire

@testable import Tenancy
@testable import TenancyCrypto
@testable import TenancyServer

/// A control store in memory.
final class MemoryStore: ControlStore {
  private let log = Mutex<[LogEntry]>([])
  private let fails = Atomic(false)

  func load() throws(StoreError) -> StoredState {
    log.withLock { StoredState(revision: UInt64($0.count), changes: $0.flatMap(\.changes)) }
  }

  func append(_ entries: [LogEntry]) throws(StoreError) {
    if fails.exchange(false, ordering: .relaxed) { throw StoreError(.unavailable, "as asked") }
    log.withLock { $0 += entries }
  }

  /// As a standby that has not got all of it; the next batch finds out.
  func lose(after revision: UInt64) {
    log.withLock { $0.removeAll { $0.revision > revision } }
    fails.store(true, ordering: .relaxed)
  }

  func entries(after revision: UInt64, limit: Int) throws(StoreError) -> [LogEntry] {
    log.withLock { Array($0.filter { $0.revision > revision }.prefix(limit)) }
  }

  func oldestEntries(limit: Int) -> [LogMark] { [] }

  func compact(through revision: UInt64) {}

  var incarnationID: String { "test" }

  func leases(limit: Int) -> [StoredLease] { [] }

  func renew(_ lease: Lease, lasting: Duration) {}

  func secret(_ purpose: SecretPurpose, of tenant: TenantID) -> StoredSecret? {
    let found = log.withLock(\.self).flatMap(\.changes).compactMap { change -> StoredSecret? in
      guard case .putSecret(tenant, purpose, let reference, let sealed?) = change else {
        return nil
      }
      return StoredSecret(reference: reference, sealed: sealed)
    }
    return found.last
  }

  func dataKeys() -> [WrappedDataKey] { [] }

  func checkWritable() {}

  func close() {}
}

/// Goes on when it is told to.
final class TestClock: Sendable {
  private let time = Mutex(Sample.now)
  var now: Timestamp { time.withLock { $0 } }
  func advance(seconds: Int64) {
    time.withLock {
      $0 = Timestamp(nanoseconds: $0.nanoseconds + seconds * 1_000_000_000)
    }
  }
}

/// Values for tests.
enum Sample {
  static let now = Timestamp(nanoseconds: 1_800_000_000 * 1_000_000_000)

  /// With a data key in use.
  static func keyring() throws -> Keyring {
    let keyring = Keyring(master: try MasterKey())
    try keyring.install([keyring.makeDataKey(at: now)])
    return keyring
  }

  static func id(_ number: UInt64) -> TenantID {
    TenantID(high: number << 16 | 0x7000, low: 0b10 << 62 | number)
  }

  static func slug(_ text: String) -> Slug {
    guard let slug = Slug(parsing: text) else { preconditionFailure("not a slug: \(text)") }
    return slug
  }

  static func tenant(
    _ number: UInt64, _ name: String, state: TenantState = .active
  ) -> Tenant {
    Tenant(
      id: id(number), slug: slug(name), displayName: "Display \(name)", state: state,
      isolationModel: .schema, configuration: TenantConfiguration(), version: 1, epoch: 1,
      createTime: now, updateTime: now)
  }

  static func certificate(
    _ names: [String], notAfter: Int64 = 1_900_000_000, isAuthority: Bool = false
  ) -> PeerCertificate {
    PeerCertificate(
      uriNames: names, fingerprint: [1, 2], notBefore: 0, notAfter: notAfter,
      isAuthority: isAuthority)
  }

  private static let rules = IdentityRules(trustDomains: ["d"])

  static let `operator` = Caller(
    .platform(roles: ["operator"]), subject: "operator", source: .certificate, certificate: nil,
    rules: rules)

  /// Of the tenant acme.
  static let workload = Caller(
    .tenant(name: "acme"), subject: "workload", source: .certificate, certificate: nil,
    rules: rules)

  /// A control plane that holds these tenants and what else is given.
  static func plane(
    _ tenants: [Tenant], _ changes: [Change] = [], sealer: (any SecretSealer)? = nil
  ) throws -> ControlPlane {
    let store = MemoryStore()
    try store.append([
      LogEntry(
        revision: 1, time: now, actor: "test", action: "test", tenants: [],
        changes: tenants.map(Change.putTenant) + changes)
    ])
    return try ControlPlane(store: store, sealer: sealer, clock: { now })
  }
}

extension MethodRule {
  /// Of a method of the API; one of nothing for another.
  static func declared(_ path: String) -> MethodRule {
    all.first { $0.path == path }
      ?? .of(MethodIdentity(path: path, requirement: Requirement(permission: "", scope: .ownSelf)))
  }
}

/// What `body` throws, if it does.
func thrown<R>(by body: () throws(TenancyError) -> R) -> TenancyError? {
  do throws(TenancyError) {
    _ = try body()
    return nil
  } catch {
    return error
  }
}

extension String {
  /// Lends the text's bytes.
  func withBytes<R>(
    _ body: (UnsafeRawBufferPointer) throws(TenancyError) -> R
  ) throws(TenancyError) -> R {
    try utf8Span.span.bytes.withUnsafeBytes { bytes throws(TenancyError) in try body(bytes) }
  }
}

extension Cursor {
  /// What is left, whatever it costs.
  var all: [Element] {
    var cursor = self
    var budget = WorkBudget.uncapped
    var found: [Element] = []
    while let element = cursor.next(&budget) { found.append(element) }
    return found
  }
}
