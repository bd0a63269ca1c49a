import Synchronization
import TenancyCrypto
import TenancyRPC
import TenancyTestSupport

@testable import Tenancy
@testable import TenancyWorkload

/// A process that is what a test says.
final class FakeProcess: ProcessSource {
  struct State {
    var isSame = true
    var program: Program?
    var unit: String?
    /// Called when something is asked of it.
    var onLook: (@Sendable (FakeProcess) -> Void)?
    var looks = 0
  }

  let state: Mutex<State>

  init(program: Program? = nil, unit: String? = nil) {
    state = Mutex(State(program: program, unit: unit))
  }

  func change(_ body: (inout sending State) -> Void) { state.withLock { body(&$0) } }

  func isSame() -> Bool { state.withLock { $0.isSame } }

  func programFile() -> FileIdentity? { state.withLock { $0.program?.file } }

  func programPath() -> String? {
    let look = state.withLock { state in
      state.looks += 1
      return state.onLook
    }
    look?(self)
    return state.withLock { $0.program?.path }
  }

  func unit() -> String? { state.withLock { $0.unit } }
}

/// A control plane in memory with tenants and entries, a CA, and what serves them.
struct WorkloadBench {
  static let acme = Sample.id(1)
  static let globex = Sample.id(2)

  /// Certificates are dated by the machine's clock: this one begins there.
  let clock = TestClock(seconds: RealClock.seconds)
  let plane: ControlPlane
  let store = MemoryStore()
  let directory: TemporaryDirectory
  let authority: WorkloadAuthority
  var terms = WorkloadTerms()

  init() async throws {
    plane = try ControlPlane(store: store, clock: { [clock] in clock.now })
    directory = try TemporaryDirectory()
    authority = try Self.makeAuthority(directory, "ca")
    for (id, slug) in [(Self.acme, "acme"), (Self.globex, "globex")] {
      try await put(Self.tenant(id, slug))
    }
  }

  static func makeAuthority(
    _ directory: TemporaryDirectory, _ name: String
  ) throws -> WorkloadAuthority {
    let files = CredentialFiles(directory: directory.path, name: name)
    try CertificateAuthority.create(commonName: name, trustDomain: "example.test").save(files)
    return try WorkloadAuthority(
      certificates: files.certificate, key: files.privateKey, trustDomain: "example.test")
  }

  static func tenant(_ id: TenantID, _ slug: String, _ state: TenantState = .active) -> Tenant {
    Tenant(
      id: id, slug: Sample.slug(slug), displayName: slug, state: state, isolationModel: .shared,
      configuration: TenantConfiguration(), version: 1, epoch: 1, createTime: Sample.moment,
      updateTime: Sample.moment)
  }

  func put(_ tenant: Tenant) async throws {
    try await plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      transaction.emit(.putTenant(tenant), about: tenant.id)
    }
  }

  @discardableResult
  func register(
    _ tenant: TenantID? = acme, path: String = "web",
    _ selectors: WorkloadEntry.Selectors = .init(userID: 7), lifetime: Int64? = nil
  ) async throws -> WorkloadEntry {
    try await WorkloadEntryCommands(plane, actor: "test", judge: .server).create(
      NewWorkloadEntry(
        tenant: tenant, path: path, selectors: selectors, lifetime: lifetime))
  }

  func unregister(_ entry: WorkloadEntry) async throws {
    try await WorkloadEntryCommands(plane, actor: "test", judge: .server).delete(entry.id)
  }

  func issuer() -> WorkloadIssuer {
    WorkloadIssuer(plane: plane, terms: terms, authority: WorkloadAuthorities(authority)) { _ in }
  }

  func peer(
    _ process: FakeProcess? = FakeProcess(), user: UInt32 = 7, group: UInt32 = 8
  ) -> WorkloadPeer { WorkloadPeer(userID: user, groupID: group, source: process) }
}

/// The status that `body` ends with, if it throws.
nonisolated(nonsending) func status<R>(of body: () async throws -> R) async -> RPCStatus? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error as? RPCStatus
  }
}
