import Tenancy
import TenancyWire
import Testing

@testable import tenantctl

/// In which order a file's roles are sent.
@Suite struct FleetOrderTests {
  private let current = V1.Tenant(name: "tenants/1", id: "1", slug: "acme")

  private func on(_ server: [FleetRole]) -> [V1.Role] {
    server.map { role in
      var message = role.message
      (message.name, message.etag) = ("tenants/1/roles/\(role.id)", "e1")
      return message
    }
  }

  private func changes(
    _ wanted: [FleetRole], from server: [FleetRole], _ assignments: [FleetAssignment]? = nil,
    held: [V1.RoleAssignment] = [], prunes: Bool = false
  ) -> FleetChanges {
    var tenant = FleetTenant(slug: "acme")
    (tenant.roles, tenant.assignments) = (wanted, assignments)
    return FleetChanges(
      of: tenant, from: current, TenantAccess(roles: on(server), assignments: held), prunes: prunes)
  }

  /// Each request in a few words, as they are sent.
  private func sent(_ changes: FleetChanges) -> [String] {
    let roles = changes.roleWrites(in: "tenants/1").flatMap(\.writes)
    let writes = roles + changes.assignments.map { changes.write($0, in: "tenants/1") }
    return FleetWrite.inOrder(writes).map { write in
      switch write {
      case .createRole(let request, _):
        "+\(request.roleId) \(lists(request.role, named(request.role)))"
      case .updateRole(let request, _, _), .releaseRoles(let request):
        "\(ResourceName.last(request.role?.name ?? "")) "
          + lists(request.role, request.updateMask?.paths ?? [])
      case .deleteRole(let request, _): "-\(ResourceName.last(request.name))"
      case .assign(let request, _, _): "assign \(request.assignment?.role ?? "")"
      case .unassign(let request, _, _): "unassign \(ResourceName.last(request.name))"
      default: "?"
      }
    }
  }

  private func named(_ role: V1.Role?) -> [String] {
    (role?.parents.isEmpty ?? true ? [] : ["parents"])
      + (role?.excludedRoles.isEmpty ?? true ? [] : ["excluded_roles"])
  }

  private func lists(_ role: V1.Role?, _ paths: [String]) -> String {
    let role = role ?? V1.Role()
    return paths.map { path in
      switch path {
      case "permissions": "allows \(role.permissions)"
      case "denied_permissions": "denies \(role.deniedPermissions)"
      case "parents": "from \(role.parents)"
      case "excluded_roles": "not \(role.excludedRoles)"
      default: path
      }
    }.joined(separator: ", ").replacing("\"", with: "")
  }

