import Tenancy
import TenancyTestSupport
import Testing

/// The checks of what the single changes do, and of what comes back.
extension ControlStoreContract {
  static let fidelity = [
    ControlStoreContract("every field comes back") { open in
      let extremes = Sample.extremeTenant
      let role = Role(
        id: "rôle\u{0}", title: "", summary: "line\nline \u{1F511}\u{FFFD}",
        permissions: ["*:*", "a:\u{0}", ""], version: .max,
        createTime: Timestamp(nanoseconds: .min), updateTime: Timestamp(nanoseconds: .max))
      let assignment = RoleAssignment(
        id: "", subject: "user:\"'\\", role: "rôle\u{0}",
        createTime: Timestamp(nanoseconds: -1), expireTime: Timestamp(nanoseconds: 0))
      let changes: [Change] = [
        .putTenant(extremes), .putTenant(Sample.tenant(3)), .putRole(extremes.id, role),
        .putAssignment(extremes.id, assignment),
        .putAssignment(extremes.id, Sample.assignment("no expiry")),
        .putProvisioningStep(extremes.id, name: "create\u{0}schema"),
        .reserveName(ReservedName(.slug, "a"), extremes.id),
        .reserveName(ReservedName(.schema, "a"), extremes.id),
        .reserveName(ReservedName(.tenantIdentifier, "a"), Sample.tenant(3).id),
        .rememberRequest(Sample.request("r", tenant: extremes.id, at: 1)),
      ]
      var expected = StateModel()
      for change in changes { expected.apply(change) }
      expected.revision = 1
      try withStore(open) { try $0.append([Sample.entry(1, changes)]) }
      try withStore(open) { try expectState(expected, in: $0) }
    },
    ControlStoreContract("numbers come back to the bit") { open in
      var random = SeededGenerator(seed: 7)
      var numbers: [Double] = [
        0, -0.0, 0.1, 1, -1, 1e15, 1e16, 9_007_199_254_740_992, 1e21, 1e22, 123456789.123456789,
        .pi, .ulpOfOne, .leastNonzeroMagnitude, -.leastNormalMagnitude, .greatestFiniteMagnitude,
      ]
      while numbers.count < 500 {
        let number = Double(bitPattern: random.next())
        if number.isFinite { numbers.append(number) }
      }
      var tenant = Sample.tenant(1)
      tenant.configuration.customSettings["n"] = .array(numbers.map(JSONValue.number))
      try withStore(open) { store in
        try store.append([Sample.entry(1, [.putTenant(tenant)])])
        guard case .putTenant(let loaded) = try store.load().changes.first,
          case .array(let values) = loaded.configuration.customSettings["n"]
        else {
          Issue.record("the tenant or its numbers are missing")
          return
        }
        let bits = values.map { value -> UInt64? in
          if case .number(let number) = value { number.bitPattern } else { nil }
        }
        #expect(bits == numbers.map(\.bitPattern))
      }
    },
    ControlStoreContract("a value that would not come back is refused") { open in
      try withStore(open) { store in
        var deep = JSONValue.null
        for _ in 0..<2000 { deep = .array([deep]) }
        for value in [JSONValue.number(.nan), .number(.infinity), deep] {
          var tenant = Sample.tenant(1)
          tenant.configuration.customSettings["x"] = value
          expectError(.conflict) { try store.append([Sample.entry(1, [.putTenant(tenant)])]) }
        }
        try expectState(StateModel(), in: store)
      }
    },
    ControlStoreContract("tenants come in order of their ids") { open in
      try withStore(open) { store in
        let numbers = Array(0..<50).map { UInt64($0 * 37 % 50) }
        let puts = numbers.map { Change.putTenant(Sample.tenant($0)) }
        try store.append([Sample.entry(1, puts)])
        let ids = try store.load().changes.compactMap { change -> TenantID? in
          if case .putTenant(let tenant) = change { tenant.id } else { nil }
        }
        #expect(ids.count == 50)
        #expect(ids == ids.sorted())
      }
    },
    ControlStoreContract("any history gives back the state that its changes make") { open in
      try withStore(open) { store in
        var random = SeededGenerator(seed: 8)
        var history = RandomHistory()
        for _ in 0..<300 { try store.append(history.nextBatch(using: &random)) }
        try expectState(history.state, in: store)
        #expect(history.state.roles.count > 5, "the history is too poor to show anything")
      }
    },
  ]

