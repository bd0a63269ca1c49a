import TenancyTestSupport

@testable import Tenancy

/// One of several nodes on a store, which makes tenants' resources.
struct StoreNode {
  let test: TestPlane
  let data: FakeDataPlane
  let provisioner: Provisioner

  /// - Parameter place: where its data plane keeps data; nil: nobody asks.
  init(
    _ name: String, _ disk: MemoryLog, place: String? = nil,
    leaseDuration: Duration = .seconds(600),
    options: ControlPlane.Options = ControlPlane.Options()
  ) throws {
    test = try TestPlane(MemoryStore(disk), options: options)
    data = FakeDataPlane(place: place)
    provisioner = Provisioner(
      test.plane, data, terms: .init(holder: name, leaseDuration: leaseDuration))
  }

  func record(_ id: TenantID) async throws -> TenantRecord? {
    try await test.plane.catchUp()
    return test.plane.state.find(id)
  }
}