  @Test func parentsAreMadeFirstAndGoLast() {
    let roles = [
      FleetRole(id: "c", parents: ["b", "tenant-viewer"]), FleetRole(id: "b", parents: ["a"]),
      FleetRole(id: "a", excludedRoles: ["d"]), FleetRole(id: "d", excludedRoles: ["a", "c"]),
    ]
    let made = changes(roles, from: [])
    #expect(
      sent(made) == [
        "+a ", "+d not [a]", "+b from [a]", "+c from [b, tenant-viewer]", "a not [d]",
        "d not [a, c]",
      ])
    // The server is asked of each as far as it can be.
    for one in made.roleWrites(in: "tenants/1") {
      guard case .createRole(let request, _) = one.asked else {
        Issue.record("it is asked of each")
        continue
      }
      #expect(request.role?.parents == (request.roleId == "c" ? ["tenant-viewer"] : []))
      #expect(request.role?.excludedRoles == [])
    }
    #expect(
      sent(changes([], from: roles, prunes: true)) == [
        "d not []", "a not []", "-c", "-b", "-d", "-a",
      ])
  }

  @Test func whatTakesAwayComesFirstRoleByRole() {
    let server = [
      FleetRole(id: "a", permissions: ["x:1", "x:2"], deniedPermissions: ["y:1"]),
      FleetRole(id: "b", permissions: ["x:3"]),
    ]
    let wanted = [
      FleetRole(id: "a", title: "A", permissions: ["x:2", "x:3"], deniedPermissions: ["y:2"]),
      FleetRole(id: "b", deniedPermissions: ["y:1"], excludedRoles: ["a"]),
    ]
    #expect(
      sent(changes(wanted, from: server)) == [
        "a allows [x:2], denies [y:1, y:2]", "b allows [], denies [y:1], not [a]",
        "a title, allows [x:2, x:3], denies [y:2]",
      ])
    // One request where one is enough.
    #expect(
      sent(changes([FleetRole(id: "b", title: "B", permissions: ["x:3", "x:4"])], from: server))
        == ["b title, allows [x:3, x:4]"])
    #expect(
      sent(changes([FleetRole(id: "b", title: "B")], from: server)) == ["b title, allows []"])
  }

  @Test func parentsChangeWithoutACircleInBetween() {
    let (plain, quiet) = (
      FleetRole(id: "plain", permissions: ["x:1"]),
      FleetRole(id: "quiet", deniedPermissions: ["x:1"])
    )
    // One that denies comes before what gives and stays until then.
    #expect(
      sent(changes([FleetRole(id: "a", parents: ["quiet"])], from: [FleetRole(id: "a"), quiet]))
        == ["a from [quiet]"])
    #expect(
      sent(
        changes(
          [
            FleetRole(id: "a", permissions: ["x:2"]),
            FleetRole(id: "b", deniedPermissions: ["x:1"]),
          ],
          from: [
            FleetRole(id: "a", parents: ["plain", "quiet"]), FleetRole(id: "b"), plain, quiet,
          ]))
        == ["a from [quiet]", "b denies [x:1]", "a allows [x:2], from []"])
    // Who was above comes below.
    let turned = changes(
      [
        FleetRole(id: "a", deniedPermissions: ["x:1"], parents: ["b"]),
        FleetRole(id: "b", permissions: ["x:1"]),
      ],
      from: [
        FleetRole(id: "a", deniedPermissions: ["x:1"]),
        FleetRole(id: "b", permissions: ["x:1"], parents: ["a"]),
      ])
    #expect(sent(turned) == ["b from []", "a from [b]"])
    #expect(turned.families.circle == [])
    // The server can't be asked of that as it is.
    #expect(turned.roleWrites(in: "tenants/1").allSatisfy { $0.asked == nil })
  }

  @Test func aCircleWithRolesThatTheFileLeavesOut() {
    let found = changes(
      [FleetRole(id: "a", parents: ["b"]), FleetRole(id: "new", parents: ["a"])],
      from: [FleetRole(id: "a"), FleetRole(id: "b", parents: ["a"])])
    #expect(found.families.circle == ["a", "b", "a"])
    // None is forgotten over it.
    #expect(Set(found.families.order) == ["a", "b", "new"])
  }

  @Test func whoGetsADenialGetsItFirst() {
    let roles = [
      FleetRole(id: "all", permissions: ["x:1"]),
      FleetRole(id: "quiet", deniedPermissions: ["x:1"]),
      FleetRole(id: "mixed", parents: ["all", "quiet"]),
    ]
    let past = GoogleProtobuf.Timestamp(seconds: 1)
    let held = ["quiet", "all", "mixed"].map {
      V1.RoleAssignment(name: "tenants/1/assignments/\($0)", subject: "user:old", role: $0)
    }
    let wanted =
      ["all", "mixed", "quiet"].map { FleetAssignment(subject: "user:new", role: $0) }
      + ["quiet", "all", "mixed"].map {
        FleetAssignment(subject: "user:old", role: $0, expireTime: past)
      }
    #expect(
      sent(changes(roles, from: roles, wanted, held: held)) == [
        "unassign all", "assign quiet", "unassign quiet", "unassign mixed", "assign all",
        "assign mixed",
      ])
    #expect(
      sent(changes(roles, from: roles, [], held: held, prunes: true)) == [
        "unassign all", "unassign mixed", "unassign quiet",
      ])
  }

  @Test func endsMove() {
    let roles = [
      FleetRole(id: "all", permissions: ["x:1"]),
      FleetRole(id: "quiet", deniedPermissions: ["x:1"]),
    ]
    func turns(_ from: Int64?, _ to: Int64?) -> [Bool] {
      func end(_ seconds: Int64?) -> GoogleProtobuf.Timestamp? {
        seconds.map { GoogleProtobuf.Timestamp(seconds: 4_000_000_000 + $0) }
      }
      let held = roles.map {
        V1.RoleAssignment(subject: "user:al", role: $0.id, expireTime: end(from))
      }
      let wanted = roles.map {
        FleetAssignment(subject: "user:al", role: $0.id, expireTime: end(to))
      }
      let found = changes(roles, from: roles, wanted, held: held)
      return found.assignments.compactMap {
        if case .assign(_, _, let gives) = found.write($0, in: "t") { gives } else { nil }
      }
    }
    #expect(turns(1, 2) == [true, false])
    #expect(turns(2, 1) == [false, true])
    #expect(turns(1, nil) == [true, false])
    #expect(turns(nil, 1) == [false, true])
  }
}
