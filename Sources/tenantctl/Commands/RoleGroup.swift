import ArgumentParser
import TenancyWire

/// `tenantctl role …`.
struct RoleGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "role", abstract: "Roles of a tenant, and who has them.",
    subcommands: [
      CreateRoleCommand.self, GetRoleCommand.self, ListRolesCommand.self, UpdateRoleCommand.self,
      DeleteRoleCommand.self, AddPermissionCommand.self, RemovePermissionCommand.self,
      AssignRoleCommand.self, UnassignRoleCommand.self, ListAssignmentsCommand.self,
    ])
}

/// The role that a command is about.
struct RoleArguments: ParsableArguments {
  @OptionGroup var tenant: TenantArgument
  @Argument(help: "The role's id in the tenant.") var role: String

  func name() throws(UsageError) -> String { try ResourceName.role(role, in: tenant.tenant) }
}

struct CreateRoleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Creates a role.")

  @OptionGroup var role: RoleArguments
  @Option(help: "Its name for people.") var title = ""
  @Option(help: "What it is for.") var description = ""
  @Option(help: "resource:action, either may be *. May be repeated.") var permission: [String] = []
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.CreateRoleRequest(
      parent: try role.tenant.name(), roleId: role.role,
      role: V1.Role(title: title, description: description, permissions: permission),
      validateOnly: trial.dryRun, requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.authorization.createRole(request, options: $0.options)
      })
  }
}

struct GetRoleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "get", abstract: "Shows a role.")

  @OptionGroup var role: RoleArguments
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetRoleRequest(name: try role.name())
    output.show(
      try await server.connected {
        try await $0.authorization.getRole(request, options: $0.options)
      }
    )
  }
}

struct ListRolesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists a tenant's roles.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var pages: PageOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let parent = try tenant.name()
    let (roles, next) = try await server.connected { connection in
      try await pages.collect { token in
        let page = try await connection.authorization.listRoles(
          V1.ListRolesRequest(parent: parent, pageSize: pages.pageSize, pageToken: token),
          options: connection.options)
        return (page.roles, page.nextPageToken)
      }
    }
    output.show(V1.ListRolesResponse(roles: roles, nextPageToken: next), next: next, of: pages)
  }
}

struct UpdateRoleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Changes a role.",
    discussion: "--permission replaces all permissions; see also add-permission.")

  @OptionGroup var role: RoleArguments
  @Option(help: "Its new name for people.") var title: String?
  @Option(help: "What it is for.") var description: String?
  @Option(help: "All its permissions from now on. May be repeated.") var permission: [String] = []
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func request() throws(UsageError) -> V1.UpdateRoleRequest {
    var change = V1.Role(name: try role.name(), etag: etag.etag)
    var paths: [String] = []
    if let title {
      change.title = title
      paths.append("title")
    }
    if let description {
      change.description = description
      paths.append("description")
    }
    if !permission.isEmpty {
      change.permissions = permission
      paths.append("permissions")
    }
    guard !paths.isEmpty else {
      throw UsageError("nothing to change: give --title, --description or --permission")
    }
    return V1.UpdateRoleRequest(
      role: change, updateMask: GoogleProtobuf.FieldMask(paths: paths), validateOnly: trial.dryRun,
      requestId: repetition.requestID)
  }

  func run() async throws {
    let request = try request()
    output.show(
      try await server.connected {
        try await $0.authorization.updateRole(request, options: $0.options)
      })
  }
}

struct DeleteRoleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Deletes a role.")

  @OptionGroup var role: RoleArguments
  @Flag(help: "Also takes it from all who have it.") var force = false
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.DeleteRoleRequest(
      name: try role.name(), etag: etag.etag, force: force, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.authorization.deleteRole(request, options: $0.options)
      }, done: trial.done("deleted \(request.name)"))
  }
}

struct AddPermissionCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add-permission", abstract: "Gives a role permissions that it lacks.")

  @OptionGroup var role: RoleArguments
  @Argument(help: "resource:action, either may be *.") var permissions: [String]
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.AddRolePermissionsRequest(
      name: try role.name(), permissions: permissions, etag: etag.etag, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.authorization.addRolePermissions(request, options: $0.options)
      })
  }
}

struct RemovePermissionCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove-permission", abstract: "Takes permissions from a role.")

  @OptionGroup var role: RoleArguments
  @Argument(help: "resource:action, as the role has it.") var permissions: [String]
  @OptionGroup var etag: EtagOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.RemoveRolePermissionsRequest(
      name: try role.name(), permissions: permissions, etag: etag.etag, validateOnly: trial.dryRun,
      requestId: repetition.requestID)
    output.show(
      try await server.connected {
        try await $0.authorization.removeRolePermissions(request, options: $0.options)
      })
  }
}
