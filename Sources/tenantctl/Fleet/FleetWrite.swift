import Tenancy
import TenancyClient
import TenancyCrypto
import TenancyRPC
import TenancyWire

/// One request of a plan.
enum FleetWrite: Sendable {
  case create(V1.CreateTenantRequest)
  case update(V1.UpdateTenantRequest)
  case delete(V1.DeleteTenantRequest)
  case createRole(V1.CreateRoleRequest, at: Int)
  case updateRole(V1.UpdateRoleRequest, at: Int, RoleStep = .takes)
  /// - Parameter isFree: nobody has it by then, since that goes before.
  case deleteRole(V1.DeleteRoleRequest, isFree: Bool)
  /// Roles that go exclude no longer what goes with them.
  case releaseRoles(V1.UpdateRoleRequest)
  /// - Parameter gives: whether somebody may do more by it, or longer.
  case assign(V1.CreateRoleAssignmentRequest, at: Int, gives: Bool = true)
  /// - Parameters:
  ///   - isDeclared: the file has it as one that has ended.
  ///   - gives: whether it ends that something is denied.
  case unassign(V1.DeleteRoleAssignmentRequest, isDeclared: Bool, gives: Bool = false)
  case authenticate(V1.SetAuthenticationSettingsRequest, from: V1.AuthenticationSettings)

  /// What of the file it is about.
  var part: FleetPart {
    switch self {
    case .createRole(_, let at), .updateRole(_, let at, _): .role(at)
    case .assign(_, let at, _): .assignment(at)
    case .authenticate: .authentication
    case .create, .update, .delete, .deleteRole, .releaseRoles, .unassign: .tenant
    }
  }

  /// Whether something goes by it that the file does not have.
  var isDeletion: Bool {
    switch self {
    case .delete, .deleteRole, .releaseRoles: true
    case .unassign(_, let isDeclared, _): !isDeclared
    case .create, .update, .createRole, .updateRole, .assign, .authenticate: false
    }
  }

  /// Asks the server whether it would do it.
  /// - Returns: whether anything would change.
  func validate(_ connection: Connection) async throws -> Bool {
    let options = connection.options
    switch self {
    case .create(var request):
      request.validateOnly = true
      // With it, the server would answer for a tenant that was made and is deleted.
      request.requestId = ""
      _ = try await connection.tenants.createTenant(request, options: options)
    case .update(var request):
      request.validateOnly = true
      let after = try await connection.tenants.updateTenant(request, options: options)
      return after.etag != request.tenant?.etag
    case .delete(var request):
      request.validateOnly = true
      _ = try await connection.tenants.deleteTenant(request, options: options)
    case .createRole(var request, _):
      request.validateOnly = true
      _ = try await connection.authorization.createRole(request, options: options)
    case .updateRole(var request, _, _), .releaseRoles(var request):
      request.validateOnly = true
      _ = try await connection.authorization.updateRole(request, options: options)
    case .deleteRole(var request, let isFree):
      request.validateOnly = true
      // Those who have it now will not have it then.
      if isFree { request.force = true }
      _ = try await connection.authorization.deleteRole(request, options: options)
    case .assign(var request, _, _):
      request.validateOnly = true
      _ = try await connection.authorization.createRoleAssignment(request, options: options)
    case .unassign(var request, _, _):
      request.validateOnly = true
      _ = try await connection.authorization.deleteRoleAssignment(request, options: options)
    case .authenticate(var request, let former):
      request.validateOnly = true
      let after = try await connection.tokens.setAuthenticationSettings(request, options: options)
      return FleetAuthentication.byName(after) != FleetAuthentication.byName(former)
    }
    return true
  }

  /// - Parameter etags: of roles that this has changed, by their names: what comes next goes on with them.
  func carryOut(_ connection: Connection, _ etags: inout [String: String]) async throws {
    let options = connection.options
    switch self {
    case .create(let request):
      let made = try await connection.tenants.createTenant(request, options: options)
      guard made.state != .deleted, made.state != .purging else {
        throw RPCStatus(.alreadyExists, "the tenant was made before, and is deleted")
      }
    case .update(let request):
      _ = try await connection.tenants.updateTenant(request, options: options)
    case .delete(let request):
      _ = try await connection.tenants.deleteTenant(request, options: options)
    case .createRole(let request, _):
      let made = try await connection.authorization.createRole(request, options: options)
      etags["\(request.parent)/roles/\(request.roleId)"] = made.etag
    case .updateRole(var request, _, _), .releaseRoles(var request):
      let name = request.role?.name ?? ""
      if let etag = etags[name] { request.role?.etag = etag }
      etags[name] = try await connection.authorization.updateRole(request, options: options).etag
    case .deleteRole(var request, _):
      if let etag = etags[request.name] { request.etag = etag }
      _ = try await connection.authorization.deleteRole(request, options: options)
    case .assign(let request, _, _):
      _ = try await connection.authorization.createRoleAssignment(request, options: options)
    case .unassign(let request, _, _):
      _ = try await connection.authorization.deleteRoleAssignment(request, options: options)
    case .authenticate(let request, _):
      _ = try await connection.tokens.setAuthenticationSettings(request, options: options)
    }
  }

  /// A request id that is the same for the same tenant in the same file: who repeats it makes nothing twice.
  static func requestID(of tenant: FleetTenant) throws -> String {
    var digest = SHA256Digest.bytes(Array("tenantctl apply\n\(try FleetWriter.text(tenant))".utf8))
    // A UUID of version 8: of whoever made it. In range: a digest has 32 bytes.
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    let hex = digest.prefix(16).map { byte in
      let text = String(byte, radix: 16)
      return byte < 16 ? "0\(text)" : text
    }
    // In range: there are 16.
    return [hex[0..<4], hex[4..<6], hex[6..<8], hex[8..<10], hex[10..<16]]
      .map { $0.joined() }.joined(separator: "-")
  }
}

/// Why the server does not do it.
struct FleetRefusal: Sendable, Equatable {
  let code: String
  let reason: String
  let message: String
  /// Each with the line of the file that it is about, where one is.
  let violations: [String]

  /// - Parameters:
  ///   - source: where the tenant is declared.
  ///   - part: what of it the request was about.
  init(_ status: RPCStatus, source: FleetDocument?, _ part: FleetPart = .tenant) {
    code = "\(status.code)"
    reason = status.errorInfo?.reason ?? ""
    let violations = status.fieldViolations
    self.violations = violations.map { violation in
      guard let source, let member = FleetDocument.member(of: violation.field, part) else {
        return "\(violation.field): \(violation.description)"
      }
      let line = source.line(of: member)
      return "\(source.file):\(line): \(member): \(violation.description)"
    }
    let isRepeated = violations.contains {
      status.message.hasPrefix("\($0.field): \($0.description)")
    }
    message = isRepeated ? "" : status.message
  }

  var text: String {
    let reason = reason.isEmpty ? "" : " (\(reason))"
    return "\(code)\(reason)\(message.isEmpty ? "" : ": \(message)")"
  }
}
