import TenancyTestSupport

@testable import Tenancy

/// A control plane over a store in memory, with a clock that stands still.
struct TestPlane {
  let store: MemoryStore
  let clock = TestClock()
  let plane: ControlPlane

  init(
    _ store: MemoryStore = MemoryStore(), sealer: (any SecretSealer)? = nil,
    options: ControlPlane.Options = ControlPlane.Options()
  ) throws {
    self.store = store
    plane = try ControlPlane(
      store: store, sealer: sealer, clock: { [clock] in clock.now }, options: options)
  }

  /// Adds a tenant as it is.
  func put(_ tenant: Tenant) async throws {
    try await plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      transaction.emit(.putTenant(tenant), about: tenant.id)
    }
  }

  /// Adds an operation as it is.
  func put(_ operation: TenantOperation) async throws {
    try await plane.write(actor: "test", action: "test") {
      (transaction) throws(TenancyError) in
      transaction.emit(.putOperation(operation), about: operation.tenant)
    }
  }
}
