import Foundation
import Tenancy
import TenancyTestSupport
import Testing

/// The checks of what is told of tenants' resources.
extension ControlStoreContract {
  static let operations = [
    ControlStoreContract("operations come back, the newest first, and few are kept") { open in
      let tenant = Sample.tenant(1)
      let count = UInt64(TenantOperation.maximumKept) + 3
      try withStore(open) { (store) throws in
        try store.append([Sample.entry(1, [.putTenant(tenant), .putTenant(Sample.tenant(2))])])
        for number in 1...count {
          try store.append([
            Sample.entry(number + 1, [.putOperation(try Self.operation(1, number))])
          ])
        }
        try store.append([
          Sample.entry(count + 2, [.putOperation(try Self.operation(2, .max))])
        ])
      }
      try withStore(open) { (store) throws in
        let found = try store.operations(of: tenant.id)
        #expect(found.map(\.number) == Array((4...count).reversed()))
        #expect(found.first == (try Self.operation(1, count)))
        #expect(try store.operations(of: Sample.id(2)).map(\.number) == [.max])
        #expect(try store.operations(of: Sample.id(3)).isEmpty)
      }
    },
    ControlStoreContract("an operation is replaced, and all go together") { open in
      try withStore(open) { (store) throws in
        let changed = try Self.operation(1, 7, reason: "\u{2028}\"é\\")
        try store.append([
          Sample.entry(
            1,
            [
              .putTenant(Sample.tenant(1)), .putOperation(try Self.operation(1, 7)),
              .putOperation(changed), .putOperation(try Self.operation(1, 6)),
            ])
        ])
        #expect(try store.operations(of: Sample.id(1)).first == changed)
        let logged = try store.entries(after: 0, limit: 1).first?.changes ?? []
        #expect(logged.contains(.putOperation(changed)))
        try store.append([Sample.entry(2, [.deleteOperations(Sample.id(1))])])
        #expect(try store.operations(of: Sample.id(1)).isEmpty)
      }
    },
  ]

  /// As it is stored.
  static func operation(
    _ tenant: UInt64, _ number: UInt64, reason: String = "x"
  ) throws -> TenantOperation {
    try JSONDecoder().decode(
      TenantOperation.self,
      from: Data(
        """
        {"tenant": "\(Sample.id(tenant))", "number": \(number), "kind": "deprovision", "actor": "a",
         "createTime": 1, "updateTime": 2, "endTime": 3, "place": "cluster:é", "planned": ["a", "b"],
         "steps": [{"name": "a", "start": 1, "end": 2}],
         "failure": {"step": "b", "reason": \(String(decoding: try JSONEncoder().encode(reason), as: UTF8.self)),
         "time": 2}}
        """.utf8))
  }
}