  static let changes = [
    ControlStoreContract("a put replaces every field") { open in
      try withStore(open) { store in
        let old = Sample.extremeTenant
        let new = Tenant(
          id: old.id, slug: Sample.slug("other"), displayName: "other", state: .active,
          isolationModel: .shared, configuration: TenantConfiguration(), version: 3, epoch: 4,
          createTime: Timestamp(nanoseconds: 5), updateTime: Timestamp(nanoseconds: 6))
        let role = Role(
          id: "admin", title: "t", summary: "s", permissions: ["x:y"], version: 9,
          createTime: Timestamp(nanoseconds: 7), updateTime: Timestamp(nanoseconds: 8))
        let kept: [Change] = [.putTenant(new), .putRole(old.id, role)]
        try store.append([
          Sample.entry(1, [.putTenant(old), .putRole(old.id, Sample.role("admin"))]),
          Sample.entry(2, kept),
        ])
        #expect(try store.load().changes == kept)
      }
    },
    ControlStoreContract("a name belongs to its tenant for good") { open in
      let name = ReservedName(.slug, "acme")
      let (first, second) = (Sample.tenant(1), Sample.tenant(2))
      try withStore(open) { store in
        try store.append([
          Sample.entry(1, [.putTenant(first), .putTenant(second)]),
          Sample.entry(2, [.reserveName(name, first.id)]),
          Sample.entry(3, [.reserveName(name, first.id)]),
        ])
      }
      try withStore(open) { store in
        expectError(.conflict) {
          try store.append([Sample.entry(4, [.reserveName(name, second.id)])])
        }
        // The same text of another kind is another name.
        let sameText = ReservedName(.schema, "acme")
        try store.append([Sample.entry(4, [.reserveName(sameText, second.id)])])
        #expect(try loadedState(store).names == [name: first.id, sameText: second.id])
      }
    },
    ControlStoreContract("groups and members come back with all their fields") { open in
      try withStore(open) { store in
        let tenant = Sample.tenant(1)
        let group = SubjectGroup(
          id: "g", title: "\u{0}'\"\\;--", summary: "𝄞", version: .max,
          createTime: Timestamp(nanoseconds: .min), updateTime: Timestamp(nanoseconds: .max))
        let member = GroupMember(
          id: "m", group: "g", member: "user:ü\u{1F9EA}", createTime: Timestamp(nanoseconds: -1),
          expireTime: Timestamp(nanoseconds: .max))
        let changes: [Change] = [
          .putTenant(tenant), .putGroup(tenant.id, group),
          .putGroup(tenant.id, Sample.group("h")), .putGroupMember(tenant.id, member),
          .putGroupMember(tenant.id, Sample.member("n", "group:h", of: "g")),
        ]
        try store.append([Sample.entry(1, changes)])
        #expect(try store.load().changes == changes)
        #expect(try store.entries(after: 0, limit: 9).flatMap(\.changes) == changes)
        var renamed = group
        renamed.title = "T"
        let moved = Sample.member("m", "user:2", of: "h")
        let more: [Change] = [.putGroup(tenant.id, renamed), .putGroupMember(tenant.id, moved)]
        try store.append([Sample.entry(2, more)])
        let state = try loadedState(store)
        #expect(state.groups.values.contains(renamed) && state.groups.count == 2)
        #expect(state.groupMembers.values.contains(moved) && state.groupMembers.count == 2)
      }
    },
    ControlStoreContract("deleting and clearing concern one tenant only") { open in
      try withStore(open) { store in
        let (first, second) = (Sample.tenant(1), Sample.tenant(2))
        let kept: [Change] = [
          .putTenant(first), .putTenant(second), .putRole(second.id, Sample.role("r")),
          .putAssignment(second.id, Sample.assignment("a")),
          .putProvisioningStep(second.id, name: "s"), .putGroup(second.id, Sample.group("eng")),
          .putGroupMember(second.id, Sample.member("m")),
        ]
        let removed: [Change] = [
          .putRole(first.id, Sample.role("r")), .putAssignment(first.id, Sample.assignment("a")),
          .putProvisioningStep(first.id, name: "s"), .putProvisioningStep(first.id, name: "t"),
          .putGroup(first.id, Sample.group("eng")), .putGroupMember(first.id, Sample.member("m")),
        ]
        try store.append([
          Sample.entry(1, kept + removed),
          Sample.entry(
            2,
            [
              .deleteRole(first.id, id: "r"), .deleteAssignment(first.id, id: "a"),
              .clearProvisioningSteps(first.id), .deleteGroupMember(first.id, id: "m"),
              .deleteGroup(first.id, id: "eng"),
              // What is not there is deleted all the same.
              .deleteRole(first.id, id: "none"), .deleteAssignment(first.id, id: "none"),
              .deleteGroup(first.id, id: "none"), .deleteGroupMember(first.id, id: "none"),
            ]),
        ])
        #expect(try store.load().changes == kept)
      }
    },
    ControlStoreContract("requests are forgotten before a moment, not at it") { open in
      try withStore(open) { store in
        let tenant = Sample.tenant(1)
        let requests = (1...3).map { time in
          Change.rememberRequest(Sample.request("r\(time)", tenant: tenant.id, at: Int64(time)))
        }
        try store.append([
          Sample.entry(1, [.putTenant(tenant)] + requests),
          Sample.entry(2, [.forgetRequests(before: Timestamp(nanoseconds: 2), of: nil)]),
        ])
        #expect(try store.load().changes == [.putTenant(tenant)] + requests.dropFirst())
      }
    },
  ]
}
