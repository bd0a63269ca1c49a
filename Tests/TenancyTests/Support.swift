import Synchronization

@testable import Tenancy

/// SplitMix64: the same numbers in every run.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  mutating func pick<T>(_ choices: [T]) -> T {
    choices[Int.random(in: 0..<choices.count, using: &self)]
  }

  mutating func chance(of count: Int, in total: Int) -> Bool {
    Int.random(in: 0..<total, using: &self) < count
  }
}

extension ControlState {
  var allTenants: [TenantRecord] { tenants().all }
}

/// A clock that tests set.
final class TestClock: Sendable {
  private let moment: Mutex<Timestamp>

  init(seconds: Int64 = 1_800_000_000) {
    moment = Mutex(Timestamp(nanoseconds: seconds * 1_000_000_000))
  }

  var now: Timestamp { moment.withLock { $0 } }

  func advance(seconds: Int64) {
    moment.withLock { $0 = Timestamp(nanoseconds: $0.nanoseconds + seconds * 1_000_000_000) }
  }
}

/// A clock that nobody sets: it moves on when a test says so.
final class SteadyClock: Sendable {
  private let moment = Mutex(ContinuousClock.now)
  var now: ContinuousClock.Instant { moment.withLock { $0 } }
  func advance(by duration: Duration) { moment.withLock { $0 += duration } }
}

/// Values for tests.
enum Sample {
  static let moment = Timestamp(nanoseconds: 1_800_000_000 * 1_000_000_000)

  static func id(_ number: UInt64) -> TenantID {
    TenantID(high: number << 16 | 0x7000, low: 0b10 << 62 | number)
  }

  static func slug(_ text: String) -> Slug {
    guard let slug = Slug(parsing: text) else { preconditionFailure("not a slug: \(text)") }
    return slug
  }

  static func permission(_ text: String) -> Permission {
    guard let permission = Permission(parsing: text) else {
      preconditionFailure("not a permission: \(text)")
    }
    return permission
  }

  static func tenant(
    _ number: UInt64, slug text: String? = nil, state: TenantState = .active
  ) -> Tenant {
    Tenant(
      id: id(number), slug: slug(text ?? "tenant-\(number)"), displayName: "Tenant \(number)",
      state: state, isolationModel: .shared, configuration: TenantConfiguration(), version: 1,
      epoch: 1, createTime: moment, updateTime: moment)
  }

  static func role(_ id: String, _ permissions: [String] = []) -> Role {
    Role(
      id: id, title: "Role", summary: "", permissions: permissions, version: 1,
      createTime: moment, updateTime: moment)
  }

  static func assignment(
    _ id: String, _ subject: String = "user:1", role: String = "reader",
    expireTime: Timestamp? = nil
  ) -> RoleAssignment {
    RoleAssignment(
      id: id, subject: subject, role: role, createTime: moment, expireTime: expireTime)
  }

  static func state(_ tenants: [Tenant]) -> ControlState {
    var state = ControlState()
    state.apply(tenants.map(Change.putTenant), revision: 1)
    return state
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

/// What `body` throws, if it does.
func refusal<R>(of body: () async throws(TenancyError) -> R) async -> TenancyError? {
  do throws(TenancyError) {
    _ = try await body()
    return nil
  } catch {
    return error
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

extension TenantPolicy {
  var roles: [CompiledRole] { roles().all }
  var assignments: [RoleAssignment] { assignments().all }
}

extension TenantCommands {
  init(_ plane: ControlPlane, actor: String) { self.init(plane, actor: actor, judge: .server) }
}

extension Provisioner {
  func provision(_ id: TenantID, actor: String) async throws(TenancyError) -> Tenant {
    try await provision(id, actor: actor, judge: .server)
  }

  func deprovision(
    _ id: TenantID, etag: String, force: Bool = false, actor: String
  ) async throws(TenancyError) -> Tenant {
    try await deprovision(id, etag: etag, force: force, actor: actor, judge: .server)
  }
}
