import Tenancy
import TenancyTestSupport
import Testing

/// What the checks of registration entries are made of.
enum ContractWorkloads {
  static func id(_ number: UInt64) -> String { Sample.id(number).description }

  static func entry(
    _ number: UInt64, tenant: TenantID?, path: String = "web",
    _ selectors: WorkloadEntry.Selectors, hint: String = ""
  ) -> WorkloadEntry {
    WorkloadEntry(
      id: id(number), tenant: tenant, path: path, selectors: selectors, hint: hint,
      createTime: Timestamp(nanoseconds: 1))
  }
}

/// The checks of the registration entries of workloads.
extension ControlStoreContract {
  static let workloads = [
    ControlStoreContract("registration entries come back, and go when they are deleted") { open in
      let tenant = Sample.tenant(1)
      let odd = WorkloadEntry.Selectors(
        userID: .max - 1, groupID: 7, binaryPath: "/opt/é \"'\\/x",
        systemdUnit: "a@b\\x2d.service", node: "n-1")
      let entries = [
        ContractWorkloads.entry(3, tenant: tenant.id, .init(userID: 0)),
        ContractWorkloads.entry(
          4, tenant: tenant.id, path: "a/b.c/D_-", odd, hint: "e\u{301}'\""),
        ContractWorkloads.entry(5, tenant: nil, path: "resolver", .init(binaryPath: "/bin/x")),
      ]
      let put = entries.map { Change.putWorkloadEntry($0) }
      try withStore(open) { (store) throws in
        try store.append([Sample.entry(1, [.putTenant(tenant)] + put.reversed())])
      }
      try withStore(open) { (store) throws in
        let loaded = try store.load().changes
        #expect(loaded == [.putTenant(tenant)] + put)
        let hints = loaded.compactMap { change -> [UInt8]? in
          guard case .putWorkloadEntry(let entry) = change else { return nil }
          return Array(entry.hint.utf8)
        }
        #expect(hints == entries.map { Array($0.hint.utf8) })
        let state = ControlState(try store.load())
        #expect(state.workloads.count == 3 && state.workloads.count(of: tenant.id) == 2)
        let gone: [Change] = [
          .deleteWorkloadEntry(id: entries[0].id), .deleteWorkloadEntry(id: "none"),
        ]
        try store.append([Sample.entry(2, gone)])
        #expect(try store.load().changes == [.putTenant(tenant)] + put.dropFirst())
        #expect(try store.entries(after: 1, limit: 1).map(\.changes) == [gone])
      }
    },
    ControlStoreContract("a registration entry of no tenant is refused") { open in
      try withStore(open) { (store) throws in
        let entry = ContractWorkloads.entry(1, tenant: Sample.id(1), .init(userID: 1))
        expectError(.conflict) { try store.append([Sample.entry(1, [.putWorkloadEntry(entry)])]) }
        try expectState(StateModel(), in: store)
      }
    },
  ]
}
