import Synchronization
import TenancyTestSupport

@testable import Tenancy

/// A data plane that remembers what it did, and fails or waits where it is told to.
final class FakeDataPlane: ClusterDataPlane {
  struct Broken: Error, CustomStringConvertible { let description: String }

  static let steps = ["first", "second", "third"]
  /// What a run does for a tenant of which no step is on record: leftovers go first.
  static let wholeRun = ["destroy"] + steps

  let place: String?
  let makesLogins: Bool

  init(place: String? = nil, makesLogins: Bool = false) {
    self.place = place
    self.makesLogins = makesLogins
  }

  private struct State {
    var events: [String] = []
    var failures: Set<String> = []
    var barriers: [String: Barrier] = [:]
    var refusal: String?
    var missing: String?
    /// Nil: it can't be asked.
    var load: Int? = 0
    var passwords: [String] = []
    var inventory: [TenantID: [String]] = [:]
    var logins: [TenantID: [UInt32: Bool]] = [:]
    var strays: [String: [String]] = [:]
    var usage: [TenantID: DataUsage] = [:]
  }
  private let state = Mutex(State())

  var events: [String] { state.withLock { $0.events } }

  func failNext(_ event: String) { state.withLock { _ = $0.failures.insert(event) } }

  func holdNext(_ event: String) -> Barrier {
    let barrier = Barrier()
    state.withLock { $0.barriers[event] = barrier }
    return barrier
  }

  /// The passwords that steps were given.
  var passwords: [String] { state.withLock { $0.passwords } }

  func use(_ usage: DataUsage, by tenant: TenantID) {
    state.withLock { $0.usage[tenant] = usage }
  }

  func usage(of tenant: Tenant) throws -> DataUsage {
    try record("usage")
    return state.withLock { $0.usage[tenant.id] } ?? DataUsage(bytes: 7, sessions: 1)
  }

  func load(_ tenants: Int?) { state.withLock { $0.load = tenants } }

  func load() throws -> Int {
    guard let load = state.withLock(\.load) else { throw Broken(description: "it is down") }
    return load
  }

  func inventory() -> [TenantID: [String]] { state.withLock(\.inventory) }

  func hold(_ things: [TenantID: [String]]) { state.withLock { $0.inventory = things } }

  func destroyAll(of tenant: TenantID, permit: () throws -> Void) throws {
    try permit()
    try record("destroy \(tenant)")
    state.withLock { $0.inventory[tenant] = nil }
  }

  func logins() -> [TenantID: [UInt32: Bool]] { state.withLock(\.logins) }

  func hold(logins: [TenantID: [UInt32: Bool]]) { state.withLock { $0.logins = logins } }

  func settleLogins(of tenant: Tenant, isRepair: Bool) throws {
    try record("\(isRepair ? "repair" : "settle") \(tenant.hasClosedLogins ? "closed" : "open")")
    state.withLock { state in
      for number in tenant.dataLogin?.numbers ?? [] {
        state.logins[tenant.id, default: [:]][number] = !tenant.hasClosedLogins
      }
    }
  }

  func strayRows(limit: Int) -> [String: [String]] { state.withLock(\.strays) }

  func hold(strays: [String: [String]]) { state.withLock { $0.strays = strays } }

  func removeStrayRows(of identifier: String, permit: () throws -> Void) throws {
    try permit()
    try record("remove \(identifier)")
    state.withLock { $0.strays[identifier] = nil }
  }

  func makeLogin(_ number: UInt32, for tenant: Tenant, _ password: ClearSecret) throws {
    try record("login \(number) \(String(decoding: password.reveal(), as: UTF8.self))")
  }

  func dropLogin(_ number: UInt32, of tenant: TenantID) throws {
    try record("drop login \(number)")
  }

  func repair(_ tenant: Tenant, _ password: ClearSecret) throws {
    try record("repair \(tenant.id) \(String(decoding: password.reveal(), as: UTF8.self))")
  }

  func location(of tenant: Tenant, _ category: DataCategory?) -> DataLocation? {
    guard let login = tenant.dataLogin else { return nil }
    return DataLocation(
      hosts: [], isTLS: true, database: place ?? "",
      searchPath: tenant.dataCategories.map(\.name), username: "\(login.number)")
  }

  func refuse(_ why: String) { state.withLock { $0.refusal = why } }

  func lose(_ what: String?) { state.withLock { $0.missing = what } }

  func refusal(for tenant: Tenant) -> String? { state.withLock { $0.refusal } }

  func missing(among tenants: [Tenant]) -> [TenantID: String] {
    guard let why = state.withLock(\.missing) else { return [:] }
    return Dictionary(tenants.map { ($0.id, why) }) { first, _ in first }
  }

  func steps(for tenant: Tenant) -> [String] { Self.steps }

  func perform(_ step: String, for tenant: Tenant, _ password: ClearSecret?) throws {
    if let password {
      state.withLock { $0.passwords.append(String(decoding: password.reveal(), as: UTF8.self)) }
    }
    try record(step)
  }

  /// In two acts, of which the first is none to be seen.
  func destroy(for tenant: Tenant, permit: () throws -> Void) throws {
    wait(for: "destroy")
    try permit()
    wait(for: "rest")
    try permit()
    try record("destroy")
  }

  private func wait(for event: String) {
    state.withLock { $0.barriers.removeValue(forKey: event) }?.wait()
  }

  private func record(_ event: String) throws {
    wait(for: event)
    try state.withLock { state in
      state.events.append(event)
      if state.failures.remove(event) != nil { throw Broken(description: "\(event) broke") }
    }
  }
}
