import Synchronization
import TenancyClient
import TenancyRPC
import TenancyWire

/// What the server has of tenants, page by page.
struct FleetSource: Sendable {
  /// The greatest page that the server makes.
  static let pageSize: Int32 = 1_000

  let connection: Connection

  /// Gives page after page to `body`, until it wants no more.
  func tenants(
    filter: String = "", showDeleted: Bool = false, orderBy: String = "slug",
    pageSize: Int32 = pageSize, _ body: ([V1.Tenant]) async throws -> Bool
  ) async throws {
    var token = ""
    repeat {
      let page = try await connection.tenants.listTenants(
        V1.ListTenantsRequest(
          pageSize: pageSize, pageToken: token, filter: filter, showDeleted: showDeleted,
          orderBy: orderBy),
        options: connection.options)
      // A server that repeats its token would keep us here for ever.
      guard page.nextPageToken.isEmpty || page.nextPageToken != token else {
        throw UsageError("the server's pages don't end")
      }
      token = page.nextPageToken
      guard try await body(page.tenants) else { return }
    } while !token.isEmpty
  }

  /// All roles of a tenant, in the order of their ids.
  func roles(of tenant: String) async throws -> [V1.Role] {
    func page(_ token: String) async throws -> (items: [V1.Role], next: String) {
      let page = try await connection.authorization.listRoles(
        V1.ListRolesRequest(parent: tenant, pageSize: Self.pageSize, pageToken: token),
        options: connection.options)
      return (page.roles, page.nextPageToken)
    }
    let (roles, next) = try await page("")
    return try await PageOptions.follow(roles, next, page).items
  }
}

extension FleetSource {
  /// All that a tenant's subjects have, what is over included.
  func assignments(of tenant: String) async throws -> [V1.RoleAssignment] {
    func page(_ token: String) async throws -> (items: [V1.RoleAssignment], next: String) {
      let page = try await connection.authorization.listRoleAssignments(
        V1.ListRoleAssignmentsRequest(parent: tenant, pageSize: Self.pageSize, pageToken: token),
        options: connection.options)
      return (page.assignments, page.nextPageToken)
    }
    let (assignments, next) = try await page("")
    return try await PageOptions.follow(assignments, next, page).items
  }

  func authentication(of tenant: String) async throws -> V1.AuthenticationSettings {
    try await connection.tokens.getAuthenticationSettings(
      V1.GetAuthenticationSettingsRequest(parent: tenant), options: connection.options)
  }

  /// What is to be compared with a file: no more than that has, and who has roles where one goes.
  func access(
    to tenant: String, for wanted: FleetTenant, prunes: Bool
  ) async throws -> TenantAccess {
    var access = TenantAccess()
    if wanted.roles != nil { access.roles = try await roles(of: tenant) }
    if wanted.assignments != nil {
      access.assignments = try await assignments(of: tenant)
      if access.roles == nil {
        do {
          access.roles = try await roles(of: tenant)
        } catch let status as RPCStatus where status.code == .permissionDenied {
          // They show but which assignments take away, and come first.
        }
      }
    } else if prunes, let roles = access.roles, wanted.leavesOut(roles) {
      do {
        access.assignments = try await assignments(of: tenant)
      } catch let status as RPCStatus where status.code == .permissionDenied {
        // The server knows whether somebody has the role.
      }
    }
    if wanted.authentication != nil { access.authentication = try await authentication(of: tenant) }
    return access
  }
}

/// That no more is begun.
final class StopFlag: Sendable {
  private let flag = Atomic(false)

  var isSet: Bool { flag.load(ordering: .relaxed) }
  func set() { flag.store(true, ordering: .relaxed) }
}
